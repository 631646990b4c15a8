"""The text of `test mirror`."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.cli.show.destination import outer_line, state_text, way_lines
from hsadc.cli.show.table import Row

_WHERE = {
    ("virtual-server", "forward"): "from the client",
    ("virtual-server", "backward"): "to the client",
    ("interface", "forward"): "received",
    ("interface", "backward"): "sent",
}
"""What a direction means for a source."""


def trial_lines(data: Row, send: bool) -> Iterator[str]:
    """What `test mirror` found, and with `send` what was sent."""
    packet = data["packet"]
    ends = f"{packet['source']} port {packet['source_port']} > {packet['destination']} port {packet['destination_port']}"
    yield f"Packet {ends}, {packet['protocol']}: flow hash {data['flow_hash']:#010x}"
    for row in data["sources"]:
        yield from _source(row)
    for reason in data["reasons"]:
        yield f"Not copied: {reason}"
    for row in data["sent"]:
        to = f" to {row['destination']}" if row["destination"] else ""
        what = "1 packet" if row["sent_packets"] == 1 else f"{row['sent_packets']} packets"
        sent = f"{what} of {row['sent_bytes']} bytes sent" if row["outcome"] == "sent" else f"dropped, {_words(row['outcome'])}"
        yield f"Probe by {row['interface']}{to}: {sent}"
    if send and not data["sent"]:
        yield "No probe was sent."


def _source(row: Row) -> Iterator[str]:
    how = f', profile "{row["profile"]}"' if row["profile"] is not None else ""
    where = " and ".join(_WHERE[row["kind"], direction] for direction in row["directions"])
    view = f", {row['view']}" if row["view"] else ""
    yield f"{row['kind']} {row['name']}{view}, {where}: {_words(row['outcome'])}{how}"
    if row["reason"] is not None:
        yield f"  not copied: {row['reason']}"
        return
    for entry in row["access_lists"]:
        yield f'  access-list "{entry["name"]}" of the {entry["of"]}: {entry["entry"]}'
    yield from (f"  {line}" for line in _limits(row))
    if row["shared"]:
        yield "  goes to its profile once, the other source has handed it over"
        return
    chosen = f"{len(row['destinations'])} of {row['candidates']}"
    yield f"  distribute {row['distribute']}: {chosen} destinations"
    for destination in row["destinations"]:
        yield from (f"  {line}" for line in _destination(destination))


def _limits(row: Row) -> Iterator[str]:
    if row["sampling_flow_one_in"]:
        yield f"sampling flow {row['sampling_flow_one_in']}: this flow is in the sample"
    if row["sampling_packet_one_in"]:
        yield f"sampling packet {row['sampling_packet_one_in']}: one of so many packets is copied"
    for key, unit in (("rate_limit_pps", "pps"), ("rate_limit_mbps", "mbps")):
        if row[key]:
            yield f"rate-limit {row[key]} {unit}: copies above it are dropped"


def _destination(row: Row) -> Iterator[str]:
    yield f"{row['interface']}: {state_text(row)}"
    port = f", UDP source port {row['udp_source_port']}" if row["udp_source_port"] else ""
    yield f"  {outer_line(row)}{port}"
    yield from (f"  {line}" for line in way_lines(row))
    if row["small_packet"]["outcome"] != "sent":
        yield f"  this packet: dropped, {_words(row['small_packet']['outcome'])}"
    else:
        large = row["full_size_packet"]
        yield f"  a packet of {large['bytes']} bytes: {_fate(large)}"


def _fate(fate: Row) -> str:
    if fate["outcome"] != "sent":
        return f"dropped, {_words(fate['outcome'])}"
    if fate["split"]:
        return f"sent in {fate['packets']} TCP segments"
    cut = "cut, " if fate["truncated"] else ""
    if fate["fragmented"]:
        return f"{cut}sent in {fate['packets']} outer fragments"
    return f"{cut or 'unchanged, '}in one packet of {fate['largest_bytes']} bytes"


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")
