"""Which packets are copied, and to which destinations (docs/mirror.md, "Sources").

A decision is the same for all packets of one flow and direction on one device, while the configuration and the tunnels' states
stay: the core keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hsadc.dataplane.portable.access import compile_search
from hsadc.dataplane.portable.packet import GRE, MAPPED, UDP, Header, Packet, quoted
from hsadc.intent.hop import DEVICE
from hsadc.intent.mirror import AccessListIntent, PortMirrorIntent, ProfileIntent, RuleIntent, TunnelIntent
from hsadc.wire import vxlan
from hsadc.wire.flow import flow_hash, mix, rank, sampled

FORWARD, BACKWARD = "forward", "backward"
MATCHED = "matched"
_FILTERED = "filtered"
_BOTH = "bidirection"


class Step(NamedTuple):
    """What a source makes of a packet.

    Attributes:
        source: id of the rule or the port mirror.
        outcome: `loop_guard`, `filtered`, `sampled_out` or `matched`.
        profile: number of the profile.
        destinations: interfaces that a matched packet is handed to.
    """

    source: int
    outcome: str
    profile: int
    destinations: tuple[str, ...]


class Judgement(NamedTuple):
    """What a source makes of a packet, and why.

    Attributes:
        source, outcome, profile, destinations: as a `Step` has them.
        direction: `forward` or `backward`.
        why: what filtered it: `direction` or `access_list` of the port mirror, `profile_direction` or `profile_access_list`;
            empty otherwise.
        entry: place of the port mirror's access list's entry that decided, from 0; None without list, or when none matched.
        profile_entry: the same of the profile's access list.
        shared: whether another source has handed it to the same profile already.
    """

    source: int
    outcome: str
    profile: int
    destinations: tuple[str, ...]
    direction: str
    why: str = ""
    entry: int | None = None
    profile_entry: int | None = None
    shared: bool = False


class Decision(NamedTuple):
    """What becomes of a packet.

    Attributes:
        flow_hash: 32 bits.
        steps: one for each source that takes the packet; the rule's is first.
    """

    flow_hash: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Intents:
    """What the mirror is to do, compiled from one configuration; the attributes are those of `hsadc.intent.compile.Intent`."""

    tunnels: tuple[TunnelIntent, ...] = ()
    access_lists: tuple[AccessListIntent, ...] = ()
    profiles: tuple[ProfileIntent, ...] = ()
    rules: tuple[RuleIntent, ...] = ()
    port_mirrors: tuple[PortMirrorIntent, ...] = ()


class Selection:
    """The sources of one configuration."""

    def __init__(self, intents: Intents, is_up: Callable[[str], bool]) -> None:
        """`is_up` tells whether copies can be sent by a tunnel's interface now."""
        self._lists = {intent.number: (intent.rules, compile_search(intent)) for intent in intents.access_lists}
        self._profiles = {profile.number: profile for profile in intents.profiles}
        self._rules = {(packed(rule.address), rule.port, rule.protocol, rule.hop): rule for rule in intents.rules}
        self._port_mirrors = {mirror.device: mirror for mirror in intents.port_mirrors}
        self._analyzers = analyzers(intents.tunnels)
        self._vxlan_ports = vxlan_ports(intents.tunnels)
        self._is_up = is_up

    def key(self, packet: Packet, device: str, received: bool) -> tuple[object, ...]:
        """What a decision depends on; packets with equal keys get equal decisions."""
        header = packet.header
        if header is None:
            return packet.ethertype, device, received
        quotes = header.protocol in (1, 58) and device in self._port_mirrors and self._quotes_copy(packet)
        return header[:3], packet.ports, packet.ethertype, device, received, quotes

    def decide(self, packet: Packet, device: str, received: bool) -> Decision:
        """What becomes of a packet that a device received or sent."""
        found = self.judge(packet, device, received)
        return Decision(hash_of(packet), tuple(Step(j.source, j.outcome, j.profile, j.destinations) for j in found))

    def judge(self, packet: Packet, device: str, received: bool) -> list[Judgement]:
        """The same with the reasons: one for each source that takes the packet; the rule's is first."""
        hash_ = hash_of(packet)
        found = []
        if (match := self._find_rule(packet, device == DEVICE)) is not None:
            rule, direction = match
            found.append(self._judge(Judgement(rule.id, MATCHED, rule.profile, (), direction), packet, hash_))
        if (mirror := self._port_mirrors.get(device)) is not None:
            judgement = self._judge_port(mirror, FORWARD if received else BACKWARD, packet, hash_)
            if any(j.outcome == MATCHED and j.profile == judgement.profile for j in found):
                judgement = judgement._replace(destinations=(), shared=True)  # it goes to their profile once
            found.append(judgement)
        return found

    def _find_rule(self, packet: Packet, hop: bool) -> tuple[RuleIntent, str] | None:
        if packet.header is None or packet.ports is None:
            return None
        source, destination, protocol = packet.header[:3]
        if (rule := self._rules.get((destination, packet.ports[1], protocol, hop))) is not None:
            return rule, FORWARD
        if (rule := self._rules.get((source, packet.ports[0], protocol, hop))) is not None:
            return rule, BACKWARD
        return None

    def _judge_port(self, mirror: PortMirrorIntent, direction: str, packet: Packet, hash_: int) -> Judgement:
        judgement = Judgement(mirror.id, MATCHED, mirror.profile, (), direction)
        if self._is_loop(packet):
            return judgement._replace(outcome="loop_guard")
        if mirror.direction not in (_BOTH, direction):
            return judgement._replace(outcome=_FILTERED, why="direction")
        permitted, entry = self._permits(mirror.access_list, packet)
        judgement = judgement._replace(entry=entry)
        if not permitted:
            return judgement._replace(outcome=_FILTERED, why="access_list")
        return self._judge(judgement, packet, hash_)

    def _judge(self, judgement: Judgement, packet: Packet, hash_: int) -> Judgement:
        """What the profile says."""
        profile = self._profiles[judgement.profile]
        if profile.direction not in (_BOTH, judgement.direction):
            return judgement._replace(outcome=_FILTERED, why="profile_direction")
        permitted, entry = self._permits(profile.access_list, packet)
        judgement = judgement._replace(profile_entry=entry)
        if not permitted:
            return judgement._replace(outcome=_FILTERED, why="profile_access_list")
        if profile.sample_flows > 1 and not sampled(hash_, profile.sample_flows):
            return judgement._replace(outcome="sampled_out")
        return judgement._replace(destinations=choose(profile, hash_, self._is_up))

    def _permits(self, number: int, packet: Packet) -> tuple[bool, int | None]:
        """Whether an access list permits a packet, and by which entry."""
        if not number:
            return True, None
        rules, find = self._lists[number]
        place = find(packet)
        return place is not None and rules[place].permit, place

    def _is_loop(self, packet: Packet) -> bool:
        if packet.header is None:
            return False
        return self._is_copy(packet.header, packet.ports) or self._quotes_copy(packet)

    def _quotes_copy(self, packet: Packet) -> bool:
        found = quoted(packet)
        return found is not None and self._is_copy(*found)

    def _is_copy(self, header: Header, ports: tuple[int, int] | None) -> bool:
        """Whether a packet is encapsulated, or an analyzer's."""
        if header.protocol == GRE or header.source in self._analyzers or header.destination in self._analyzers:
            return True
        return header.protocol == UDP and ports is not None and ports[1] in self._vxlan_ports


def choose(profile: ProfileIntent, hash_: int, is_up: Callable[[str], bool]) -> tuple[str, ...]:
    """The destinations of a matched packet."""
    if profile.distribute == "replicate":
        return profile.destinations
    places = [i for i, name in enumerate(profile.destinations) if is_up(name)] or range(len(profile.destinations))
    if profile.distribute == "failover":
        return (profile.destinations[places[0]],)
    return (profile.destinations[max(places, key=lambda place: (rank(hash_, place), -place))],)


def hash_of(packet: Packet) -> int:
    """The flow hash of a packet."""
    if packet.header is None:
        return mix(packet.ethertype)
    ports = packet.ports or (0, 0)
    return flow_hash(packet.header.source, ports[0], packet.header.destination, ports[1], packet.header.protocol)


def packed(address: object) -> bytes:
    """The 16 bytes of an address as `Header` has them; none for what is not set."""
    data: bytes = getattr(address, "packed", b"")
    return MAPPED + data if len(data) == 4 else data


def analyzers(tunnels: Iterable[TunnelIntent]) -> frozenset[bytes]:
    """The addresses that copies are sent to."""
    return frozenset(packed(t.encapsulation.destination) for t in tunnels if t.encapsulation.kind != "none")


def vxlan_ports(tunnels: Iterable[TunnelIntent]) -> frozenset[int]:
    """UDP ports whose packets are taken for VXLAN."""
    return frozenset({vxlan.PORT, *(t.encapsulation.port for t in tunnels if t.encapsulation.kind == "vxlan")})
