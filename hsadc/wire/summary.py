"""A frame in one line for people, and the frame inside it when it is a copy in a tunnel.

    10.0.0.7:40000 > 10.0.0.2:80 TCP PSH ACK seq 5 ack 9, 512 bytes
    192.168.131.2 > 192.168.141.2 GRE key 7 | 10.0.0.7:40000 > 10.0.0.2:80 TCP SYN seq 0 ack 0, 0 bytes

Supported standards: IEEE 802.1Q and 802.1ad tags; ARP (RFC 826); IPv4 (RFC 791); IPv6 with hop-by-hop, routing, destination and
fragment headers (RFC 8200); ICMP (RFC 792), ICMPv6 (RFC 4443, 4861), TCP (RFC 9293), UDP (RFC 768); GRE (RFC 2784, 2890),
ERSPAN I to III (draft-foschiano-erspan-03), VXLAN (RFC 7348), and IP in IP (RFC 2003, 2473). All numbers in network byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from hsadc.errors import WireError

VXLAN_PORTS = frozenset({4789})

_VLAN_TAGS, _MOST_TAGS = (0x8100, 0x88A8), 3
_IPV4, _ARP, _IPV6, _ETHERNET = 0x0800, 0x0806, 0x86DD, 0x6558
_ERSPAN, _ERSPAN_3 = 0x88BE, 0x22EB
_EXTENSIONS, _FRAGMENT, _MOST_EXTENSIONS = (0, 43, 60), 44, 6
_ICMP, _IPIP, _TCP, _UDP, _IP6IP, _GRE, _ICMPV6 = 1, 4, 6, 17, 41, 47, 58
_MOST_TUNNELS = 4
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_ICMP_TYPES = {
    0: "echo reply",
    3: "destination unreachable",
    5: "redirect",
    8: "echo request",
    11: "time exceeded",
    12: "parameter problem",
}
_ICMPV6_TYPES = {
    1: "destination unreachable",
    2: "packet too big",
    3: "time exceeded",
    4: "parameter problem",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbor solicitation",
    136: "neighbor advertisement",
    143: "multicast listener report",
}
_ECHO = ("echo request", "echo reply")


class _Context(NamedTuple):
    """What is known of the packet around: UDP ports of VXLAN, and how many tunnels it is in."""

    vxlan_ports: Collection[int]
    depth: int = 0


def summarise(frame: bytes, vxlan_ports: Collection[int] = VXLAN_PORTS) -> str:
    """What an Ethernet frame is, whatever its bytes are; of one that ends too early, what there is, and `cut off`.

    Args:
        frame: with its tags, without the frame check sequence.
        vxlan_ports: UDP destination ports that mean VXLAN.
    """
    return _whole(_ethernet, frame, _Context(vxlan_ports))


def _whole(read: Callable[..., str], *arguments: Any) -> str:
    try:
        return read(*arguments)
    except WireError:
        return "cut off"


def _unpack(form: str, data: bytes, at: int = 0) -> tuple[Any, ...]:
    """Fields in network byte order.

    Raises:
        WireError: the data ends before.
    """
    try:
        return struct.unpack_from(f"!{form}", data, at)
    except struct.error as e:
        raise WireError("cut off") from e


def _ethernet(frame: bytes, context: _Context) -> str:
    to, by, kind = _unpack("6s6sH", frame)
    at, tags = 14, ""
    for _ in range(_MOST_TAGS):
        if kind in _VLAN_TAGS:
            tag, kind = _unpack("HH", frame, at)
            at, tags = at + 4, f"{tags}vlan {tag & 0x0FFF} "
    if (read := _NETWORKS.get(kind)) is not None:
        return tags + _whole(read, frame[at:], context)
    what = f"type 0x{kind:04x}" if kind >= 0x600 else "802.3"
    return f"{tags}{by.hex(':')} > {to.hex(':')} {what}"


def _arp(data: bytes, _: _Context) -> str:
    operation, mac, sender, target = _unpack("6xH6s4s6x4s", data)
    if operation == 1:
        return f"ARP who has {IPv4Address(target)}, tell {IPv4Address(sender)}"
    return f"ARP {IPv4Address(sender)} is at {mac.hex(':')}"


def _ipv4(data: bytes, context: _Context) -> str:
    first, length, number, place, protocol, source, target = _unpack("BxHHHxB2x4s4s", data)
    ends, at = (str(IPv4Address(source)), str(IPv4Address(target))), (first & 0x0F) * 4
    payload = data[at : length or None]  # a length of 0: a segment that the device has not cut yet
    if offset := (place & 0x1FFF) * 8:
        return _later_fragment(ends, number, offset, payload)
    text = _transport(protocol, ends, payload, context)
    return f"{text} (first fragment of 0x{number:04x})" if place & 0x2000 else text


def _ipv6(data: bytes, context: _Context) -> str:
    length, protocol, source, target = _unpack("4xHBx16s16s", data)
    ends, payload = (str(IPv6Address(source)), str(IPv6Address(target))), data[40 : 40 + length if length else None]
    note = ""
    for _ in range(_MOST_EXTENSIONS):
        if protocol == _FRAGMENT:
            protocol, place, number = _unpack("BxHI", payload)
            if place & 0xFFF8:
                return _later_fragment(ends, number, place & 0xFFF8, payload[8:])
            payload, note = payload[8:], f" (first fragment of 0x{number:08x})"
        elif protocol in _EXTENSIONS:
            protocol, words = _unpack("BB", payload)
            payload = payload[8 + words * 8 :]
    return _transport(protocol, ends, payload, context) + note


def _later_fragment(ends: tuple[str, str], number: int, offset: int, payload: bytes) -> str:
    return f"{ends[0]} > {ends[1]} fragment of 0x{number:04x} at {offset}, {len(payload)} bytes"


def _transport(protocol: int, ends: tuple[str, str], payload: bytes, context: _Context) -> str:
    if (read := _TRANSPORTS.get(protocol)) is None:
        return f"{ends[0]} > {ends[1]} protocol {protocol}, {len(payload)} bytes"
    try:
        return read(ends, payload, context)
    except WireError:
        return f"{ends[0]} > {ends[1]} {_NAMES[protocol]} cut off"


def _tcp(ends: tuple[str, str], data: bytes, _: _Context) -> str:
    source, target, sequence, acknowledged, offset, bits = _unpack("HHIIBB", data)
    flags = "".join(f" {name}" for n, name in enumerate(_FLAGS) if bits >> n & 1)
    size = max(len(data) - (offset >> 4) * 4, 0)
    return f"{_between(ends, source, target)} TCP{flags} seq {sequence} ack {acknowledged}, {size} bytes"


def _udp(ends: tuple[str, str], data: bytes, context: _Context) -> str:
    source, target = _unpack("HH4x", data)
    head = _between(ends, source, target)
    if target not in context.vxlan_ports:
        return f"{head} UDP, {len(data) - 8} bytes"
    flags, vni = _unpack("B3xI", data, 8)
    known = f" vni {vni >> 8}" if flags & 0x08 else ""
    return f"{head} VXLAN{known} | {_inner(_ethernet, data[16:], context)}"


def _between(ends: tuple[str, str], source: int, target: int) -> str:
    first, second = (f"[{end}]" if ":" in end else end for end in ends)
    return f"{first}:{source} > {second}:{target}"


def _icmp(ends: tuple[str, str], data: bytes, _: _Context) -> str:
    return f"{ends[0]} > {ends[1]} ICMP {_control(data, _ICMP_TYPES)}"


def _icmpv6(ends: tuple[str, str], data: bytes, _: _Context) -> str:
    return f"{ends[0]} > {ends[1]} ICMPv6 {_control(data, _ICMPV6_TYPES)}"


def _control(data: bytes, names: dict[int, str]) -> str:
    kind, code, number, sequence = _unpack("BB2xHH", data)
    name = names.get(kind, f"type {kind}")
    if name in _ECHO:
        return f"{name} id {number} seq {sequence}, {len(data) - 8} bytes"
    return f"{name} code {code}" if code else name


def _gre(ends: tuple[str, str], data: bytes, context: _Context) -> str:
    flags, kind = _unpack("HH", data)
    head = f"{ends[0]} > {ends[1]}"
    if flags & 0x4007:  # routing, or another version, whose header is another one
        return f"{head} GRE version {flags & 7} type 0x{kind:04x}"
    at, said = 4 + 4 * (flags >> 15), ""
    for bit, word in ((0x2000, "key"), (0x1000, "seq")):
        if flags & bit:
            said, at = f"{said} {word} {_unpack('I', data, at)[0]}", at + 4
    if kind in (_ERSPAN, _ERSPAN_3):
        return f"{head} {_erspan(kind, bool(flags & 0x1000), said, data[at:], context)}"
    if (read := _PAYLOADS.get(kind)) is None:
        return f"{head} GRE{said} type 0x{kind:04x}, {len(data) - at} bytes"
    return f"{head} GRE{said} | {_inner(read, data[at:], context)}"


def _erspan(kind: int, numbered: bool, said: str, data: bytes, context: _Context) -> str:
    if kind == _ERSPAN and not numbered:
        return f"ERSPAN I | {_inner(_ethernet, data, context)}"
    (first,) = _unpack("I", data)
    if kind == _ERSPAN:
        version, at = "II", 8
    else:
        version, at = "III", 20 if _unpack("8xI", data)[0] & 1 else 12  # O: eight more bytes
    return f"ERSPAN {version} session {first & 0x3FF}{said} | {_inner(_ethernet, data[at:], context)}"


def _ip_in_ip(ends: tuple[str, str], data: bytes, context: _Context) -> str:
    return f"{ends[0]} > {ends[1]} IPIP | {_inner(_ip, data, context)}"


def _ip(data: bytes, context: _Context) -> str:
    (first,) = _unpack("B", data)
    return _ipv6(data, context) if first >> 4 == 6 else _ipv4(data, context)


def _inner(read: Callable[[bytes, _Context], str], data: bytes, context: _Context) -> str:
    """What is in a tunnel; tunnels in tunnels without end are not followed."""
    if context.depth == _MOST_TUNNELS:
        return "..."
    return _whole(read, data, context._replace(depth=context.depth + 1))


_NETWORKS = {_IPV4: _ipv4, _IPV6: _ipv6, _ARP: _arp}
_PAYLOADS = {_IPV4: _ipv4, _IPV6: _ipv6, _ETHERNET: _ethernet}
_TRANSPORTS = {_ICMP: _icmp, _IPIP: _ip_in_ip, _TCP: _tcp, _UDP: _udp, _IP6IP: _ip_in_ip, _GRE: _gre, _ICMPV6: _icmpv6}
_NAMES = {_ICMP: "ICMP", _IPIP: "IPIP", _TCP: "TCP", _UDP: "UDP", _IP6IP: "IPIP", _GRE: "GRE", _ICMPV6: "ICMPv6"}
