"""Outer IP fragments put together.

Supported standards: RFC 791, section 3.2; RFC 8200, section 4.5; RFC 5722 (a datagram whose fragments overlap is dropped).
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from hsadc.errors import WireError
from hsadc.wire import ip
from hsadc.wire.checksum import internet_checksum
from hsadc.wire.receive import OuterHeader, outer

DATAGRAMS = 256
"""How many datagrams may wait for their missing parts; the oldest is given up for one more."""

_Key = tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address, int, int]


@dataclass(slots=True)
class _Parts:
    """Parts of a datagram by their offset; `head` is the first one's header, `total` the length of them all, once it is known."""

    parts: dict[int, bytes] = field(default_factory=dict)
    head: bytes = b""
    total: int | None = None


class Reassembler:
    """Keeps fragments until their datagram is complete."""

    def __init__(self, datagrams: int = DATAGRAMS) -> None:
        self._datagrams = datagrams
        self._waiting: OrderedDict[_Key, _Parts] = OrderedDict()

    def add(self, packet: bytes) -> bytes | None:
        """Take an outer packet.

        Returns:
            A packet that is no fragment, as it is; the whole packet, without fragment header and padding, when no part of it is
            missing; None while one is.

        Raises:
            WireError: it is no IP packet, or fragments overlap or are not multiples of 8 bytes: all of the datagram is dropped.
        """
        header = outer(packet)
        if not header.is_fragment:
            return packet
        key = (header.source, header.destination, header.protocol, header.identification)
        waiting = self._waiting.setdefault(key, _Parts())
        try:
            _put(waiting, header, packet)
        except WireError:
            del self._waiting[key]
            raise
        if waiting.total is None or sum(map(len, waiting.parts.values())) < waiting.total:
            if len(self._waiting) > self._datagrams:
                self._waiting.popitem(last=False)
            return None
        del self._waiting[key]
        return _whole(waiting, header.protocol)


def _put(waiting: _Parts, header: OuterHeader, packet: bytes) -> None:
    data = packet[header.start : header.end]
    end = header.offset + len(data)
    if header.more and (len(data) % 8 or not data):
        raise WireError(f"a fragment has {len(data)} bytes, no multiple of 8")
    if any(header.offset < at + len(part) and at < end for at, part in waiting.parts.items()):
        raise WireError("fragments overlap")
    waiting.parts[header.offset] = data
    if not header.more:
        waiting.total = end
    if header.offset == 0:
        waiting.head = packet[: ip.IPV6_BYTES if packet[0] >> 4 == 6 else header.start]
    if waiting.total is not None and any(at + len(part) > waiting.total for at, part in waiting.parts.items()):
        raise WireError("a fragment lies behind the last one")


def _whole(waiting: _Parts, protocol: int) -> bytes:
    data = b"".join(part for _, part in sorted(waiting.parts.items()))
    head = bytearray(waiting.head)
    if head[0] >> 4 == 6:
        struct.pack_into("!HB", head, 4, len(data), protocol)
    else:
        struct.pack_into("!H", head, 2, len(head) + len(data))
        struct.pack_into("!H", head, 6, 0)
        struct.pack_into("!H", head, 10, 0)
        struct.pack_into("!H", head, 10, internet_checksum(head))
    return bytes(head) + data
