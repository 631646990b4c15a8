"""A packet of a flow, made to see what the mirror does with it.

Supported standards: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP), RFC 1071 (their checksums).

    | Ethernet (14), no VLAN tag | IPv4 (20) or IPv6 (40) | TCP (20) or UDP (8) | payload |
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from hsadc.wire import ip
from hsadc.wire.checksum import internet_checksum

TCP, UDP = 6, 17
PROTOCOLS = {TCP: "TCP", UDP: "UDP"}
ETHERNET_BYTES = 14
SYN, ACK_PSH = 0x02, 0x18
"""TCP flags of a connection's first segment, and of one with data."""
PAYLOAD = b"hsadc mirror probe"
"""What a probe says, so that whoever sees it at the analyzer knows it."""

_MACS = bytes.fromhex("020000000002 020000000001")  # of a machine's own choice (IEEE 802c), and nobody's
_TTL, _WINDOW = 64, 65535
_HEADER_BYTES = {TCP: 20, UDP: 8}


class Flow(NamedTuple):
    """The five that tell flows apart.

    Attributes:
        source: where it comes from.
        source_port: 0 to 65535.
        destination: where it goes to; of the same family.
        destination_port: 0 to 65535.
        protocol: 6 (TCP) or 17 (UDP).
    """

    source: IPv4Address | IPv6Address
    source_port: int
    destination: IPv4Address | IPv6Address
    destination_port: int
    protocol: int

    @property
    def reverse(self) -> Flow:
        """What the other end sends."""
        return Flow(self.destination, self.destination_port, self.source, self.source_port, self.protocol)

    @property
    def header_bytes(self) -> int:
        """IP and TCP or UDP header of its packets."""
        outer = ip.IPV6_BYTES if isinstance(self.destination, IPv6Address) else ip.IPV4_BYTES
        return outer + _HEADER_BYTES[self.protocol]


def frame(flow: Flow, payload: bytes = PAYLOAD, flags: int = SYN) -> bytes:
    """An Ethernet frame with a packet of a flow, its checksums right.

    Args:
        flow: its ends.
        payload: what it carries; the IP packet has at most 65535 bytes.
        flags: of the TCP header.
    """
    segment = _segment(flow, payload, flags)
    head = bytearray(ip.template(flow.source, flow.destination, flow.protocol, _TTL, 0, False))
    if isinstance(flow.destination, IPv6Address):
        struct.pack_into("!H", head, 4, len(segment))
        return _MACS + b"\x86\xdd" + head + segment
    struct.pack_into("!H", head, 2, len(head) + len(segment))
    struct.pack_into("!H", head, 10, internet_checksum(head))
    return _MACS + b"\x08\x00" + head + segment


def frame_of(flow: Flow, ip_bytes: int) -> bytes:
    """A frame whose IP packet has so many bytes, as a connection's data has; `ip_bytes` is at least the headers' length."""
    return frame(flow, bytes(ip_bytes - flow.header_bytes), ACK_PSH)


def _segment(flow: Flow, payload: bytes, flags: int) -> bytes:
    ports = struct.pack("!HH", flow.source_port, flow.destination_port)
    if flow.protocol == TCP:
        head, at = ports + struct.pack("!IIBBHHH", 0, 0, 5 << 4, flags, _WINDOW, 0, 0), 16
    else:
        head, at = ports + struct.pack("!HH", _HEADER_BYTES[UDP] + len(payload), 0), 6
    segment = bytearray(head + payload)
    pseudo = flow.source.packed + flow.destination.packed + struct.pack("!II", len(segment), flow.protocol)
    checksum = internet_checksum(pseudo + segment)
    struct.pack_into("!H", segment, at, checksum or (0xFFFF if flow.protocol == UDP else 0))
    return bytes(segment)
