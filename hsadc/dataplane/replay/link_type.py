"""Link types: what is not Ethernet gets an Ethernet header, where it has what belongs into one.

Supported standards: the link types that tcpdump.org lists: 1 Ethernet; 0 and 108 BSD loopback; 12, 14, 101, 228 and 229 raw IP;
113 and 276 Linux cooked capture, version 1 and 2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from hsadc.errors import WireError

ETHERNET = 1
_OUTGOING = 4  # packet type of a cooked capture: sent by the machine that captured
_NO_MAC = bytes(6)
_ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_NAMES = {
    105: "IEEE 802.11",
    127: "IEEE 802.11 radiotap",
    9: "PPP",
    147: "user 0",
    189: "USB",
    195: "IEEE 802.15.4",
    220: "USB",
    249: "USBPcap",
}

Converter = Callable[[bytes], tuple[bytes, bool]]
"""From a packet to the frame, and whether the machine sent it."""


def converter(link_type: int) -> Converter | None:
    """The function that makes frames of packets; None for Ethernet, whose packets are frames.

    Raises:
        WireError: there is no way to make frames of such packets.
    """
    if link_type == ETHERNET:
        return None
    found = _CONVERTERS.get(link_type)
    if found is None:
        name = f" ({_NAMES[link_type]})" if link_type in _NAMES else ""
        raise WireError(f"link type {link_type}{name} is not Ethernet, raw IP or Linux cooked capture")
    return found


def _raw(packet: bytes) -> tuple[bytes, bool]:
    ethertype = _ETHERTYPES.get(packet[0] >> 4 if packet else 0, bytes(2))
    return _NO_MAC + _NO_MAC + ethertype + packet, False


def _loopback(packet: bytes) -> tuple[bytes, bool]:
    """Four bytes of address family, in whatever byte order and of whatever system: the packet itself tells what it is."""
    return _raw(packet[4:])


def _cooked(packet: bytes) -> tuple[bytes, bool]:
    if len(packet) < 16:
        return bytes(14), False
    kind, _, length = struct.unpack_from("!HHH", packet)
    source = packet[6:12] if length == 6 else _NO_MAC
    return _NO_MAC + source + packet[14:16] + packet[16:], kind == _OUTGOING


def _cooked_2(packet: bytes) -> tuple[bytes, bool]:
    if len(packet) < 20:
        return bytes(14), False
    source = packet[12:18] if packet[11] == 6 else _NO_MAC
    return _NO_MAC + source + packet[:2] + packet[20:], packet[10] == _OUTGOING


_CONVERTERS: dict[int, Converter] = {
    0: _loopback,
    108: _loopback,
    12: _raw,
    14: _raw,
    101: _raw,
    228: _raw,
    229: _raw,
    113: _cooked,
    276: _cooked_2,
}
