"""A tap: the AF_PACKET socket that sees a device's packets, those that come in and those that go out.

Copies carry a mark, which is no part of the packet and cannot be read from the ring; a classic BPF filter in the kernel passes
them over, so that no copy is copied again whatever device it passes.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from mmap import mmap

from hsadc.dataplane.portable.ring import BLOCK_BYTES, Captured, Ring, request
from hsadc.errors import Unsupported

COPY_MARK = 0x68736164
"""As maps.h has it."""
BLOCKS = 128
"""16 MiB, or a second of little traffic: what comes in while the mirror is busy; memory that the kernel does not swap."""

_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION, _VNET_HDR = 5, 6, 10, 15
_TPACKET_V3 = 2
_STATISTICS_V3 = struct.Struct("=3I")
_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
_MARK_OFFSET = 0xFFFFF000 + 20  # SKF_AD_OFF + SKF_AD_MARK (linux/filter.h)
_NOT_COPIES = (
    (0x20, 0, 0, _MARK_OFFSET),  # load the mark
    (0x15, 0, 1, COPY_MARK),  # a copy?
    (0x06, 0, 0, 0),  # pass it over
    (0x06, 0, 0, 0xFFFFFFFF),  # take all of it
)


class Tap:
    """Sees from now on what passes a device of the making thread's network namespace; traffic passes it unchanged.

    Used by one thread at a time. Who makes it closes it.

    Attributes:
        device: its Linux name.
        ifindex: its index: a device of the same name that is made later is another one.
    """

    def __init__(self, device: str, blocks: int = BLOCKS) -> None:
        """Open it.

        Args:
            device: a Linux device.
            blocks: memory for packets that wait, in units of 128 kB.

        Raises:
            Unsupported: the process may not, or the kernel has no such sockets.
            OSError: the device does not exist, or the memory is not to be had.
        """
        self.device = device
        self._lost = 0
        self._socket = open_packet_socket(socket.SOCK_RAW)
        try:
            self.ifindex = _index(device)
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
            self._socket.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, request(blocks))
            _attach(self._socket, _NOT_COPIES)
            self._socket.bind((device, _ETH_P_ALL))  # only now do packets come
            self._memory = mmap(self._socket.fileno(), blocks * BLOCK_BYTES)
        except BaseException:
            self._socket.close()
            raise
        self._ring = Ring(self._memory)

    def close(self) -> None:
        """See no more; the packets that wait are lost."""
        self._memory.close()
        self._socket.close()

    def fileno(self) -> int:
        """For poll(2): readable when a block is full or 8 ms old."""
        return self._socket.fileno()

    def read(self) -> list[Captured]:
        """The packets of the next block; none when there is no block yet."""
        return self._ring.block() or []

    def lose(self, packets: int) -> None:
        """Count packets that could not be dealt with."""
        self._lost += packets

    def lost(self) -> int:
        """Packets that were not seen, since the tap was made or this was cleared: the ring was full, or they made no sense."""
        _, dropped, _ = _STATISTICS_V3.unpack(self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _STATISTICS_V3.size))
        self._lost += dropped  # the kernel begins at 0 each time it is asked
        return self._lost + self._ring.cut_off

    def clear_lost(self) -> None:
        """Count from 0 again."""
        self.lost()
        self._lost = -self._ring.cut_off

    def take_error(self) -> int:
        """The errno that poll(2) reports, and forget it: ENETDOWN when the device goes down; 0 when there is none."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def open_packet_socket(kind: int) -> socket.socket:
    """An AF_PACKET socket of SOCK_RAW or SOCK_DGRAM that receives nothing yet.

    Raises:
        Unsupported: the process may not, or the kernel has none.
        OSError: no file descriptor is left.
    """
    try:
        return socket.socket(socket.AF_PACKET, kind | socket.SOCK_CLOEXEC, 0)
    except OSError as e:
        if e.errno in (errno.EPERM, errno.EACCES):
            raise Unsupported("open a packet socket", "the capability CAP_NET_RAW is missing") from e
        if e.errno == errno.EAFNOSUPPORT:
            raise Unsupported("open a packet socket", "this kernel has none (CONFIG_PACKET)") from e
        raise


def _index(device: str) -> int:
    try:
        return socket.if_nametoindex(device)
    except OSError as e:  # which tells no errno
        raise OSError(errno.ENODEV, "the device does not exist", device) from e


def _attach(s: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    """Attach a classic BPF program: `struct sock_fprog` (linux/filter.h), a length and a pointer."""
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*instruction) for instruction in program))
    s.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))
