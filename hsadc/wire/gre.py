"""Generic Routing Encapsulation.

Supported standards: RFC 2784 (header, checksum), RFC 2890 (key and sequence number).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |C| |K|S|   Reserved0     | Ver |         Protocol Type         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |       Checksum (with C)       |       Reserved1 (with C)      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                         Key (with K)                          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                   Sequence number (with S)                    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hsadc.errors import WireError
from hsadc.wire.checksum import internet_checksum

PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_ETHERNET = 0x0800, 0x86DD, 0x6558
"""Protocol types of IP payloads, which are Ethertypes (RFC 2784, section 2.4; RFC 7676), and of an Ethernet frame."""

_CHECKSUM, _KEY, _SEQUENCE = 0x8000, 0x2000, 0x1000
_RESERVED = 0x4C00  # bits 1, 4 and 5, which a receiver must refuse (RFC 2784, section 2.3); 2 and 3 are K and S of RFC 2890
_VERSION = 0x0007


@dataclass(frozen=True, slots=True)
class GreHeader:
    """What a header says.

    Attributes:
        protocol: Ethertype of the payload, 0 to 65535.
        key: 0 to 4294967295; None when there is none.
        sequence: 0 to 4294967295; None when there is none.
        checksum: True when the header carries the checksum of header and payload.
    """

    protocol: int = PROTOCOL_IPV4
    key: int | None = None
    sequence: int | None = None
    checksum: bool = False


def encode(header: GreHeader, payload: bytes = b"") -> bytes:
    """The header's bytes, 4 to 16 of them; `payload` is what follows, and is only read for the checksum."""
    flags, words = 0, []
    if header.checksum:
        flags |= _CHECKSUM
        words.append(0)
    if header.key is not None:
        flags |= _KEY
        words.append(header.key)
    if header.sequence is not None:
        flags |= _SEQUENCE
        words.append(header.sequence)
    data = struct.pack(f"!HH{len(words)}I", flags, header.protocol, *words)
    if not header.checksum:
        return data
    return data[:4] + struct.pack("!H", internet_checksum(data + payload)) + data[6:]


def decode(packet: bytes) -> tuple[GreHeader, int]:
    """Read the header that `packet` begins with.

    Args:
        packet: a whole GRE packet, header and payload.

    Returns:
        The header, and its length in bytes: the payload's offset.

    Raises:
        WireError: the packet is cut off or of another version, has reserved bits set (RFC 1701's routing) or a wrong checksum.
    """
    if len(packet) < 4:
        raise WireError(f"GRE header cut off after {len(packet)} bytes")
    flags, protocol = struct.unpack_from("!HH", packet)
    if flags & _VERSION:
        raise WireError(f"GRE version {flags & _VERSION}, not 0")
    if flags & _RESERVED:
        raise WireError(f"GRE flags {flags:#06x} have reserved bits set")
    length = 4 + 4 * (flags & (_CHECKSUM | _KEY | _SEQUENCE)).bit_count()
    if len(packet) < length:
        raise WireError(f"GRE header of {length} bytes cut off after {len(packet)}")
    words = list(struct.unpack_from(f"!{length // 4 - 1}I", packet, 4))
    if flags & _CHECKSUM:
        words.pop(0)
        if internet_checksum(packet):
            raise WireError("GRE checksum is wrong")
    key = words.pop(0) if flags & _KEY else None
    sequence = words.pop(0) if flags & _SEQUENCE else None
    return GreHeader(protocol, key, sequence, bool(flags & _CHECKSUM)), length
