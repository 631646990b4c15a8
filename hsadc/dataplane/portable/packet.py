"""A packet is read: what the mirror must know of a frame to select it and to copy it (docs/mirror.md).

Supported standards: IEEE 802.3, 802.1Q and 802.1ad (up to three tags), RFC 791 (IPv4), RFC 8200 (IPv6 with hop-by-hop, routing,
destination and fragment headers), RFC 9293 and RFC 768 (ports), RFC 792 and RFC 4443 (errors, which quote a packet).
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import NamedTuple

IPV4, IPV6 = 0x0800, 0x86DD
TCP, UDP, GRE = 6, 17, 47
ICMP, ICMPV6 = 1, 58
_VLANS = (0x8100, 0x88A8)
_TAGS_MAX, _EXTENSIONS_MAX = 3, 6
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60
_EXTENSIONS = (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION)
_ICMP_ERRORS = (3, 4, 5, 11, 12)
_ICMPV6_INFORMATIONAL = 128  # and above: no errors (RFC 4443, section 2.1)
_ICMP_HEADER_BYTES = 8
MAPPED = bytes(10) + b"\xff\xff"
"""What stands before an IPv4 address that is written as an IPv6 one."""

FRAGMENTS_REMEMBERED = 8192


class Header(NamedTuple):
    """An IP header with its extension headers.

    Attributes:
        source: 16 bytes, IPv4 as ::ffff:a.b.c.d.
        destination: as `source`.
        protocol: of what follows the headers.
        start: offset of what follows, in the frame.
        identification: of the fragments, 32 bits (IPv4: 16).
        offset: of this fragment, 0 for a whole packet.
        more: whether further fragments follow.
        extended: whether there are IPv6 extension headers.
    """

    source: bytes
    destination: bytes
    protocol: int
    start: int
    identification: int = 0
    offset: int = 0
    more: bool = False
    extended: bool = False


class Packet:
    """What is known of a frame.

    Attributes:
        frame: from the destination's MAC address on.
        at: offset of what stands behind the Ethernet header and the VLAN tags.
        length: bytes from there on, without what follows a complete IP packet.
        complete: whether it is a complete IPv4 or IPv6 packet.
        tag: the 16 bits of the outermost VLAN tag; None without one.
        ethertype: behind the tags; 0 in a frame that has none.
        header: the IP header; None when it could not be read.
        ports: source and destination port; None where there are none or they are not known.
    """

    __slots__ = ("at", "complete", "ethertype", "frame", "header", "length", "ports", "tag")

    frame: bytes
    at: int
    length: int
    complete: bool
    tag: int | None
    ethertype: int
    header: Header | None
    ports: tuple[int, int] | None


class FragmentMemory:
    """The ports of datagrams whose first fragment was seen; the least recently used is forgotten first."""

    def __init__(self, capacity: int = FRAGMENTS_REMEMBERED) -> None:
        self._capacity = capacity
        self._ports: OrderedDict[tuple[bytes, bytes, int, int], tuple[int, int]] = OrderedDict()

    def remember(self, header: Header, ports: tuple[int, int]) -> None:
        """Keep the ports of a first fragment."""
        key = (header.source, header.destination, header.identification, header.protocol)
        self._ports[key] = ports
        self._ports.move_to_end(key)
        if len(self._ports) > self._capacity:
            self._ports.popitem(last=False)

    def recall(self, header: Header) -> tuple[int, int] | None:
        """The ports of a later fragment; None when the first was not seen, or too long ago."""
        key = (header.source, header.destination, header.identification, header.protocol)
        if (ports := self._ports.get(key)) is not None:
            self._ports.move_to_end(key)
        return ports


def read(frame: bytes, memory: FragmentMemory) -> Packet:
    """Read a frame, whatever it is."""
    packet = Packet()
    packet.frame = frame
    packet.tag = None
    at, ethertype = 14, int.from_bytes(frame[12:14])
    for number in range(_TAGS_MAX):
        if ethertype not in _VLANS or len(frame) < at + 4:
            break
        tag, ethertype = struct.unpack_from("!HH", frame, at)
        at += 4
        if number == 0:
            packet.tag = tag
    packet.at, packet.ethertype = min(at, len(frame)), ethertype
    packet.complete, packet.length = _measure(frame, at, ethertype)
    packet.header = header = read_header(frame, at, ethertype)
    packet.ports = None
    if header is not None and header.protocol in (TCP, UDP):
        packet.ports = _ports(frame, header, memory)
        if packet.ports is None and not header.offset:
            packet.header = None
    return packet


def _measure(frame: bytes, at: int, ethertype: int) -> tuple[bool, int]:
    """Whether there is a complete IP packet, and how many bytes of the frame are the packet."""
    available = max(len(frame) - at, 0)
    if ethertype == IPV4 and available >= 20 and frame[at] >> 4 == 4:
        total = frame[at + 2] << 8 | frame[at + 3]
        if 20 <= (frame[at] & 15) * 4 <= total <= available:
            return True, total
    elif ethertype == IPV6 and available >= 40 and frame[at] >> 4 == 6:
        total = 40 + (frame[at + 4] << 8 | frame[at + 5])
        if total <= available:
            return True, total
    return False, available


def read_header(data: bytes, at: int, ethertype: int) -> Header | None:
    """The IP header at an offset; None when there is none, or it is cut off, or there are too many extension headers."""
    if ethertype == IPV4:
        return _read_ipv4(data, at)
    if ethertype == IPV6:
        return _read_ipv6(data, at)
    return None


def _read_ipv4(data: bytes, at: int) -> Header | None:
    if len(data) < at + 20:
        return None
    first, identification, place, protocol = struct.unpack_from("!B3xHHxB", data, at)
    start = at + (first & 15) * 4
    if first >> 4 != 4 or start < at + 20 or len(data) < start:
        return None
    source, destination = MAPPED + data[at + 12 : at + 16], MAPPED + data[at + 16 : at + 20]
    if place & 0x3FFF == 0:
        return Header(source, destination, protocol, start)
    return Header(source, destination, protocol, start, identification, (place & 0x1FFF) * 8, bool(place & 0x2000))


def _read_ipv6(data: bytes, at: int) -> Header | None:
    if len(data) < at + 40 or data[at] >> 4 != 6:
        return None
    protocol, start = data[at + 6], at + 40
    source, destination = data[at + 8 : at + 24], data[at + 24 : at + 40]
    identification, offset, more, extended = 0, 0, False, protocol in _EXTENSIONS
    for _ in range(_EXTENSIONS_MAX):
        if protocol not in _EXTENSIONS or offset:
            break
        if len(data) < start + 8:
            return None
        length = 8 + data[start + 1] * 8
        if protocol == _FRAGMENT:
            length = 8
            place, identification = struct.unpack_from("!HI", data, start + 2)
            offset, more = place & 0xFFF8, bool(place & 1)
        protocol, start = data[start], start + length
    if (protocol in _EXTENSIONS and not offset) or len(data) < start:
        return None
    return Header(source, destination, protocol, start, identification, offset, more, extended)


def _ports(frame: bytes, header: Header, memory: FragmentMemory) -> tuple[int, int] | None:
    if header.offset:
        return memory.recall(header)
    if (ports := read_ports(frame, header.start)) is not None and header.more:
        memory.remember(header, ports)
    return ports


def read_ports(data: bytes, start: int) -> tuple[int, int] | None:
    """Source and destination port of the TCP or UDP header at an offset; None when they are cut off."""
    return struct.unpack_from("!HH", data, start) if len(data) >= start + 4 else None


def quoted(packet: Packet) -> tuple[Header, tuple[int, int] | None] | None:
    """Header and ports of the packet that an ICMP or ICMPv6 error quotes; None when this is no such error."""
    header = packet.header
    if header is None or header.offset or len(packet.frame) <= header.start:
        return None
    if header.protocol != (ICMP if packet.ethertype == IPV4 else ICMPV6):
        return None
    kind = packet.frame[header.start]
    is_error = kind in _ICMP_ERRORS if header.protocol == ICMP else kind < _ICMPV6_INFORMATIONAL
    if not is_error:
        return None
    inner = read_header(packet.frame, header.start + _ICMP_HEADER_BYTES, packet.ethertype)
    if inner is None:
        return None
    ports = read_ports(packet.frame, inner.start) if inner.protocol in (TCP, UDP) and not inner.offset else None
    return inner, ports
