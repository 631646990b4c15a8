"""Why nothing is copied of a packet: the reason that is nearest to what the operator may have meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hsadc.cli.show.destination import why_not
from hsadc.cli.show.mirrored import SECTIONS, Mirrored, mirrored, off
from hsadc.cli.show.table import Row
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer
from hsadc.wire.probe import TCP, Flow

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_SAMPLED_OUT = "its flow is not in the sample, which takes one flow of {}"
_LOOP = "it is encapsulated already, or to or from an analyzer: the mirror's own traffic is not copied"


def reasons_untaken(session: Session, flow: Flow, meant: tuple[str, str] | None, judged: Sequence[Row]) -> Iterator[str]:
    """A line for each reason.

    Args:
        session: whose device it is.
        flow: of the packet.
        meant: kind and name of the source that was asked for; None for any.
        judged: the sources that took the packet, and what they made of it.
    """
    sources = {(s.kind, s.name): s for s in mirrored(session.device.running)}
    for row in (row for row in judged if row["outcome"] != "matched"):
        yield f"{sources[row['kind'], row['name']].title}: {refusal(row)}"
    if meant is not None:
        if meant not in {(row["kind"], row["name"]) for row in judged}:
            yield _not_asked(session, sources.get(meant), title(SECTIONS[meant[0]], meant[1]))
    elif not judged:
        yield from _nearest(session, flow, sources)


def refusal(row: Row) -> str:
    """Why a source did not copy a packet; of a row of `test mirror`."""
    entries = {entry["of"]: entry for entry in row["access_lists"]}
    match row["outcome"], row["why"]:
        case "loop_guard", _:
            return _LOOP
        case "sampled_out", _:
            return _SAMPLED_OUT.format(row["sampling_flow_one_in"])
        case _, "direction" | "profile_direction" as whose:
            part = "its mirror-traffic" if whose == "direction" else f'profile "{row["profile"]}"'
            return f"{part} does not take direction {' and '.join(row['directions'])}"
        case _, whose:
            entry = entries["source" if whose == "access_list" else "profile"]
            what = f"denies it: {entry['entry']}" if entry["entry"] else "denies it: none of its entries matches"
            return f'access-list "{entry["name"]}" {what}'


def _not_asked(session: Session, source: Mirrored | None, name: str) -> str:
    """Why a source takes nothing at all."""
    if source is None:
        return f"{name} has no mirror-traffic"
    if (why := off(session, source)) is not None:
        return why
    config = session.device.running
    reasons = [why for d in source.profile.destinations if (why := why_not(config, d))]
    return f"{name}: {', '.join(reasons) or 'it has no destination in force'}"


def _nearest(session: Session, flow: Flow, sources: dict[tuple[str, str], Mirrored]) -> Iterator[str]:
    ends = ((flow.destination, flow.destination_port), (flow.source, flow.source_port))
    near = [v for v in session.device.running.virtual_server.values() if v.ip and v.ip.address in (flow.source, flow.destination)]
    for server in near:
        assert server.ip is not None  # noqa: S101  chosen so
        name = title("virtual_server", server.name)
        if (server.ip.address, server.ip.port) not in ends:
            yield f"{name} has {server.ip.address}, but listens on port {server.ip.port}"
        elif flow.protocol != TCP:
            yield f"{name}: only its TCP is copied"
        else:
            yield _not_asked(session, sources.get(("virtual-server", server.name)), name)
    if not near:
        yield f"no virtual server has an address of this packet; mirrored are: {_mirrored_servers(session.device.running)}"
    if not any(kind == "interface" for kind, _ in sources):
        yield "no interface is mirrored"


def _mirrored_servers(config: Config) -> str:
    return ", ".join(map(_listener, filter(_is_mirrored, config.virtual_server.values()))) or "none"


def _is_mirrored(server: VirtualServer) -> bool:
    return server.mirror_traffic is not None and server.ip is not None


def _listener(server: VirtualServer) -> str:
    return f"{server.ip.address} port {server.ip.port}" if server.ip else "-"
