"""Outer IP headers: their templates, what is patched into them, and fragments.

Supported standards: RFC 791 (IPv4), RFC 8200 (IPv6; section 4.5: the fragment header).

    IPv4, 20 bytes                                                       IPv6, 40 bytes
    +-------+-------+---------------+-------------------------------+   +-------+---------------+-----------------------+
    |   4   |   5   |      TOS      |         Total length          |   |   6   | Traffic class |      Flow label       |
    +-------+-------+---------------+-----+-------------------------+   +-------+---------------+-------+---------------+
    |        Identification         |flags|     Fragment offset     |   |        Payload length         |  Next | Hops  |
    +---------------+---------------+-----+-------------------------+   +-------------------------------+-------+-------+
    | Time to live  |   Protocol    |        Header checksum        |   |        Source address, 16 bytes               |
    +---------------+---------------+-------------------------------+   +-----------------------------------------------+
    |                        Source address                         |   |        Destination address, 16 bytes          |
    +---------------------------------------------------------------+   +-----------------------------------------------+
    |                      Destination address                      |
    +---------------------------------------------------------------+

    IPv6 fragment header, 8 bytes: next header, 0, offset (13 bits, in units of 8 bytes) 0 0 M, identification (32 bits)
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from hsadc.wire.checksum import internet_checksum

IPV4_BYTES, IPV6_BYTES, FRAGMENT_BYTES = 20, 40, 8
GRE, UDP, FRAGMENT = 47, 17, 44
FRAGMENTS_MAX = 8
_DONT_FRAGMENT, _MORE = 0x4000, 0x2000


def template(
    source: IPv4Address | IPv6Address,
    destination: IPv4Address | IPv6Address,
    protocol: int,
    ttl: int,
    dscp: int,
    dont_fragment: bool,
) -> bytes:
    """A header of the addresses' family whose length, identification and checksum are zero."""
    if isinstance(destination, IPv6Address):
        return struct.pack("!IHBB", 6 << 28 | dscp << 22, 0, protocol, ttl) + source.packed + destination.packed
    flags = _DONT_FRAGMENT if dont_fragment else 0
    return struct.pack("!BBHHHBBH", 0x45, dscp << 2, 0, 0, flags, ttl, protocol, 0) + source.packed + destination.packed


def word_sum(header: bytes) -> int:
    """The sum of the 16-bit words of an IPv4 header, not folded: `patch` continues it."""
    return sum(struct.unpack(f"!{len(header) // 2}H", header))


def checksum(total: int) -> int:
    """The Internet checksum (RFC 1071) of words whose plain sum is `total`, at most 32 bits."""
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def fragments(packet: bytes, mtu_bytes: int, identification: int) -> list[bytes]:
    """Cut an outer packet with a header of 20 (IPv4) or 40 bytes (IPv6, without extension headers) into fragments.

    They are as few as possible and of about equal size, so that none is very short.

    Args:
        packet: the whole packet, larger than `mtu_bytes`.
        mtu_bytes: the largest fragment.
        identification: of the IPv6 fragment header, 32 bits; IPv4's is in the packet.

    Returns:
        The fragments in order, as many as are needed.
    """
    if packet[0] >> 4 == 6:
        return _fragments_ipv6(packet, mtu_bytes, identification)
    size = _part_bytes(len(packet) - IPV4_BYTES, mtu_bytes - IPV4_BYTES)
    found = []
    for at in range(IPV4_BYTES, len(packet), size):
        data = packet[at : at + size]
        flags = (at - IPV4_BYTES) >> 3 | (_MORE if at + size < len(packet) else 0)
        head = packet[:2] + struct.pack("!H", IPV4_BYTES + len(data)) + packet[4:6] + struct.pack("!H", flags) + packet[8:10]
        found.append(head + struct.pack("!H", internet_checksum(head + packet[12:20])) + packet[12:20] + data)
    return found


def _part_bytes(total: int, room: int) -> int:
    """How many of `total` bytes each fragment but the last one takes, a multiple of 8; at most `room` fit."""
    number = -(-total // (room & ~7))
    return -(-total // number) + 7 & ~7


def _fragments_ipv6(packet: bytes, mtu_bytes: int, identification: int) -> list[bytes]:
    size = _part_bytes(len(packet) - IPV6_BYTES, mtu_bytes - IPV6_BYTES - FRAGMENT_BYTES)
    found = []
    for at in range(IPV6_BYTES, len(packet), size):
        data = packet[at : at + size]
        head = packet[:4] + struct.pack("!HBB", FRAGMENT_BYTES + len(data), FRAGMENT, packet[7]) + packet[8:40]
        place = at - IPV6_BYTES | (at + size < len(packet))
        found.append(head + struct.pack("!BBHI", packet[6], 0, place, identification & 0xFFFFFFFF) + data)
    return found
