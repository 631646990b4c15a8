"""`show mirror counters`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from hsadc.cli.show.mirrored import Mirrored, bound_to, check_name, mirrored
from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Columns, Row, counters_table
from hsadc.dataplane.mirror_counters import DROPS, PROBES, DestinationCounters, MirrorCounters, SourceCounters
from hsadc.model.config import Config

if TYPE_CHECKING:
    from hsadc.cli.session import Session

OFF = "The dataplane is off: nothing is mirrored."
_COPIES = ("truncated", "split", "fragmented")
_SOURCE = {
    "Seen": "seen_packets",
    "Matched": "matched_packets",
    "Matched bytes": "matched_bytes",
    "Filtered": "filtered_packets",
    "Sampled out": "sampled_out_packets",
    "Loop guard": "loop_guard_packets",
    "Copied": "copied_packets",
    "Failed": "failed_packets",
}
_DESTINATION = {
    "Copies": "copies",
    "Sent": "sent_packets",
    "Sent bytes": "sent_bytes",
    "Sampled out": "sampled_out_packets",
    "No route": "no_route_packets",
    "No neighbour": "no_neighbour_packets",
    "Link down": "link_down_packets",
    "Loop guard": "loop_guard_packets",
    "Not IP": "not_ip_packets",
    "Rate limit": "rate_limit_packets",
    "Oversize": "oversize_packets",
    "Refused": "encapsulation_packets",
    "Extra": "extra_packets",
    "Truncated copies": "truncated_copies",
    "Split copies": "split_copies",
    "Fragmented copies": "fragmented_copies",
    "Unaccounted": "unaccounted_packets",
}
_SOURCE_KEYS: Columns = {"Source": "title"}
_DESTINATION_KEYS: Columns = {
    "Profile": lambda row: "(test mirror)" if row["number"] == PROBES else row["profile"],
    "Destination": "destination",
}
_TUNNEL_KEYS: Columns = {
    "Interface": "interface",
    "Tunnel": lambda row: f'{row["kind"]} "{row["tunnel"]}"' if row["tunnel"] else row["kind"],
}


def do_show_mirror_counters(session: Session, name: str | None = None) -> Shown:
    """In packets, unless bytes are said: what each source saw, and what became of the copies.

    With a name: of a virtual server, interface or mirror profile, and of what has to do with it.
    """
    running = session.device.running
    check_name(running, name)
    if (dataplane := session.device.dataplane) is None:
        return Shown({"sources": [], "destinations": [], "tunnels": []}, (OFF,))
    counters = dataplane.mirror_counters()
    sources = [s for s in mirrored(running) if name is None or s.concerns(name)]
    destinations = list(_destinations(running, counters, name))
    interfaces = dict.fromkeys(interface for _, interface in sorted(counters.destinations))
    shown = [i for i in interfaces if name is None or i in {row["destination"] for row in destinations}]
    data: dict[str, list[Row]] = {
        "sources": [_source(s, counters.sources[s.id]) for s in sources if s.id in counters.sources],
        "destinations": destinations,
        "tunnels": [{"interface": i, **bound_to(running, i), **destination_counters(counters.tunnel(i))} for i in shown],
    }
    return Shown(data, _lines(data, session.width))


def _source(source: Mirrored, counters: SourceCounters) -> Row:
    return {
        "kind": source.kind,
        "name": source.name,
        "id": source.id,
        **{_key(f.name): getattr(counters, f.name) for f in fields(counters)},
    }


def _destinations(config: Config, counters: MirrorCounters, name: str | None) -> Iterator[Row]:
    """Those of all profiles; with a name, those of that source or profile, or that one."""
    sources = mirrored(config)
    profiles = {s.number: s.profile_name for s in sources}
    concerned = {s.number for s in sources if name in (s.name, s.profile_name)}
    for (number, interface), c in sorted(counters.destinations.items()):
        if number == PROBES and not c.copies:
            continue
        if name in (None, interface) or number in concerned:
            of = {"profile": profiles.get(number), "number": number, "destination": interface}
            yield {**of, **destination_counters(c)}


def destination_counters(counters: DestinationCounters) -> Row:
    """What became of the copies for a destination; `dropped_packets` is the sum of all reasons."""
    found = {_key(f.name): getattr(counters, f.name) for f in fields(counters)}
    return {**found, "dropped_packets": counters.dropped, "unaccounted_packets": counters.unaccounted}


def _key(counter: str) -> str:
    """With the unit that is counted."""
    if counter == "copies" or counter.endswith(("_packets", "_bytes")):
        return counter
    return f"{counter}_copies" if counter in _COPIES else f"{counter}_packets"


def drops(row: Row) -> list[tuple[str, int]]:
    """Why copies were dropped, the most frequent reason first, and how many; of what `destination_counters` gives."""
    found = [(reason.replace("_", " "), row[f"{reason}_packets"]) for reason in DROPS if row[f"{reason}_packets"]]
    return sorted(found, key=lambda drop: -drop[1])


def _lines(data: Mapping[str, list[Row]], width: int) -> Iterator[str]:
    sources = [{**row, "title": f"{row['kind']} {row['name']}"} for row in data["sources"]]
    if not sources and not data["destinations"] and not data["tunnels"]:
        yield "Nothing is mirrored."
        return
    if sources:
        yield "Sources (packets)"
        yield from counters_table(_SOURCE_KEYS, _SOURCE, sources, width)
    if data["destinations"]:
        yield ""
        yield "Destinations of profiles (packets)"
        yield from counters_table(_DESTINATION_KEYS, _DESTINATION, data["destinations"], width)
    if data["tunnels"]:
        yield ""
        yield "Tunnels (packets)"
        yield from counters_table(_TUNNEL_KEYS, _DESTINATION, data["tunnels"], width)
