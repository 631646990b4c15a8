"""`test mirror`: what the mirror does with a packet, and why; `test mirror ... send` sends one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

from hsadc.cli.show.destination import encapsulated, standing
from hsadc.cli.show.mirror import OFF
from hsadc.cli.show.mirrored import Mirrored, bound_to, mirrored
from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Row
from hsadc.cli.show.trial import trial_lines
from hsadc.cli.untaken import reasons_untaken, refusal
from hsadc.dataplane.mirror_counters import DROPS, DestinationCounters
from hsadc.dataplane.portable.explain import RECEIVED, SENT, Passing, fate_of, judge, unchanged_bytes
from hsadc.dataplane.portable.selection import Intents, Judgement
from hsadc.dataplane.portable.sending import UP, TunnelStatus
from hsadc.errors import ConfigError, DanglingReference
from hsadc.intent.hop import DEVICE, MTU_BYTES
from hsadc.intent.mirror_profile import copied_port, protocol_of, source_id
from hsadc.model.title import title
from hsadc.syntax.nodes import Command
from hsadc.wire.probe import ETHERNET_BYTES, TCP, UDP, Flow, frame, frame_of
from hsadc.wire.vxlan import source_port

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.dataplane import Dataplane
    from hsadc.intent.compile import Intent
    from hsadc.intent.mirror import ProfileIntent, TunnelIntent
    from hsadc.model.config import Config

log = logging.getLogger(__name__)

FULL_SIZE_BYTES = 1500
"""Of the IP packet that is asked about beside the small one; on the clear hop packets are smaller."""
_CLIENTS: Mapping[int, IPv4Address | IPv6Address] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8::1")}
_CLIENT_PORT = 49152
_SERVER, _SERVER_PORT = IPv4Address("198.51.100.1"), 80
"""Ends that nobody has (RFC 5737, RFC 3849), where the operator names none."""
_PROTOCOLS = {"tcp": TCP, "udp": UDP}


class Place(NamedTuple):
    """Where a packet may be seen.

    Attributes:
        flow: of the packet, as it is there.
        device: Linux device; empty for any that is not mirrored as a whole.
        received: whether it is received there.
    """

    flow: Flow
    device: str
    received: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What is asked.

    Attributes:
        flow: of the packet.
        places: where its packets may be seen.
        source: kind and name of the source that is meant; None for any.
    """

    flow: Flow
    places: Sequence[Place]
    source: tuple[str, str] | None = None


def do_test_mirror(session: Session, tested: Command) -> Shown:
    """Which sources take a packet, where its copies go and in what, or why it is not copied; nothing is sent or counted."""
    return _shown(session, tested, send=False)


def do_test_mirror_send(session: Session, tested: Command) -> Shown:
    """The same, and a probe packet is sent to each chosen destination: not sampled, truncated or limited, counted by itself."""
    return _shown(session, tested, send=True)


def _shown(session: Session, tested: Command, send: bool) -> Shown:
    dataplane = session.device.dataplane
    if dataplane is None:
        return Shown({"packet": None, "flow_hash": None, "sources": [], "reasons": [OFF], "sent": []}, (OFF,))
    running, intent = session.device.running, dataplane.intent
    trial = _trial(running, intent, tested)
    hash_, found = _judged(trial, intent, _statuses(dataplane))
    sources = [_source(session, intent, one) for one in found]
    taken = {(row["kind"], row["name"]) for row in sources if row["outcome"] == "matched"}
    is_taken = bool(taken) if trial.source is None else trial.source in taken
    data = {
        "packet": {**trial.flow._asdict(), "protocol": next(name for name, n in _PROTOCOLS.items() if n == trial.flow.protocol)},
        "flow_hash": hash_,
        "sources": sources,
        "reasons": []
        if is_taken
        else list(reasons_untaken(session, trial.flow, trial.source, {(row["kind"], row["name"]) for row in sources})),
        "sent": list(_send(session, dataplane, found)) if send else [],
    }
    return Shown(data, trial_lines(data, send))


def _trial(config: Config, intent: Intent, tested: Command) -> Trial:
    tapped = {tap.device for tap in intent.taps}
    devices = {m.id: m.device for m in intent.port_mirrors if m.device in tapped}
    match tested.name, tested.args:
        case "tested_virtual_server", (name,):
            return _trial_of_server(config, name)
        case "tested_interface" | "tested_interface_flow", (name, *ends):
            flow = _flow(*ends) if ends else Flow(_CLIENTS[4], _CLIENT_PORT, _SERVER, _SERVER_PORT, TCP)
            device = devices.get(source_id(name), "")
            return Trial(flow, [Place(flow, device, RECEIVED), Place(flow, device, SENT)], ("interface", name))
    flow = _flow(*tested.args)
    places = [Place(flow, device, received) for device in devices.values() for received in (RECEIVED, SENT)]
    return Trial(flow, [*(places or [Place(flow, "", RECEIVED)]), *_on_hop(config, flow)])


def _trial_of_server(config: Config, name: str) -> Trial:
    server = config.virtual_server.get(name)
    if server is None:
        raise DanglingReference(title("virtual_server", name), "there is no such object")
    address, port = (server.ip.address, server.ip.port) if server.ip else (_SERVER, _SERVER_PORT)
    flow = Flow(_CLIENTS[address.version], _CLIENT_PORT, address, port, protocol_of(server))
    on_hop = [place for way in (flow, flow.reverse) for place in _on_hop(config, way)]
    places = on_hop or [Place(flow, "", RECEIVED), Place(flow.reverse, "", SENT)]
    return Trial(flow, places, ("virtual-server", name))


def _on_hop(config: Config, flow: Flow) -> Iterator[Place]:
    """Where the clear text of a client's encrypted packet, or of one to a client, is seen: on the clear hop."""
    for server in config.virtual_server.values():
        port = copied_port(server)
        if server.ip is None or port is None or flow.protocol != TCP:
            continue
        listener = server.ip.address, server.ip.port
        if (flow.destination, flow.destination_port) == listener:
            yield Place(flow._replace(destination_port=port), DEVICE, SENT)
        elif (flow.source, flow.source_port) == listener:
            yield Place(flow._replace(source_port=port), DEVICE, RECEIVED)


def _flow(source: Any, source_port: int, destination: Any, destination_port: int, protocol: str) -> Flow:
    if source.version != destination.version:
        raise ConfigError("test mirror", f"{source} and {destination} are not of one family")
    return Flow(source, source_port, destination, destination_port, _PROTOCOLS[protocol])


def _statuses(dataplane: Dataplane) -> Mapping[str, TunnelStatus]:
    """As the mirror's own decisions take the tunnels' states."""
    states = {t.interface: dataplane.tunnel_state(t.interface) for t in dataplane.intent.tunnels}
    return {name: TunnelStatus(s.cause if s.state == "down" else UP, s.mtu_bytes) for name, s in states.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """What a source makes of the packet.

    Attributes:
        judgement: that of the first direction.
        place: where.
        flow_hash: of the packet, as it is there.
        directions: all for which it is the same.
    """

    judgement: Judgement
    place: Place
    flow_hash: int
    directions: list[str]


def _judged(trial: Trial, intent: Intent, statuses: Mapping[str, TunnelStatus]) -> tuple[int, list[Found]]:
    """The flow's hash, and what each source makes of the packet."""
    intents = Intents(intent.tunnels, intent.access_lists, intent.profiles, intent.rules, intent.port_mirrors)
    found: dict[Judgement, Found] = {}
    flow_hash, _ = judge(intents, statuses, Passing(frame(trial.flow)))
    for place in trial.places:
        hash_, judgements = judge(intents, statuses, Passing(frame(place.flow), place.device, place.received))
        for judgement in judgements:
            one = found.setdefault(judgement._replace(direction=""), Found(judgement, place, hash_, []))
            if judgement.direction not in one.directions:
                one.directions.append(judgement.direction)
    return flow_hash, list(found.values())


def _source(session: Session, intent: Intent, found: Found) -> Row:
    judgement = found.judgement
    source = next(s for s in mirrored(session.device.running) if s.id == judgement.source)
    profile = next(p for p in intent.profiles if p.number == judgement.profile)
    lists = list(_lists(session.device.running, source, judgement))
    return {
        "kind": source.kind,
        "name": source.name,
        "directions": found.directions,
        "view": "decrypted" if found.place.device == DEVICE else None,
        "outcome": judgement.outcome,
        "why": judgement.why or None,
        "reason": refusal(source, profile, judgement, lists),
        "shared": judgement.shared,
        "access_lists": lists,
        "profile": source.profile_name,
        "distribute": profile.distribute,
        "candidates": len(profile.destinations),
        "sampling_flow_one_in": profile.sample_flows if profile.sample_flows > 1 else None,
        "sampling_packet_one_in": profile.sample_packets if profile.sample_packets > 1 else None,
        "rate_limit_pps": profile.rate_pps,
        "rate_limit_mbps": profile.rate_mbps,
        "destinations": [_destination(session, intent, found, d) for d in judgement.destinations],
    }


def _lists(config: Config, source: Mirrored, judgement: Judgement) -> Iterator[Row]:
    """The access lists that were asked, and the entry of each that decided; null when none matched."""
    places = {"source": judgement.entry, "profile": judgement.profile_entry}
    refused = {"access_list": "source", "profile_access_list": "profile"}.get(judgement.why)
    for whose, name in source.access_lists.items():
        place = places[whose]
        if place is not None or whose == refused:
            entry = None if place is None else str(list(config.access_list[name].entries.values())[place])
            yield {"name": name, "of": whose, "entry": entry}


def _destination(session: Session, intent: Intent, found: Found, interface: str) -> Row:
    flow, hash_ = found.place.flow, found.flow_hash
    full_size = MTU_BYTES if found.place.device == DEVICE else FULL_SIZE_BYTES
    profile = next(p for p in intent.profiles if p.number == found.judgement.profile)
    tunnel = next(t for t in intent.tunnels if t.interface == interface)
    assert session.device.dataplane is not None  # noqa: S101  without one nothing is asked
    state = session.device.dataplane.tunnel_state(interface)
    status = TunnelStatus(state.cause if state.state == "down" else UP, state.mtu_bytes)
    small, large = (_fate(profile, tunnel, status, data, hash_) for data in (frame(flow), frame_of(flow, full_size)))
    return {
        "interface": interface,
        "tunnel": bound_to(session.device.running, interface)["tunnel"],
        **encapsulated(tunnel),
        "udp_source_port": source_port(hash_) if tunnel.encapsulation.kind == "vxlan" else None,
        **standing(session, interface),
        "truncate_bytes": profile.truncate_bytes,
        "unchanged_bytes": unchanged_bytes(profile, tunnel, state.mtu_bytes),
        "small_packet": small,
        "full_size_packet": large,
    }


def _fate(profile: ProfileIntent, tunnel: TunnelIntent, status: TunnelStatus, data: bytes, hash_: int) -> Row:
    return {"bytes": len(data) - ETHERNET_BYTES, **fate_of(profile, tunnel, status, data, hash_)._asdict()}


def _send(session: Session, dataplane: Dataplane, found: Iterable[Found]) -> Iterator[Row]:
    """A probe by each destination, once, though several sources may have chosen it."""
    chosen: dict[str, Flow] = {}
    for one in found:
        for interface in one.judgement.destinations:
            chosen.setdefault(interface, one.place.flow)
    tunnels = {t.interface: t for t in dataplane.intent.tunnels}
    for interface, flow in chosen.items():
        counted = dataplane.send_probe(interface, frame(flow))
        log.info("%s sent a probe by %s", session.login, interface)
        yield {
            "interface": interface,
            "destination": tunnels[interface].encapsulation.destination,
            "outcome": _outcome(counted),
            "sent_packets": counted.sent_packets,
            "sent_bytes": counted.sent_bytes,
        }


def _outcome(counted: DestinationCounters) -> str:
    """`sent`, the reason why not, or `lost`: the helper device took it, and nobody knows what became of it."""
    if counted.sent_packets:
        return "sent"
    return next((reason for reason in DROPS if getattr(counted, reason)), "lost")
