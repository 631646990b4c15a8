"""Encapsulations: what is put in front of a copy.

    | outer IPv4 (20) or IPv6 (40) | shim: GRE (4 to 16) [+ ERSPAN (8 or 12)], or UDP (8) + VXLAN (8) | payload |

The payload is an IP packet, or an Ethernet frame with its VLAN tags. Without encapsulation (`none`) it is the frame alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from hsadc.wire import erspan, gre, ip, vxlan
from hsadc.wire.checksum import internet_checksum


class Fields(NamedTuple):
    """What changes from one outer packet of a tunnel to the next.

    Attributes:
        ethertype: of the copied packet, which is the GRE protocol of an IP payload.
        identification: an IPv4 header takes the low 16 bits.
        sequence: 32 bits, where there is a sequence number.
        tag: the frame's outermost VLAN tag, 16 bits; None without one.
        truncated: whether the payload was cut.
        now_ns: the time of sending, nanoseconds.
        flow_hash: 32 bits.
    """

    ethertype: int = 0x0800
    identification: int = 0
    sequence: int = 0
    tag: int | None = None
    truncated: bool = False
    now_ns: int = 0
    flow_hash: int = 0


Encoder = Callable[[bytes, Fields], bytes]
"""Makes a finished outer IP packet of a payload, an IP packet or a frame."""

_TIMESTAMP_NS = 100_000  # ERSPAN III counts hundreds of microseconds


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """How a tunnel wraps copies.

    Attributes:
        kind: `gre`, `erspan`, `vxlan` or `none` (the frame as it is; nothing below has a meaning then).
        source: outer source address, of the same family as `destination`.
        destination: outer destination address.
        payload: `ip` or `ethernet`; always `ethernet` unless the kind is `gre`.
        ttl: outer time to live or hop limit, 1 to 255.
        dscp: outer code point, 0 to 63.
        dont_fragment: DF of an outer IPv4 header.
        key: GRE key, 0 to 4294967295; None sends none.
        sequence: whether GRE packets are numbered; ERSPAN from version 2 on always is.
        checksum: whether GRE packets carry their checksum.
        version: ERSPAN version, 1 to 3.
        session_id: ERSPAN session, 0 to 1023.
        vni: VXLAN network identifier, 0 to 16777215.
        port: UDP destination port of VXLAN.
    """

    kind: str
    source: IPv4Address | IPv6Address | None = None
    destination: IPv4Address | IPv6Address | None = None
    payload: str = "ip"
    ttl: int = 64
    dscp: int = 0
    dont_fragment: bool = False
    key: int | None = None
    sequence: bool = False
    checksum: bool = False
    version: int = 2
    session_id: int = 0
    vni: int = 0
    port: int = 4789

    @property
    def numbered(self) -> bool:
        """Whether each packet carries a sequence number."""
        return self.version > 1 if self.kind == "erspan" else self.kind == "gre" and self.sequence

    @property
    def shim_bytes(self) -> int:
        """Length of what stands between the outer IP header and the payload."""
        if self.kind == "none":
            return 0
        if self.kind == "vxlan":
            return 16
        if self.kind == "erspan":
            return {1: 4, 2: 16, 3: 20}[self.version]
        return 4 + 4 * sum((self.key is not None, self.sequence, self.checksum))

    @property
    def overhead_bytes(self) -> int:
        """Bytes in front of the copied IP packet, which has no VLAN tag; a payload's Ethernet header counts."""
        if self.kind == "none":
            return 0
        outer = 40 if isinstance(self.destination, IPv6Address) else 20
        return outer + self.shim_bytes + (14 if self.payload == "ethernet" else 0)


def template(e: Encapsulation) -> bytes:
    """What is put in front of a payload, with zero in all that changes from packet to packet.

    That is: total or payload length, identification and checksum of the outer header; GRE checksum, sequence number, and the
    protocol where the payload is `ip` (0x0800); UDP source port and length; ERSPAN's VLAN, COS, En, T and timestamp.

    Returns:
        `e.shim_bytes` behind an outer header of 20 or 40 bytes; nothing for `none`.
    """
    if e.kind == "none":
        return b""
    assert e.source is not None and e.destination is not None, e  # noqa: S101, PT018 (only `none` goes without)
    protocol = ip.UDP if e.kind == "vxlan" else ip.GRE
    return ip.template(e.source, e.destination, protocol, e.ttl, e.dscp, e.dont_fragment) + _shim(e)


def _shim(e: Encapsulation) -> bytes:
    if e.kind == "vxlan":
        shim = vxlan.encode(vxlan.VxlanHeader(e.vni, e.port), 0)
        return shim[:4] + bytes(2) + shim[6:]
    sequence = 0 if e.numbered else None
    if e.kind == "erspan":
        header = gre.encode(gre.GreHeader(erspan.PROTOCOL_III if e.version == 3 else erspan.PROTOCOL_II, sequence=sequence))
        return header if e.version == 1 else header + erspan.encode(erspan.ErspanHeader(e.version, e.session_id))
    protocol = gre.PROTOCOL_IPV4 if e.payload == "ip" else gre.PROTOCOL_ETHERNET
    shim = gre.encode(gre.GreHeader(protocol, e.key, sequence, e.checksum))
    return shim[:4] + bytes(2) + shim[6:] if e.checksum else shim


def encoder(e: Encapsulation) -> Encoder:
    """The function that wraps payloads for this tunnel; without encapsulation it returns the payload."""
    start = template(e)
    if not start:
        return _unchanged
    finish = _finisher(start)
    if e.kind == "vxlan":
        return _vxlan_encoder(e, start, finish)
    if e.kind == "erspan" and e.version > 1:
        return _erspan_encoder(e, start, finish)
    return _gre_encoder(e, start, finish)


def _unchanged(payload: bytes, _: Fields) -> bytes:
    return payload


def _finisher(start: bytes) -> Callable[[bytearray, int, int], None]:
    """What writes length, identification and checksum into the outer header, of a packet with so many payload bytes."""
    header_bytes = len(start)
    if start[0] >> 4 == 6:
        return lambda head, payload, _: struct.pack_into("!H", head, 4, header_bytes - ip.IPV6_BYTES + payload)
    constant = ip.word_sum(start[: ip.IPV4_BYTES])

    def finish(head: bytearray, payload: int, identification: int) -> None:
        total, identification = header_bytes + payload, identification & 0xFFFF
        struct.pack_into("!HH", head, 2, total, identification)
        struct.pack_into("!H", head, 10, ip.checksum(constant + total + identification))

    return finish


def _gre_encoder(e: Encapsulation, start: bytes, finish: Callable[[bytearray, int, int], None]) -> Encoder:
    at = len(start) - e.shim_bytes
    by_protocol = e.kind == "gre" and e.payload == "ip"
    with_checksum = e.kind == "gre" and e.checksum

    def encode(payload: bytes, fields: Fields) -> bytes:
        head = bytearray(start)
        if by_protocol:
            struct.pack_into("!H", head, at + 2, fields.ethertype)
        if e.numbered:
            struct.pack_into("!I", head, len(head) - 4, fields.sequence)
        finish(head, len(payload), fields.identification)
        if with_checksum:
            struct.pack_into("!H", head, at + 4, internet_checksum(head[at:] + payload))
        return bytes(head + payload)

    return encode


def _erspan_encoder(e: Encapsulation, start: bytes, finish: Callable[[bytearray, int, int], None]) -> Encoder:
    at = len(start) - e.shim_bytes
    first = struct.unpack_from("!I", start, at + 8)[0]

    def encode(payload: bytes, fields: Fields) -> bytes:
        head = bytearray(start)
        struct.pack_into("!II", head, at + 4, fields.sequence, first | erspan.tag_bits(e.version, fields.tag, fields.truncated))
        if e.version == 3:
            struct.pack_into("!I", head, at + 12, fields.now_ns // _TIMESTAMP_NS & 0xFFFFFFFF)
        finish(head, len(payload), fields.identification)
        return bytes(head + payload)

    return encode


def _vxlan_encoder(e: Encapsulation, start: bytes, finish: Callable[[bytearray, int, int], None]) -> Encoder:
    at = len(start) - e.shim_bytes

    def encode(payload: bytes, fields: Fields) -> bytes:
        head = bytearray(start)
        struct.pack_into("!HHH", head, at, vxlan.source_port(fields.flow_hash), e.port, vxlan.LENGTH + len(payload))
        finish(head, len(payload), fields.identification)
        return bytes(head + payload)

    return encode
