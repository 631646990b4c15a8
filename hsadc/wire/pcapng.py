"""Capture files to write: pcapng (draft-ietf-opsawg-pcapng).

    Section Header | Interface Description | Enhanced Packet ... | Interface Statistics

    0                   1                   2                   3
    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                          Block Type                           |
    |                      Block Total Length                       |
    /                 Block Body, a multiple of 4 bytes             /
    |                      Block Total Length                       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Little-endian, as the section header says. One interface with Ethernet frames, times in nanoseconds since 1970.
"""

from __future__ import annotations

import struct

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_END, _IF_NAME, _IF_TSRESOL, _IF_FILTER = 0, 2, 9, 11
_SHB_USERAPPL, _EPB_FLAGS = 4, 2
_ISB_IFRECV, _ISB_IFDROP = 4, 5
_NANOSECONDS = b"\x09"
_INBOUND, _OUTBOUND = 1, 2
STATISTICS_BYTES = 52
"""Length of an Interface Statistics Block as it is written here."""


def header(interface: str, expression: str, program: str) -> bytes:
    """What a file begins with: section header and the description of its only interface.

    Args:
        interface: its name.
        expression: the libpcap filter that chose the packets; empty for none.
        program: who wrote the file.
    """
    section = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + _options((_SHB_USERAPPL, program.encode()))
    chosen = ((_IF_FILTER, b"\0" + expression.encode()),) if expression else ()
    options = _options((_IF_NAME, interface.encode()), (_IF_TSRESOL, _NANOSECONDS), *chosen)
    return _block(_SECTION, section) + _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + options)


def packet(time_ns: int, frame: bytes, length: int, *, outgoing: bool) -> bytes:
    """An Enhanced Packet Block; `length` is the frame's in bytes on the wire, of which `frame` may be the beginning."""
    head = struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(frame), length)
    flags = struct.pack("<I", _OUTBOUND if outgoing else _INBOUND)
    return _block(_PACKET, head + _padded(frame) + _options((_EPB_FLAGS, flags)))


def statistics(time_ns: int, received: int, dropped: int) -> bytes:
    """An Interface Statistics Block, the end of a capture: packets that passed the filter, and how many of them were lost."""
    head = struct.pack("<III", 0, time_ns >> 32, time_ns & 0xFFFFFFFF)
    return _block(
        _STATISTICS, head + _options((_ISB_IFRECV, struct.pack("<Q", received)), (_ISB_IFDROP, struct.pack("<Q", dropped)))
    )


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _options(*options: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in (*options, (_END, b"")))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
