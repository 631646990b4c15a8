"""Virtual eXtensible Local Area Network, over UDP.

Supported standards: RFC 7348, section 5; RFC 768 (UDP).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |          Source port          |       Destination port        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |             Length            |      Checksum (always 0)      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |R|R|R|R|I|R|R|R|                   Reserved                    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |        VXLAN network identifier (VNI)         |   Reserved    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hsadc.errors import WireError

PORT = 4789
"""The port that IANA assigned."""
LENGTH = 16
"""Bytes of the UDP and the VXLAN header."""
_HAS_VNI = 0x08
_FIRST_PORT, _PORT_MASK = 49152, 0x3FFF


@dataclass(frozen=True, slots=True)
class VxlanHeader:
    """What the UDP and the VXLAN header say.

    Attributes:
        vni: 0 to 16777215.
        port: UDP destination port.
        source_port: UDP source port.
    """

    vni: int
    port: int = PORT
    source_port: int = 0


def source_port(flow_hash: int) -> int:
    """The UDP source port of a flow, 49152 to 65535, so that routers and network cards spread the flows."""
    return _FIRST_PORT + (flow_hash & _PORT_MASK)


def encode(header: VxlanHeader, payload_bytes: int) -> bytes:
    """Both headers, 16 bytes; `payload_bytes` is the length of the frame that follows."""
    ports = struct.pack("!HHHH", header.source_port, header.port, LENGTH + payload_bytes, 0)
    return ports + struct.pack("!II", _HAS_VNI << 24, header.vni << 8)


def decode(packet: bytes) -> tuple[VxlanHeader, bytes]:
    """Read a UDP packet; its checksum may be anything (RFC 7348, section 5: zero is accepted).

    Returns:
        The header, and the frame.

    Raises:
        WireError: it is cut off, or has no VNI.
    """
    if len(packet) < LENGTH:
        raise WireError(f"VXLAN packet cut off after {len(packet)} bytes")
    source, port, length, _, flags, vni = struct.unpack_from("!HHHHII", packet)
    if not LENGTH <= length <= len(packet):
        raise WireError(f"UDP length is {length}, the packet has {len(packet)} bytes")
    if not flags >> 24 & _HAS_VNI:
        raise WireError("VXLAN header without a VNI")
    return VxlanHeader(vni >> 8, port, source), packet[LENGTH:length]
