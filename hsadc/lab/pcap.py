"""The capture file that tcpdump writes: classic pcap (draft-ietf-opsawg-pcap).

    file header, 24 bytes:   magic a1b2c3d4, versions, zone, sigfigs, snaplen, link type
    packet header, 16 bytes: seconds, microseconds, bytes in the file, bytes on the wire; then the packet

All words are in the byte order of the machine that captured, which the magic gives away.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hsadc.errors import WireError

_FILE = 24
_MAGIC = 0xA1B2C3D4
_ETHERNET = 1


def frames(capture: bytes) -> Iterator[bytes]:
    """The Ethernet frames in the bytes of a capture file, in the order of arrival.

    Raises:
        WireError: not such a file, or it ends inside a packet, or a packet was not kept whole.
    """
    order = next((o for o in "<>" if capture[:4] == struct.pack(f"{o}I", _MAGIC)), None)
    if order is None or len(capture) < _FILE:
        raise WireError("not a pcap file")
    if (kind := struct.unpack_from(f"{order}I", capture, 20)[0]) != _ETHERNET:
        raise WireError(f"link type {kind} in the pcap file, not Ethernet")
    packet = struct.Struct(f"{order}IIII")
    at = _FILE
    while at < len(capture):
        if at + packet.size > len(capture):
            raise WireError("the pcap file ends inside a packet")
        _, _, kept, length = packet.unpack_from(capture, at)
        at += packet.size
        if kept != length:
            raise WireError(f"the pcap file has {kept} of the {length} bytes of a packet")
        if at + kept > len(capture):
            raise WireError("the pcap file ends inside a packet")
        yield capture[at : at + kept]
        at += kept
