"""The kernel's message about a route, taken apart by hand: there may be tens of thousands, and pyroute2 needs 100 us for each.

Supported standards: struct rtmsg and its attributes, rtnetlink(7), in the machine's byte order; addresses in network byte order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_RTMSG = struct.Struct("=16x 8B 4x")
"""The netlink header; then family, dst_len, src_len, tos, table, protocol, scope, type; then flags."""
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_NO_FLAGS = 0x3FFF
_DST, _OIF, _GATEWAY, _PRIORITY, _TABLE, _VIA = 1, 4, 5, 6, 15, 18


@dataclass(frozen=True, slots=True)
class RouteMessage:
    """What a message says of an IPv4 route.

    Attributes:
        table: number of the routing table.
        tos: the type of service that it is for, 0 for all.
        protocol: who made it (rtm_protocol).
        kind: unicast, local and so on (rtm_type).
        destination: the network it leads to.
        metric: the lowest wins.
        gateway: next hop; None when there is none, several, or one of another family.
        index: the device that packets leave by; None when they do not, or when there are several.
        via: True when the next hop is of another family.
    """

    table: int
    tos: int
    protocol: int
    kind: int
    destination: IPv4Network
    metric: int
    gateway: IPv4Address | None
    index: int | None
    via: bool


def decode_route(message: bytes) -> RouteMessage:
    """Decode a whole RTM_NEWROUTE message, netlink's header included."""
    _, prefixlen, _, tos, table, protocol, _, kind = _RTMSG.unpack_from(message)
    attributes = _attributes(message)
    gateway = attributes.get(_GATEWAY)
    return RouteMessage(
        _number(attributes.get(_TABLE)) or table,
        tos,
        protocol,
        kind,
        IPv4Network((int.from_bytes(attributes.get(_DST, b""), "big"), prefixlen)),
        _number(attributes.get(_PRIORITY)) or 0,
        IPv4Address(gateway) if gateway else None,
        _number(attributes.get(_OIF)),
        _VIA in attributes,
    )


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(_NUMBER.unpack(value)[0])


def _attributes(message: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = _RTMSG.size
    while offset + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, offset)
        found[kind & _NO_FLAGS] = message[offset + _ATTRIBUTE.size : offset + length]
        offset += max((length + 3) & ~3, _ATTRIBUTE.size)
    return found
