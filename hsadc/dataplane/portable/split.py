"""A TCP segment cut into smaller ones, as segmentation offload would have made them (docs/mirror.md, "Oversize").

    segment   | IP | TCP | payload 0 .. n-1                  |
    piece k   | IP | TCP | payload offset .. offset+length-1 |   IP: length, id + k; TCP: sequence + offset, flags, checksum

Supported standards: RFC 791, RFC 8200 (section 8.1: pseudo-header), RFC 9293, RFC 3168 (CWR).
"""

from __future__ import annotations

import struct

from hsadc.dataplane.portable.packet import IPV4, TCP, Packet
from hsadc.wire.checksum import internet_checksum

PIECES_MAX = 8
_FIN, _SYN, _RST, _PSH, _URG, _CWR = 0x01, 0x02, 0x04, 0x08, 0x20, 0x80
_TCP_BYTES = 20


def split(packet: Packet, ip_bytes_max: int) -> list[bytes] | None:
    """The pieces of a packet's TCP segment.

    Args:
        packet: a complete IP packet.
        ip_bytes_max: the largest IP packet that may result.

    Returns:
        IP packets without Ethernet header; None when the packet cannot be split, or not into so few.
    """
    header, frame, end = packet.header, packet.frame, packet.at + packet.length
    if header is None or header.protocol != TCP or header.extended or header.offset or header.more:
        return None
    start = header.start
    if end < start + _TCP_BYTES or frame[start + 13] & (_SYN | _RST | _URG):
        return None
    data_at = start + (frame[start + 12] >> 4) * 4
    if not start + _TCP_BYTES <= data_at <= end:
        return None
    payload, room = end - data_at, ip_bytes_max - (data_at - packet.at)
    if room <= 0 or not 0 < payload <= room * PIECES_MAX:
        return None
    number = -(-payload // room)
    size = -(-payload // number)
    places = range(0, payload, size)
    return [_piece(packet, start, data_at, at, min(at + size, payload), k) for k, at in enumerate(places)]


def _piece(packet: Packet, start: int, data_at: int, at: int, end: int, number: int) -> bytes:
    ip, tcp = bytearray(packet.frame[packet.at : start]), bytearray(packet.frame[start:data_at])
    data = packet.frame[data_at + at : data_at + end]
    last = data_at + end == packet.at + packet.length
    if not last:
        tcp[13] &= ~(_FIN | _PSH)
    if number:
        tcp[13] &= ~_CWR
    sequence = struct.unpack_from("!I", tcp, 4)[0]
    struct.pack_into("!I", tcp, 4, (sequence + at) & 0xFFFFFFFF)
    struct.pack_into("!H", tcp, 16, 0)
    length = len(tcp) + len(data)
    if packet.ethertype == IPV4:
        identification = struct.unpack_from("!H", ip, 4)[0]
        struct.pack_into("!HH", ip, 2, len(ip) + length, (identification + number) & 0xFFFF)
        struct.pack_into("!H", ip, 10, 0)
        struct.pack_into("!H", ip, 10, internet_checksum(ip))
        pseudo = ip[12:20] + struct.pack("!HH", TCP, length)
    else:
        struct.pack_into("!H", ip, 4, length)
        pseudo = ip[8:40] + struct.pack("!IHH", length, 0, TCP)
    struct.pack_into("!H", tcp, 16, internet_checksum(pseudo + tcp + data))
    return bytes(ip + tcp + data)
