"""ICMP echo: the question whether a host is there.

Supported standards: RFC 792 (ICMP: echo 8, echo reply 0), RFC 4443, section 4 (ICMPv6: echo request 128, echo reply 129).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     Type      |   Code (0)    |           Checksum            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |          Identifier           |        Sequence Number        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Data, which the reply brings back ...
"""

from __future__ import annotations

import struct

from hsadc.errors import WireError
from hsadc.wire.checksum import internet_checksum

_HEADER = struct.Struct(">BBHHH")
_REQUEST = {4: 8, 6: 128}
REPLY = {4: 0, 6: 129}
"""The type of a reply by IP version."""


def encode_request(version: int, identifier: int, sequence: int, data: bytes) -> bytes:
    """An echo request.

    Args:
        version: 4 or 6. With 6 the checksum is left 0: it covers the IPv6 addresses, and the kernel fills it in.
        identifier: 0 to 65535.
        sequence: 0 to 65535.
        data: what the reply will bring back.
    """
    message = _HEADER.pack(_REQUEST[version], 0, 0, identifier, sequence) + data
    checksum = internet_checksum(message) if version == 4 else 0
    return message[:2] + checksum.to_bytes(2) + message[4:]


def decode_reply(version: int, message: bytes) -> tuple[int, int, bytes]:
    """Identifier, sequence number and data of an echo reply, which begins after the IP header.

    Raises:
        WireError: it is no echo reply.
    """
    if len(message) < _HEADER.size or message[0] != REPLY[version] or message[1] != 0:
        raise WireError("no ICMP echo reply")
    _, _, _, identifier, sequence = _HEADER.unpack_from(message)
    return identifier, sequence, message[_HEADER.size :]
