"""Virtual servers of type udp in the language of nftables; pure.

    client --> prerouting: the virtual server's chain: dnat --> forward: counters --> postrouting: masquerade --> target
                    `--> input: what nobody serves: ICMP port unreachable

Only a flow's first packet meets the two NAT chains; conntrack does the same to the others. A change of rules leaves flows alone.
Packets are told apart by maps, whose cost does not grow with their number. Each map is there for IPv4 and for IPv6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from hsadc.dataplane.conntrack import Listener
from hsadc.dataplane.datagram_share import share
from hsadc.intent.datagram import DatagramIntent, DatagramTarget
from hsadc.intent.probe import Probe

_SERVER_COUNTERS = ("in", "out", "flows", "refused")
_TARGET_COUNTERS = ("in", "out", "flows")

Endpoint = tuple[str, int]
"""A target's address and port."""
Works = Callable[[DatagramTarget], bool]


@dataclass(frozen=True, slots=True)
class ServerRules:
    """What the table has for one virtual server.

    Attributes:
        chain: name of its chain, which leads to one of its two branches; empty when it has none.
        digests: of the rules in that branch: of one, or none when nobody serves.
        elements: of the maps and sets: the value by name of the map and key, both as nft writes them; of sets the value is empty.
        counters: names of its counters.
        rule: the text; not known of what was read from the kernel.
        branch: the branch that is led to; empty when none is, or when it is the kernel's part to choose one.
    """

    chain: str
    digests: tuple[str, ...]
    elements: Mapping[tuple[str, str], str]
    counters: frozenset[str]
    rule: str = field(default="", compare=False)
    branch: str = field(default="", compare=False)


def serving(server: DatagramIntent, works: Works) -> tuple[str, Sequence[DatagramTarget]] | None:
    """How flows are shared, and the targets that take them: those of the first tier that has enough; None when none has."""
    for tier in server.tiers:
        taking = [t for t in tier.targets if t.state == "enable" and works(t)]
        if len(taking) >= max(tier.minimum, 1):
            return tier.load_balance, taking
    return None


def targets(server: DatagramIntent) -> Iterator[DatagramTarget]:
    """Those of all tiers, in order; the same one may come again."""
    for tier in server.tiers:
        yield from tier.targets


def listener_of(rules: ServerRules | None) -> Listener | None:
    """Where clients send to a virtual server, by its part of the table; None when that is not to be seen."""
    keys = () if rules is None else (key for name, key in rules.elements if name.startswith("listeners"))
    for key in keys:
        address, _, port = key.partition(" . ")
        return ip_address(address), int(port)
    return None


def endpoint(target: DatagramTarget) -> Endpoint:
    """Where a target is."""
    return str(target.address), target.port


def kept(server: DatagramIntent, works: Works) -> frozenset[Endpoint]:
    """The targets whose flows go on: those that work and are not disabled, whether or not they take new ones."""
    return frozenset(endpoint(t) for t in targets(server) if t.state != "disable" and works(t))


def presumed_down(server: DatagramIntent, live: frozenset[Endpoint]) -> frozenset[Probe]:
    """The probes that an earlier daemon found to be down, by what it left: they stay so until they are checked.

    Args:
        server: a virtual server that is in the table already.
        live: the targets that it gives flows to there.
    """
    passed_over: set[Probe] = set()
    for tier in server.tiers:
        passed_over |= {t.probe for t in tier.targets if t.probe is not None and endpoint(t) not in live}
        if live and live <= {endpoint(t) for t in tier.targets}:
            return frozenset(passed_over)
    return frozenset() if live else frozenset(passed_over)


def render(server: DatagramIntent, works: Works) -> ServerRules:
    """A virtual server's part of the table.

    Args:
        server: the virtual server.
        works: says of a target whether its checks succeed.
    """
    serves = serving(server, works)
    family = "ip" if server.address.version == 4 else "ip6"
    rule = "" if serves is None else f"meta l4proto udp dnat {family} to {share(*serves)}"
    return ServerRules(
        chain=chain_name(server.id),
        digests=(digest(rule),) if rule else (),
        elements=dict(_elements(server)),
        counters=frozenset(_counters(server)),
        rule=rule,
    )


def digest(rule: str) -> str:
    """Stands in a rule's comment: nobody changes the rule without it."""
    return hashlib.sha256(rule.encode()).hexdigest()[:16]


def branches(chain: str) -> tuple[str, str]:
    """The names of the two branches of a virtual server's chain.

    While one has the rule that packets meet, the other one is where the next rule is written: a packet that began with the old
    rule finds all of it, and the map that it looks into, for as long as it takes. In a chain that is emptied and filled again,
    even in one transaction, it may meet a map that is there no more.
    """
    return f"{chain}_a", f"{chain}_b"


def chain_name(number: int) -> str:
    """The chain of a virtual server, by its number."""
    return f"vs{number}"


def server_counter(number: int, what: str) -> str:
    """Name of a counter of a virtual server: of packets `in` (from clients), `out` (to them) or `refused`, or of `flows`."""
    return f"vs{number}_{what}"


def target_counter(number: int, target: DatagramTarget, what: str) -> str:
    """Name of a counter of a target of a virtual server: of packets `in` (to it) or `out` (from it), or of `flows`."""
    return f"vs{number}_{target.address.packed.hex()}_{target.port}_{what}"


def number_of(name: str) -> int | None:
    """The virtual server whose chain or counter has that name; None when it is of none."""
    digits = name.removeprefix("vs").partition("_")[0]
    return int(digits) if name.startswith("vs") and digits.isdecimal() else None


def _counters(server: DatagramIntent) -> Iterator[str]:
    yield from (server_counter(server.id, what) for what in _SERVER_COUNTERS)
    yield from (target_counter(server.id, t, what) for t in targets(server) for what in _TARGET_COUNTERS)


def _elements(server: DatagramIntent) -> Iterator[tuple[tuple[str, str], str]]:
    family, listener = server.address.version, f"{server.address} . {server.port}"
    yield (f"listeners{family}", listener), f"goto {chain_name(server.id)}"
    for what in _SERVER_COUNTERS:
        yield (f"{what}{family}", listener), server_counter(server.id, what)
    if server.auto_snat:
        yield (f"snat{family}", listener), ""
    for target in targets(server):
        for what in _TARGET_COUNTERS:
            key = f"{listener} . {target.address} . {target.port}"
            yield (f"target_{what}{family}", key), target_counter(server.id, target, what)
