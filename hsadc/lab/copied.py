"""What arrives at the analyzer: a frame, in it a GRE packet, in that a copied IP packet, in that a TCP segment.

Supported standards: IPv4 (RFC 791), GRE (RFC 2784; key and sequence number of RFC 2890), TCP (RFC 9293); all in network byte
order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from hsadc.errors import WireError
from hsadc.wire.checksum import internet_checksum
from hsadc.wire.receive import decapsulate_frame

_TCP = 6

FIN = 0x01
SYN = 0x02
RST = 0x04


@dataclass(frozen=True, slots=True)
class Copy:
    """A copied packet as it arrived.

    Attributes:
        source: outer source address, the ADC.
        destination: outer destination address, the analyzer.
        ttl: outer time to live, as it arrived.
        packet: the copied IP packet, from its header on.
    """

    source: IPv4Address
    destination: IPv4Address
    ttl: int
    packet: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment with the addresses of the packet it came in.

    Attributes:
        source: address and port.
        destination: address and port.
        sequence: of its first byte, or of SYN; 32 bits.
        flags: the low eight, see FIN, SYN, RST.
        data: what it carries.
        packet: the IP packet as a whole, by which copies of one packet are known.
        ip_sound: the checksum of the IP header is right.
        tcp_sound: the checksum of the segment is right.
    """

    source: tuple[IPv4Address, int]
    destination: tuple[IPv4Address, int]
    sequence: int
    flags: int
    data: bytes
    packet: bytes
    ip_sound: bool
    tcp_sound: bool


def decapsulate(frame: bytes) -> Copy:
    """Take a copied IPv4 packet out of an Ethernet frame.

    Raises:
        WireError: anything else is in there, or a fragment, or the outer header's checksum is wrong.
    """
    found = decapsulate_frame(frame)
    if not isinstance(found.source, IPv4Address) or not isinstance(found.destination, IPv4Address):
        raise WireError("outer packet is not IPv4")
    if found.kind != "gre" or found.is_ethernet or not found.payload or found.payload[0] >> 4 != 4:
        raise WireError("what is carried is not an IPv4 packet in GRE")
    return Copy(found.source, found.destination, found.ttl, found.payload)


def segment(packet: bytes) -> Segment:
    """Read a TCP segment out of an IPv4 packet; wrong checksums are reported, not raised.

    Raises:
        WireError: it is none, or cut short, or a fragment.
    """
    header, tcp = _split(packet)
    if len(tcp) < 20 or (offset := (tcp[12] >> 4) * 4) < 20 or len(tcp) < offset:
        raise WireError("inner TCP header cut short")
    source_port, destination_port, sequence = struct.unpack_from(">HHI", tcp)
    pseudo = header[12:20] + struct.pack(">BBH", 0, _TCP, len(tcp))
    return Segment(
        source=(IPv4Address(header[12:16]), source_port),
        destination=(IPv4Address(header[16:20]), destination_port),
        sequence=sequence,
        flags=tcp[13],
        data=tcp[offset:],
        packet=header + tcp,
        ip_sound=not internet_checksum(header),
        tcp_sound=not internet_checksum(pseudo + tcp),
    )


def _split(packet: bytes) -> tuple[bytes, bytes]:
    """An IPv4 packet's header and payload; what follows the packet (Ethernet's padding) is left out."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        raise WireError("inner packet is not IPv4")
    header_length = (packet[0] & 0xF) * 4
    total_length, _, fragment = struct.unpack_from(">HHH", packet, 2)
    if not 20 <= header_length <= total_length <= len(packet):
        raise WireError("inner packet cut short")
    if fragment & 0x3FFF:  # more fragments, or an offset
        raise WireError("inner packet is a fragment")
    if packet[9] != _TCP:
        raise WireError(f"inner packet has protocol {packet[9]}")
    return packet[:header_length], packet[header_length:total_length]
