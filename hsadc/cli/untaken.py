"""Why nothing is copied of a packet: the reason that is nearest to what the operator may have meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from hsadc.cli.show.destination import why_not
from hsadc.cli.show.mirrored import SECTIONS, Mirrored, mirrored, off
from hsadc.cli.show.table import Row
from hsadc.intent.mirror_profile import protocol_of
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer
from hsadc.wire.probe import PROTOCOLS, Flow

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.portable.selection import Judgement
    from hsadc.intent.mirror import ProfileIntent

_SAMPLED_OUT = "its flow is not in the sample, which takes one flow of {}"
_LOOP = "it is encapsulated already, or to or from an analyzer: the mirror's own traffic is not copied"


def reasons_untaken(
    session: Session, flow: Flow, meant: tuple[str, str] | None, judged: Collection[tuple[str, str]]
) -> Iterator[str]:
    """Why no source takes a packet, or not the one that is meant; a line for each reason.

    Args:
        session: whose device it is.
        flow: of the packet.
        meant: kind and name of the source that was asked for; None for any.
        judged: kinds and names of the sources that did take it, to copy it or not: they say why not themselves.
    """
    sources = {(s.kind, s.name): s for s in mirrored(session.device.running)}
    if meant is not None:
        if meant not in judged:
            yield _not_asked(session, sources.get(meant), title(SECTIONS[meant[0]], meant[1]))
    elif not judged:
        yield from _nearest(session, flow, sources)


def refusal(source: Mirrored, profile: ProfileIntent, judgement: Judgement, lists: Sequence[Row]) -> str | None:
    """Why a source does not copy a packet that it takes; None when it does.

    Args:
        source: the source.
        profile: the profile that it is copied by.
        judgement: what was decided.
        lists: the access lists that were asked.
    """
    match judgement.outcome, judgement.why:
        case "matched", _:
            return None
        case "loop_guard", _:
            return _LOOP
        case "sampled_out", _:
            return _SAMPLED_OUT.format(profile.sample_flows)
        case _, "direction":
            return f"mirror-traffic of {source.title} does not take direction {judgement.direction}"
        case _, "profile_direction":
            return f'profile "{source.profile_name}" does not take direction {judgement.direction}'
    last = lists[-1]  # the lists that follow the one that denies are not asked
    return f'access-list "{last["name"]}" denies it: {last["entry"] or "none of its entries matches"}'


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
        elif flow.protocol != protocol_of(server):
            yield f"{name}: only its {PROTOCOLS[protocol_of(server)]} is copied"
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
