"""Access lists on flows (docs/mirror.md): the first entry that matches the packet, as it is or exchanged, decides."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network

from hsadc.dataplane.portable.packet import ICMP, ICMPV6, IPV4, MAPPED, TCP, UDP, Packet
from hsadc.intent.mirror import ANY_ICMP, ANY_PORT, ANY_PROTOCOL, AccessListIntent, AccessRule

_End = tuple[int, int]
"""Address as a number of 128 bits, plus 2**128 in an IPv4 packet; and port, -1 where there is none."""
_IPV4 = 1 << 128
_Test = Callable[[int, int, _End, _End], bool]


def compile_list(intent: AccessListIntent | None) -> Callable[[Packet], bool]:
    """The function that tells whether a list permits a packet; no list permits all."""
    if intent is None:
        return lambda _: True
    entries = [(rule.permit, _compile_rule(rule)) for rule in intent.rules]

    def permits(packet: Packet) -> bool:
        header = packet.header
        if header is None:
            return False
        ports = packet.ports or (-1, -1)
        family = _IPV4 if packet.ethertype == IPV4 else 0  # an IPv6 network has no IPv4 addresses, ::/0 neither
        source = family + int.from_bytes(header.source), ports[0]
        destination = family + int.from_bytes(header.destination), ports[1]
        for permit, test in entries:
            if test(header.protocol, packet.ethertype, source, destination):
                return permit
        return False

    return permits


def _compile_rule(rule: AccessRule) -> _Test:
    first, second = _compile_end(rule.source, rule.source_ports), _compile_end(rule.destination, rule.destination_ports)
    named = (rule.source_ports, rule.destination_ports) != (ANY_PORT, ANY_PORT)

    def test(protocol: int, ethertype: int, source: _End, destination: _End) -> bool:
        if rule.protocol == ANY_ICMP:
            if protocol != (ICMP if ethertype == IPV4 else ICMPV6):
                return False
        elif rule.protocol not in (ANY_PROTOCOL, protocol):
            return False
        if named and protocol not in (TCP, UDP):
            return False
        return (first(source) and second(destination)) or (first(destination) and second(source))

    return test


def _compile_end(network: IPv4Network | IPv6Network | None, ports: tuple[int, int]) -> Callable[[_End], bool]:
    low, high = (-1, 65535) if ports == ANY_PORT else ports
    if network is None:
        return lambda end: low <= end[1] <= high
    family = _IPV4 + int.from_bytes(MAPPED + bytes(4)) if isinstance(network, IPv4Network) else 0
    first, last = family + int(network.network_address), family + int(network.broadcast_address)
    return lambda end: first <= end[0] <= last and low <= end[1] <= high
