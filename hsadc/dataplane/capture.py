"""Packets of a device, as the kernel sees them come and go: for the operator's `capture`.

A packet socket (packet(7)) is bound to the device after its filter is in force, so that no other packet ever gets in. The kernel
takes a VLAN tag out of the packet and tells it beside (PACKET_AUXDATA); here it is put back.
"""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hsadc.dataplane.packet_filter import SNAPLEN, compile_filter
from hsadc.errors import ApplyError

_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35
_PACKET_OUTGOING = 4
_AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata: status, length, snaplen, mac, net, VLAN TCI and TPID
_VLAN_VALID, _TPID_VALID = 1 << 4, 1 << 6
_TIME = struct.Struct("@qq")  # struct timespec: seconds, nanoseconds
_STATISTICS = struct.Struct("=II")  # struct tpacket_stats: packets (the dropped ones, too), drops; both since they were read
_TAG_AT = 12
_QUEUE_BYTES = 32 << 20
_AT_ONCE = 256
_CONTROL_BYTES = 256


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame on a device.

    Attributes:
        time_ns: when the kernel saw it, in nanoseconds since 1970.
        outgoing: True when this machine sends it.
        frame: its bytes with all VLAN tags, from the destination's hardware address on.
        length: bytes of the frame; more than `frame` has when it is larger than any packet should be.
    """

    time_ns: int
    outgoing: bool
    frame: bytes
    length: int


class Capture:
    """A capture that is going on, in the namespace of the thread that made it; who makes it closes it."""

    def __init__(self, device: str, expression: str = "", within: str = "") -> None:
        """Begin.

        Args:
            device: Linux name of an Ethernet device.
            expression: the operator's libpcap filter; empty takes all packets.
            within: another filter, which packets must pass, too.

        Raises:
            ConfigError: the expression is wrong.
            ApplyError: there is no such device, or the kernel refuses. `Unsupported`: there is no libpcap.
        """
        self._device = device
        self._dropped = self._passed = 0
        self._room = memoryview(bytearray(SNAPLEN))
        try:
            socket.if_nametoindex(device)
        except OSError as e:
            raise ApplyError(f"capture on {device}", "there is no such device now") from e
        program = _compile(device, expression, within)
        try:
            # Without a protocol it hears nothing until it is bound.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        except OSError as e:
            raise ApplyError(f"capture on {device}", e.strerror or str(e)) from e
        try:
            self._start(program)
        except OSError as e:
            self._socket.close()
            raise ApplyError(f"capture on {device}", e.strerror or str(e)) from e

    def _start(self, program: bytes) -> None:
        if program:
            instructions = ctypes.create_string_buffer(program)
            fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _QUEUE_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._socket.bind((self._device, _ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it; the kernel forgets the filter."""
        self._socket.close()

    def packets(self, wait_s: float) -> Iterator[Packet]:
        """What has come, 256 packets at most; waits for the first one up to `wait_s` seconds.

        Raises:
            ApplyError: the device went down, or is gone.
        """
        select.select([self._socket], [], [], max(wait_s, 0))
        for _ in range(_AT_ONCE):
            try:
                size, control, _, source = self._socket.recvmsg_into([self._room], _CONTROL_BYTES)
            except BlockingIOError:
                return
            except OSError as e:
                raise ApplyError(f"capture on {self._device}", e.strerror or str(e)) from e
            yield _packet(bytes(self._room[:size]), control, source[2] == _PACKET_OUTGOING)

    def counters(self) -> tuple[int, int]:
        """Packets that passed the filter since the beginning, and how many of them the kernel had no room for."""
        passed, dropped = _STATISTICS.unpack(self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))
        self._passed, self._dropped = self._passed + passed, self._dropped + dropped
        return self._passed, self._dropped


def _compile(device: str, expression: str, within: str) -> bytes:
    """Both filters as one program; the operator's is read alone first, so that he is told of his own words."""
    program = compile_filter(device, expression) if expression else b""
    if within:
        program = compile_filter(device, f"({within}) and ({expression})" if expression else within)
    return program


def _packet(frame: bytes, control: list[tuple[int, int, bytes]], outgoing: bool) -> Packet:
    time_ns, length = None, len(frame)
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIME.unpack_from(data)
            time_ns = seconds * 10**9 + nanoseconds
        elif (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, length, _, _, _, tag, protocol = _AUXDATA.unpack_from(data)
            if status & _VLAN_VALID:
                tpid = protocol if status & _TPID_VALID else 0x8100
                frame = frame[:_TAG_AT] + struct.pack("!HH", tpid, tag) + frame[_TAG_AT:]
                length += 4
    return Packet(time.time_ns() if time_ns is None else time_ns, outgoing, frame, length)
