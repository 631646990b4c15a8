"""Access lists as tables of bit masks, in which a packet is looked up once for each of its fields, however many rules there are.

A mask has a bit for each rule, that of the first rule being the lowest. A table tells for a field's value which rules it fits.
The rules that fit in all fields are what the masks have in common, and the lowest of those bits is the first such rule's (the
"Lucent bit vector" scheme of Lakshman and Stiliadis, SIGCOMM 1998).

    networks    address and prefix length (IPv4 as ::ffff:a.b.c.d)  >  rules whose source holds it, whose destination holds it
    ports       port and prefix length                              >  the same
    protocols   family and protocol                                 >  rules of this protocol
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from hsadc.intent.mirror import ANY_ICMP, ANY_PORT, ANY_PROTOCOL, AccessRule

RULES_MAX = 64
_MAPPED = int.from_bytes(b"\xff\xff") << 32
_IPV4 = _MAPPED, 96
"""The prefix of all IPv4 addresses."""
_ICMP, _ICMPV6 = 1, 58
_PORT_BITS, _ADDRESS_BITS, _IPV4_BITS = 16, 128, 32

Masks = tuple[int, int]
"""The rules that a value fits as a source, and as a destination."""


@dataclass(frozen=True, slots=True)
class AccessMasks:
    """A list's tables; in networks and ports the longest prefix counts.

    Attributes:
        permit: the rules that permit.
        any_protocol: the rules that fit a protocol which is not in `protocols`.
        portless: the rules that fit a packet without ports.
        networks: by address (a number of 128 bits) and prefix length.
        ports: by port and prefix length (0 to 16).
        protocols: by family (4 or 6) and IP protocol number.
    """

    permit: int
    any_protocol: int
    portless: Masks
    networks: Mapping[tuple[int, int], Masks]
    ports: Mapping[tuple[int, int], Masks]
    protocols: Mapping[tuple[int, int], int]


def masks_of(rules: Sequence[AccessRule]) -> AccessMasks:
    """Make the tables of at most RULES_MAX rules."""
    protocols = {key for rule in rules for key in _protocols(rule.protocol)}
    return AccessMasks(
        permit=_mask(rule.permit for rule in rules),
        any_protocol=_mask(rule.protocol == ANY_PROTOCOL for rule in rules),
        portless=(
            _mask(rule.source_ports == ANY_PORT for rule in rules),
            _mask(rule.destination_ports == ANY_PORT for rule in rules),
        ),
        networks=_networks(rules),
        ports=_ports(rules),
        protocols={k: _mask(r.protocol == ANY_PROTOCOL or k in _protocols(r.protocol) for r in rules) for k in protocols},
    )


def _mask(fits: Iterable[bool]) -> int:
    return sum(1 << place for place, fit in enumerate(fits) if fit)


def _protocols(protocol: int) -> set[tuple[int, int]]:
    if protocol == ANY_PROTOCOL:
        return set()
    return {(4, _ICMP), (6, _ICMPV6)} if protocol == ANY_ICMP else {(4, protocol), (6, protocol)}


def _prefix(network: IPv4Network | IPv6Network | None) -> tuple[int, int]:
    """Address and length; none is any address of either family."""
    if network is None:
        return 0, 0
    if network.version == 6:
        return int(network.network_address), network.prefixlen
    return _MAPPED | int(network.network_address), _ADDRESS_BITS - _IPV4_BITS + network.prefixlen


def _networks(rules: Sequence[AccessRule]) -> dict[tuple[int, int], Masks]:
    ends = [(_prefix(rule.source), _prefix(rule.destination)) for rule in rules]
    known = {(0, 0), _IPV4, *(prefix for pair in ends for prefix in pair)}
    return {p: (_mask(_holds(s, p) for s, _ in ends), _mask(_holds(d, p) for _, d in ends)) for p in known}


def _holds(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
    """Whether one prefix holds all addresses of another; no IPv6 network holds the IPv4 addresses that are mapped into IPv6."""
    if _IPV4[1] > outer[1] > 0 and _holds(_IPV4, inner):
        return False
    shift = _ADDRESS_BITS - outer[1]
    return outer[1] <= inner[1] and outer[0] >> shift == inner[0] >> shift


def _ports(rules: Sequence[AccessRule]) -> dict[tuple[int, int], Masks]:
    """Between two neighbouring bounds of ranges all ports fit the same rules."""
    ranges = [(rule.source_ports, rule.destination_ports) for rule in rules]
    starts = sorted({0, *(bound for pair in ranges for first, last in pair for bound in (first, last + 1))})
    table: dict[tuple[int, int], Masks] = {}
    for first, following in zip(starts, [*starts[1:], 1 << _PORT_BITS], strict=True):
        fits = _mask(s[0] <= first <= s[1] for s, _ in ranges), _mask(d[0] <= first <= d[1] for _, d in ranges)
        table |= dict.fromkeys(_prefixes(first, following), fits)
    return table


def _prefixes(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The ports from `first` up to `end`, which is not among them, as the fewest prefixes."""
    while first < end:
        size = first & -first or 1 << _PORT_BITS
        while first + size > end:
            size >>= 1
        yield first, _PORT_BITS - size.bit_length() + 1
        first += size
