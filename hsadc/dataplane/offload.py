"""What a device leaves to its hardware, switched off so that the wire carries real frames with real checksums.

A veth pair passes large segments and unfinished checksums to its peer as they are; a capture there would show what no wire
ever carries. `struct ethtool_value` (linux/ethtool.h) is two 32-bit words in the machine's byte order: command, value.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_SET_TX_CHECKSUM = 0x17
_SET_SCATTER_GATHER = 0x19
_SET_TCP_SEGMENTATION = 0x1F
_SET_GENERIC_SEGMENTATION = 0x24


def finish_frames(device: str) -> None:
    """Make the kernel segment and checksum all that leaves by a device of this thread's namespace.

    Segmentation goes first: the kernel refuses to give up checksums or scatter-gather under it.

    Raises:
        OSError: no such device, or not allowed.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in (_SET_TCP_SEGMENTATION, _SET_GENERIC_SEGMENTATION, _SET_TX_CHECKSUM, _SET_SCATTER_GATHER):
            value = array.array("B", struct.pack("=II", command, 0))
            # struct ifreq: the name, then a pointer to the value, which must stay alive until the call is back.
            fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", device.encode(), value.buffer_info()[0]))
