"""What the kernel leaves to a device, done here: a large segment is cut into the frames that a wire would carry, with checksums.

An AF_PACKET socket sees packets as the kernel handles them: up to 64 kB (more with BIG TCP) long, their transport checksum a
promise. `struct virtio_net_hdr` (linux/virtio_net.h, in the machine's byte order) in front of each packet says what is open:

    flags (8) | gso_type (8) | hdr_len (16) | gso_size (16) | csum_start (16) | csum_offset (16)

Supported standards: RFC 791 and RFC 8200 (lengths, identification), RFC 9293 (TCP), RFC 3168, section 6.1.2 (CWR is set once),
RFC 768 (UDP), RFC 2675 (the jumbo payload option of BIG TCP, which no wire carries), RFC 9260, appendix A (CRC32c of SCTP).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hsadc.wire.checksum import internet_checksum

HEADER_BYTES = 10
NEEDS_CHECKSUM = 1
"""In `flags`: the checksum at csum_start + csum_offset holds the sum of the pseudo header alone."""
TCP_IPV4, TCP_IPV6, UDP = 1, 4, 5
"""In `gso_type`: what the packet is to be cut into; 0 is nothing. 0x80 is set when CWR is."""

_HEADER = struct.Struct("=BBHHHH")
_ECN = 0x80
_VLAN_TYPES = (0x8100, 0x88A8)
_TCP, _UDP, _SCTP = 6, 17, 132
_IPV6_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options
_JUMBO_OPTION = 0xC2
_FIN, _PSH, _CWR = 0x01, 0x08, 0x80
_SCTP_CHECKSUM_OFFSET = 8


@dataclass(frozen=True, slots=True)
class Offload:
    """What the kernel left open.

    Attributes:
        needs_checksum: whether the transport checksum is to be completed.
        gso_type: TCP_IPV4, TCP_IPV6 or UDP; 0 when the packet is one frame.
        gso_size: bytes of payload in each frame.
        checksum_start: offset in the frame of what the checksum covers.
        checksum_offset: offset of the checksum, from there.
    """

    needs_checksum: bool = False
    gso_type: int = 0
    gso_size: int = 0
    checksum_start: int = 0
    checksum_offset: int = 0

    @classmethod
    def decode(cls, header: bytes) -> Offload:
        """Read a `struct virtio_net_hdr` of 10 bytes."""
        flags, gso_type, _, size, start, offset = _HEADER.unpack(header)
        return cls(bool(flags & NEEDS_CHECKSUM), gso_type & ~_ECN, size, start, offset)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the headers of a frame begin: offsets of the IP and the transport header, and what follows IP."""

    ip: int
    transport: int
    protocol: int


def segments(frame: bytes, offload: Offload) -> list[bytes]:
    """The frames that a wire would carry.

    Args:
        frame: an Ethernet frame as the kernel handles it, without the VLAN tag that stands beside it.
        offload: what is open; its offsets are those of `frame`.

    Returns:
        The frames in order, finished; empty when the packet cannot be cut: its headers are cut off, or a tunnel's.
    """
    if not offload.gso_type:
        return [_completed(frame, offload) if offload.needs_checksum else frame]
    frame = _without_jumbo(frame)
    place = _locate(frame)
    if place is None or not offload.gso_size:
        return []
    if offload.gso_type in (TCP_IPV4, TCP_IPV6) and place.protocol == _TCP:
        return _tcp_segments(frame, place, offload.gso_size)
    if offload.gso_type == UDP and place.protocol == _UDP:
        return _udp_datagrams(frame, place, offload)
    return []


def _completed(frame: bytes, offload: Offload) -> bytes:
    start, at = offload.checksum_start, offload.checksum_start + offload.checksum_offset
    if at + 2 > len(frame):
        return frame
    if offload.checksum_offset == _SCTP_CHECKSUM_OFFSET:
        zeroed = frame[:at] + bytes(4) + frame[at + 4 :]
        return frame[:at] + _crc32c(memoryview(zeroed)[start:]).to_bytes(4, "little") + frame[at + 4 :]
    # UDP says "no checksum" by 0, so what comes to 0 is sent as its other form; in TCP both are right.
    value = internet_checksum(memoryview(frame)[start:]) or 0xFFFF
    return frame[:at] + value.to_bytes(2, "big") + frame[at + 2 :]


def _network(frame: bytes) -> tuple[int, int]:
    """Ethertype behind the VLAN tags, and the offset of what follows; 0 when the frame is cut off."""
    offset = 12
    while offset + 2 <= len(frame):
        ethertype = int.from_bytes(frame[offset : offset + 2], "big")
        if ethertype not in _VLAN_TYPES:
            return ethertype, offset + 2
        offset += 4
    return 0, offset


def _without_jumbo(frame: bytes) -> bytes:
    """The frame without the hop-by-hop header that the kernel puts into IPv6 packets above 64 kB."""
    ethertype, ip = _network(frame)
    if ethertype != 0x86DD or len(frame) < ip + 48 or frame[ip + 6] != 0:
        return frame
    following, length, option = frame[ip + 40 : ip + 43]
    if length or option != _JUMBO_OPTION:
        return frame
    return frame[: ip + 6] + bytes([following]) + frame[ip + 7 : ip + 40] + frame[ip + 48 :]


def _locate(frame: bytes) -> _Place | None:
    """Where the transport header is; None when it is not all there."""
    ethertype, ip = _network(frame)
    if ethertype == 0x0800 and len(frame) >= ip + 20:
        place = _Place(ip, ip + (frame[ip] & 0x0F) * 4, frame[ip + 9])
    elif ethertype == 0x86DD and len(frame) >= ip + 40:
        place = _ipv6_place(frame, ip)
    else:
        return None
    return place if len(frame) >= place.transport + (20 if place.protocol == _TCP else 8) else None


def _ipv6_place(frame: bytes, ip: int) -> _Place:
    following, offset = frame[ip + 6], ip + 40
    while following in _IPV6_EXTENSIONS and offset + 8 <= len(frame):
        following, offset = frame[offset], offset + 8 + frame[offset + 1] * 8
    return _Place(ip, offset, following)


class _Headers:
    """The headers of a packet, to be put in front of each piece of its payload.

    Of IP and transport checksum all is summed up in advance that is the same in each frame; sums are those of 16-bit words,
    modulo 65535.
    """

    def __init__(self, frame: bytes, place: _Place, length: int) -> None:
        """Take the first `length` bytes of the frame."""
        self._bytes = bytearray(frame[:length])
        self._place = place
        self._ipv4 = frame[place.ip] >> 4 == 4
        self._identification = int.from_bytes(frame[place.ip + 4 : place.ip + 6], "big")
        ip = place.ip
        if self._ipv4:
            for field in (ip + 2, ip + 4, ip + 10):  # total length, identification, checksum
                self._bytes[field : field + 2] = b"\0\0"
            self._ip_sum = int.from_bytes(self._bytes[ip : place.transport], "big") % 0xFFFF
        addresses = self._bytes[ip + 12 : ip + 20] if self._ipv4 else self._bytes[ip + 8 : ip + 40]
        self._pseudo = int.from_bytes(addresses, "big") % 0xFFFF + place.protocol

    def ip(self, number: int, payload_bytes: int) -> None:
        """Write lengths and identification of the frame of this number (from 0), with so many bytes behind the headers."""
        ip, end = self._place.ip, len(self._bytes) + payload_bytes
        if not self._ipv4:
            struct.pack_into("!H", self._bytes, ip + 4, end - ip - 40)
            return
        total, identification = end - ip, (self._identification + number) & 0xFFFF
        checksum = -(self._ip_sum + total + identification) % 0xFFFF
        struct.pack_into("!HH", self._bytes, ip + 2, total, identification)
        struct.pack_into("!H", self._bytes, ip + 10, checksum)

    def finish(self, checksum_offset: int, payload: bytes) -> bytes:
        """The frame with this payload, its transport checksum computed; all other fields are as they shall be."""
        start = self._place.transport
        struct.pack_into("!H", self._bytes, start + checksum_offset, 0)
        length = len(self._bytes) - start + len(payload)
        odd = len(payload) % 2
        total = int.from_bytes(self._bytes[start:], "big") + (int.from_bytes(payload, "big") << 8 * odd)
        checksum = -(self._pseudo + length + total) % 0xFFFF
        if not checksum and self._place.protocol == _UDP:  # there 0 says that there is none
            checksum = 0xFFFF
        struct.pack_into("!H", self._bytes, start + checksum_offset, checksum)
        return bytes(self._bytes) + payload

    def unsummed(self, payload: bytes) -> bytes:
        """The frame with this payload and the transport checksum as it is."""
        return bytes(self._bytes) + payload

    def put(self, form: str, offset: int, *values: int) -> None:
        """Write fields of the transport header."""
        struct.pack_into(form, self._bytes, self._place.transport + offset, *values)


def _tcp_segments(frame: bytes, place: _Place, size: int) -> list[bytes]:
    """Sequence numbers go on; FIN and PSH belong to the last segment, CWR to the first."""
    start = place.transport
    data = start + (frame[start + 12] >> 4) * 4
    sequence, flags = int.from_bytes(frame[start + 4 : start + 8], "big"), frame[start + 13]
    headers, found = _Headers(frame, place, data), []
    for number, offset in enumerate(range(data, len(frame), size)):
        payload = frame[offset : offset + size]
        here = flags if number == 0 else flags & ~_CWR
        if offset + size < len(frame):
            here &= ~(_FIN | _PSH)
        headers.ip(number, len(payload))
        headers.put("!I", 4, (sequence + offset - data) & 0xFFFFFFFF)
        headers.put("!B", 13, here)
        found.append(headers.finish(16, payload))
    return found


def _udp_datagrams(frame: bytes, place: _Place, offload: Offload) -> list[bytes]:
    """Each datagram has a header of its own; a sender that wants no checksum gets none."""
    data = place.transport + 8
    summed = offload.needs_checksum or frame[data - 2 : data] != b"\0\0"
    headers, found = _Headers(frame, place, data), []
    for number, offset in enumerate(range(data, len(frame), offload.gso_size)):
        payload = frame[offset : offset + offload.gso_size]
        headers.ip(number, len(payload))
        headers.put("!H", 4, 8 + len(payload))
        found.append(headers.finish(6, payload) if summed else headers.unsummed(payload))
    return found


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC32C = _crc32c_table()


def _crc32c(data: memoryview) -> int:
    """CRC32c (Castagnoli), bits reflected; SCTP sends it with its lowest byte first."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
