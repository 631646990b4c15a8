"""The receiver's side: what is in an encapsulated copy.

    | outer IPv4 or IPv6 | GRE | IP packet or frame |         | outer | GRE [+ ERSPAN II or III] | frame |
                                                              | outer | UDP + VXLAN | frame |

Supported standards: those of `ip`, `gre`, `erspan` and `vxlan`. Outer fragments are put together by `reassembly`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from hsadc.errors import WireError
from hsadc.wire import erspan, gre, ip, vxlan
from hsadc.wire.checksum import internet_checksum

_ETHERTYPES = {0x0800: 4, 0x86DD: 6}
_VLAN = (0x8100, 0x88A8)


@dataclass(frozen=True, slots=True)
class Received:
    """A copy as it arrived.

    Attributes:
        kind: `gre`, `erspan` or `vxlan`.
        source: outer source address, the device that mirrors.
        destination: outer destination address, the analyzer.
        ttl: outer time to live or hop limit, as it arrived.
        dscp: outer code point.
        payload: the copied IP packet or frame.
        is_ethernet: whether the payload is a frame.
        key: GRE key; None without one.
        sequence: GRE sequence number; None without one.
        erspan: header of type II or III; None without one, also for type I.
        vxlan: VNI and ports; None unless it is VXLAN.
    """

    kind: str
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    ttl: int
    dscp: int
    payload: bytes
    is_ethernet: bool
    key: int | None = None
    sequence: int | None = None
    erspan: erspan.ErspanHeader | None = None
    vxlan: vxlan.VxlanHeader | None = None


@dataclass(frozen=True, slots=True)
class OuterHeader:
    """An outer IP header.

    Attributes:
        source: source address.
        destination: destination address.
        protocol: of what follows, behind a fragment header.
        ttl: time to live or hop limit.
        dscp: code point.
        start: offset of what follows.
        end: offset behind the packet; what stands there is padding.
        offset: of what follows in the whole packet's payload, bytes.
        more: whether further fragments follow.
        identification: of the fragments; 0 for IPv6 without a fragment header.
    """

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    ttl: int
    dscp: int
    start: int
    end: int
    offset: int = 0
    more: bool = False
    identification: int = 0

    @property
    def is_fragment(self) -> bool:
        """Whether it is a part of a packet."""
        return self.more or self.offset > 0


def payload_of_frame(frame: bytes) -> bytes:
    """The IP packet of an Ethernet frame, behind its VLAN tags; padding may follow it.

    Raises:
        WireError: there is none.
    """
    at = 12
    while (ethertype := frame[at : at + 2]) and int.from_bytes(ethertype) in _VLAN:
        at += 4
    if len(ethertype) < 2 or (version := _ETHERTYPES.get(int.from_bytes(ethertype))) is None:
        raise WireError("not an IP frame")
    packet = frame[at + 2 :]
    if not packet or packet[0] >> 4 != version:
        raise WireError(f"outer packet is not IPv{version}")
    return packet


def outer(packet: bytes) -> OuterHeader:
    """Read the outer IP header.

    Raises:
        WireError: it is none, or the packet is cut short, or the header's checksum is wrong.
    """
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _outer_ipv4(packet)
    if version == 6:
        return _outer_ipv6(packet)
    raise WireError("outer packet is not IP")


def _outer_ipv4(packet: bytes) -> OuterHeader:
    header_bytes = (packet[0] & 0xF) * 4
    if len(packet) < ip.IPV4_BYTES:
        raise WireError("outer packet is not IPv4")
    total, identification, place = struct.unpack_from("!HHH", packet, 2)
    if not ip.IPV4_BYTES <= header_bytes <= total <= len(packet):
        raise WireError("outer packet cut short")
    if internet_checksum(packet[:header_bytes]):
        raise WireError("outer IP checksum wrong")
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    offset, more = (place & 0x1FFF) * 8, bool(place & 0x2000)
    return OuterHeader(
        source, destination, packet[9], packet[8], packet[1] >> 2, header_bytes, total, offset, more, identification
    )


def _outer_ipv6(packet: bytes) -> OuterHeader:
    if len(packet) < ip.IPV6_BYTES:
        raise WireError("outer packet is not IPv6")
    end, protocol, start = ip.IPV6_BYTES + int.from_bytes(packet[4:6]), packet[6], ip.IPV6_BYTES
    if end > len(packet):
        raise WireError("outer packet cut short")
    offset, more, identification = 0, False, 0
    if protocol == ip.FRAGMENT:
        if end < start + ip.FRAGMENT_BYTES:
            raise WireError("outer packet cut short")
        protocol, _, place, identification = struct.unpack_from("!BBHI", packet, start)
        offset, more, start = place & 0xFFF8, bool(place & 1), start + ip.FRAGMENT_BYTES
    source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    dscp = int.from_bytes(packet[:2]) >> 6 & 0x3F
    return OuterHeader(source, destination, protocol, packet[7], dscp, start, end, offset, more, identification)


def decapsulate(packet: bytes, ports: tuple[int, ...] = (vxlan.PORT,)) -> Received:
    """Take the copy out of a whole outer IP packet.

    Args:
        packet: the outer IP packet; padding may follow it.
        ports: UDP destination ports of VXLAN.

    Raises:
        WireError: it is no copy, or a fragment of one, or a checksum is wrong.
    """
    header = outer(packet)
    if header.is_fragment:
        raise WireError("outer packet is a fragment")
    data = packet[header.start : header.end]
    if header.protocol == ip.GRE:
        return _gre(header, data)
    if header.protocol == ip.UDP and data[2:4] in {p.to_bytes(2) for p in ports}:
        found, frame = vxlan.decode(data)
        return _received(header, "vxlan", frame, is_ethernet=True, vxlan_header=found)
    raise WireError(f"outer packet has protocol {header.protocol}")


def decapsulate_frame(frame: bytes, ports: tuple[int, ...] = (vxlan.PORT,)) -> Received:
    """`decapsulate` of an Ethernet frame's packet."""
    return decapsulate(payload_of_frame(frame), ports)


def _gre(header: OuterHeader, data: bytes) -> Received:
    found, at = gre.decode(data)
    if (version := _ETHERTYPES.get(found.protocol)) is not None:
        if data[at : at + 1] and data[at] >> 4 != version:
            raise WireError(f"GRE protocol {found.protocol:#06x}, but the payload is not IPv{version}")
        return _received(header, "gre", data[at:], found, is_ethernet=False)
    if found.protocol == gre.PROTOCOL_ETHERNET:
        return _received(header, "gre", data[at:], found, is_ethernet=True)
    if found.protocol == erspan.PROTOCOL_III or (found.protocol == erspan.PROTOCOL_II and found.sequence is not None):
        header_erspan, length = erspan.decode(data[at:], 3 if found.protocol == erspan.PROTOCOL_III else 2)
        return _received(header, "erspan", data[at + length :], found, header_erspan, is_ethernet=True)
    if found.protocol == erspan.PROTOCOL_II:
        return _received(header, "erspan", data[at:], found, is_ethernet=True)
    raise WireError(f"GRE protocol {found.protocol:#06x} is no copy")


def _received(
    header: OuterHeader,
    kind: str,
    payload: bytes,
    found: gre.GreHeader | None = None,
    erspan_header: erspan.ErspanHeader | None = None,
    vxlan_header: vxlan.VxlanHeader | None = None,
    *,
    is_ethernet: bool,
) -> Received:
    key, sequence = (found.key, found.sequence) if found else (None, None)
    return Received(
        kind,
        header.source,
        header.destination,
        header.ttl,
        header.dscp,
        payload,
        is_ethernet,
        key,
        sequence,
        erspan_header,
        vxlan_header,
    )
