"""Encapsulated Remote Switched Port Analyzer, behind a GRE header.

Supported standards: draft-foschiano-erspan-03. Type I has no header of its own (GRE protocol 0x88be, no sequence number).

    Type II (GRE protocol 0x88be, numbered)
     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Ver  |          VLAN         | COS | En|T|    Session ID     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |      Reserved         |                  Index                |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

    Type III (GRE protocol 0x22eb, numbered); 8 more bytes follow when O is set
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Ver  |          VLAN         | COS |BSO|T|     Session ID    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                          Timestamp                            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |             SGT               |P|    FT   |   Hw ID   |D|Gra|O|
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hsadc.errors import WireError

PROTOCOL_II, PROTOCOL_III = 0x88BE, 0x22EB
"""GRE protocol types; types I and II share one."""

IN_TAG, ETHERNET_FRAME, OPTION = 3, 0x8000, 1
"""En of a frame that has its VLAN tag; P of type III, the payload is an Ethernet frame; O of type III, a sub-header follows."""

_VERSIONS = {2: 1, 3: 2}  # what stands in the field
_LENGTHS = {2: 8, 3: 12}


@dataclass(frozen=True, slots=True)
class ErspanHeader:
    """What a header of type II or III says.

    Attributes:
        version: 2 or 3, the type.
        session_id: 0 to 1023.
        tag: priority and VLAN of the frame's tag as the 16 bits of IEEE 802.1Q, DEI being 0; None without one. Type III does not
            tell a tag of 0 from none.
        truncated: the frame was cut.
        timestamp: 32 bits, of type III: hundreds of microseconds; 0 for type II.
    """

    version: int
    session_id: int
    tag: int | None = None
    truncated: bool = False
    timestamp: int = 0


def tag_bits(version: int, tag: int | None, truncated: bool) -> int:
    """VLAN, COS, En and T at their places in the first word, which is all of it that changes from packet to packet."""
    bits = int(truncated) << 10
    if tag is not None:
        bits |= (tag & 0x0FFF) << 16 | (tag >> 13) << 13
        if version == 2:
            bits |= IN_TAG << 11
    return bits


def encode(header: ErspanHeader) -> bytes:
    """The header's 8 or 12 bytes."""
    first = _VERSIONS[header.version] << 28 | tag_bits(header.version, header.tag, header.truncated) | header.session_id
    if header.version == 2:
        return struct.pack("!II", first, 0)
    return struct.pack("!IIHH", first, header.timestamp, 0, ETHERNET_FRAME)


def decode(data: bytes, version: int) -> tuple[ErspanHeader, int]:
    """Read the header of type `version` (2 or 3) that `data` begins with, and its sub-header over.

    Returns:
        The header, and the payload's offset.

    Raises:
        WireError: it is cut off, or says that it is of another version.
    """
    length = _LENGTHS[version]
    if len(data) < length:
        raise WireError(f"ERSPAN header of {length} bytes cut off after {len(data)}")
    first, timestamp = struct.unpack_from("!II", data)
    if first >> 28 != _VERSIONS[version]:
        raise WireError(f"ERSPAN version {first >> 28}, not {_VERSIONS[version]}")
    tag = first >> 16 & 0x0FFF | (first >> 13 & 7) << 13
    tagged = bool(tag) if version == 3 else first >> 11 & 3 == IN_TAG
    if version == 2:
        timestamp = 0
    elif data[11] & OPTION:
        length += 8
        if len(data) < length:
            raise WireError(f"ERSPAN header of {length} bytes cut off after {len(data)}")
    return ErspanHeader(version, first & 0x3FF, tag if tagged else None, bool(first >> 10 & 1), timestamp), length
