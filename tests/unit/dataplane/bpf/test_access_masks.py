"""Access lists as tables: looked up as access.h does it, they decide as comparing rule by rule does."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hsadc.dataplane.bpf.access_masks import RULES_MAX, masks_of
from hsadc.dataplane.bpf.records import encode_access_list, list_of
from hsadc.intent.mirror import ANY_ICMP, ANY_PORT, ANY_PROTOCOL, AccessRule

NUMBER = 0xCAFE
NETWORKS = (
    None,
    *map(IPv4Network, ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3")),
    *map(IPv6Network, ("2001:db8::/32", "2001:db8:1::/48", "2001:db8::1/128", "::/96", "::/1", "::/64", "::fffe:0:0/95")),
)
HOSTS = ("10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1"), ("2001:db8::1", "2001:db8:1::9", "2001:db9::1", "::7")
PORTS = (0, 1, 79, 80, 81, 1023, 1024, 65534, 65535)


class Packet(NamedTuple):
    """What a list looks at; ports are None where there are none."""

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    ports: tuple[int, int] | None


@st.composite
def packets(draw):
    ends = draw(st.sampled_from(HOSTS))
    kind = IPv4Address if "." in ends[0] else IPv6Address
    protocol = draw(st.sampled_from([1, 6, 17, 47, 58]))
    port = st.sampled_from(PORTS)
    ports = draw(st.none() | st.tuples(port, port)) if protocol in (6, 17) else None
    return Packet(kind(draw(st.sampled_from(ends))), kind(draw(st.sampled_from(ends))), protocol, ports)


ranges = st.just(ANY_PORT) | st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS)).map(lambda pair: tuple(sorted(pair)))
networks = st.sampled_from(NETWORKS)
protocols = st.sampled_from([ANY_PROTOCOL, ANY_ICMP, 6, 17, 47, 58])
rules = st.builds(AccessRule, st.booleans(), protocols, networks, ranges, networks, ranges)


def decides(rules, packet):
    """Rule by rule, as docs/mirror.md says it."""
    return next((rule.permit for rule in rules if _matches(rule, packet) or _matches(rule, _exchanged(packet))), False)


def _exchanged(packet):
    return Packet(packet.destination, packet.source, packet.protocol, packet.ports and packet.ports[::-1])


def _matches(rule, packet):
    icmp = 1 if packet.source.version == 4 else 58
    if {ANY_PROTOCOL: packet.protocol, ANY_ICMP: icmp}.get(rule.protocol, rule.protocol) != packet.protocol:
        return False
    addresses, wanted = (packet.source, packet.destination), (rule.source, rule.destination)
    if not all(n is None or (n.version == a.version and a in n) for n, a in zip(wanted, addresses, strict=True)):
        return False
    ports, wanted_ports = packet.ports or (None, None), (rule.source_ports, rule.destination_ports)
    return all(w == ANY_PORT or (p is not None and w[0] <= p <= w[1]) for w, p in zip(wanted_ports, ports, strict=True))


class Tables:
    """The maps with one list in them, and the kernel's way of looking up the longest prefix."""

    def __init__(self, rules):
        self.maps = {"access_networks": {}, "access_ports": {}, "access_protos": {}, "access_lists": {}}
        for name, key, value in encode_access_list(NUMBER, masks_of(rules)):
            assert list_of(name, key) == NUMBER
            self.maps[name][key] = value

    def longest(self, name, rest):
        """`rest` is the list's number with the address or port."""
        bits = int.from_bytes(rest)
        found = [
            (struct.unpack_from("=I", key)[0], value)
            for key, value in self.maps[name].items()
            if (bits ^ int.from_bytes(key[4:])) >> (8 * len(rest) - struct.unpack_from("=I", key)[0]) == 0
        ]
        return struct.unpack("=QQ", max(found)[1]) if found else (0, 0)

    def permits(self, packet):
        permit, any_protocol, *portless = struct.unpack("=4Q", self.maps["access_lists"][struct.pack("=I", NUMBER)])
        number, family = struct.pack("=I", NUMBER), packet.source.version
        fits = []
        for place, address in enumerate(packet[:2]):
            mapped = address.packed if family == 6 else bytes(10) + b"\xff\xff" + address.packed
            by_address = self.longest("access_networks", number + mapped)
            port = packet.ports and self.longest("access_ports", number + struct.pack("!HH", packet.ports[place], 0))
            fits.append([a & b for a, b in zip(by_address, port or portless, strict=True)])
        (source, destination) = fits
        fit = source[0] & destination[1] | source[1] & destination[0]
        protocol = self.maps["access_protos"].get(struct.pack("=IHH", NUMBER, packet.protocol, family))
        fit &= any_protocol if protocol is None else struct.unpack("=Q", protocol)[0]
        return bool(fit & -fit & permit)


WEB = AccessRule(True, 6, None, ANY_PORT, None, (80, 80))


@given(st.lists(rules, max_size=8), packets())
@example([], Packet(IPv4Address("10.1.2.3"), IPv4Address("10.1.9.9"), 6, (80, 80)))
@example([WEB] * RULES_MAX, Packet(IPv4Address("10.1.2.3"), IPv4Address("10.1.9.9"), 6, (1, 80)))
def test_the_tables_decide_as_the_rules_do(entries, packet):
    assert Tables(entries).permits(packet) == decides(entries, packet)


def test_the_first_rule_that_fits_decides():
    packet = Packet(IPv4Address("10.1.2.3"), IPv4Address("10.9.9.9"), 6, (80, 1024))
    deny = AccessRule(False, ANY_PROTOCOL, IPv4Network("10.1.0.0/16"))
    assert Tables([WEB, deny]).permits(packet)
    assert not Tables([deny, WEB]).permits(packet)
    assert Tables([*[AccessRule(False, 17)] * (RULES_MAX - 1), WEB]).permits(packet)


@pytest.mark.parametrize("first", PORTS)
@pytest.mark.parametrize("last", PORTS)
def test_a_range_of_ports_is_a_few_prefixes(first, last):
    if first > last:
        first, last = last, first
    tables = Tables([AccessRule(True, 17, None, ANY_PORT, None, (first, last))])
    assert len(tables.maps["access_ports"]) <= 2 * 16 + 1
    for port in {0, 1, first - 1, first, last, last + 1, 65534, 65535} & set(range(1 << 16)):
        packet = Packet(IPv4Address("10.1.2.3"), IPv4Address("10.9.9.9"), 17, (port, port))
        assert tables.permits(packet) == (first <= port <= last)
