"""A generator of UDP packets: an AF_PACKET socket and sendmmsg(2), in a process of its own.

Each packet carries a number (32 bits, network order) as the first bytes of its UDP payload, counted over the process's life.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from live.network import FLOOD_PORT, GENERATOR, SERVER, Network

from hsadc.wire.checksum import internet_checksum

NUMBER_AT = 42
"""Where a packet's number stands: behind Ethernet (14), IPv4 (20) and UDP (8)."""
_BATCH = 64
_SOL_PACKET, _PACKET_QDISC_BYPASS = 263, 20
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vectors_number", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


class Sent(NamedTuple):
    """How many packets, the first one's number, in how many seconds, and the CPU seconds of it.

    The kernel's work on them, up to the end of their way, is mostly done while they are sent, and is in the CPU seconds.
    """

    packets: int
    first: int
    seconds: float
    cpu_s: float

    @property
    def rate_pps(self) -> float:
        """Packets a second."""
        return self.packets / self.seconds


class Generator:
    """The process; it lives as long as its context."""

    def __init__(self, order: Connection, pid: int) -> None:
        self._order, self.pid = order, pid

    def start(self, size: int, packets: int, rate_pps: float = 0, cpu: int | None = None) -> None:
        """Begin to send.

        Args:
            size: bytes of a frame, 60 to 1514.
            packets: how many.
            rate_pps: packets a second, in groups of about half a millisecond; 0 is as fast as it can be.
            cpu: where it runs; None leaves that to the kernel.
        """
        self._order.send((size, packets, rate_pps, cpu))

    def is_done(self) -> bool:
        """Whether `wait` would not have to."""
        return self._order.poll()

    def wait(self) -> Sent:
        """The end of what `start` began."""
        return Sent(*self._order.recv())

    def send(self, size: int, packets: int, rate_pps: float = 0, cpu: int | None = None) -> Sent:
        """Both."""
        self.start(size, packets, rate_pps, cpu)
        return self.wait()


@contextmanager
def generator(network: Network) -> Iterator[Generator]:
    """Start the process; to be done before anything that has threads, for the process is a fork."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(network, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Generator(ours, process.pid or 0)
    finally:
        process.terminate()
        process.join()


def _serve(network: Network, orders: Connection) -> None:
    with network.inside("generator"):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        opened.bind(("generator", 0))
    opened.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
    everywhere, number = os.sched_getaffinity(0), 0
    while True:
        size, packets, rate_pps, cpu = orders.recv()
        os.sched_setaffinity(0, everywhere if cpu is None else {cpu})
        begin, cpu_before = time.monotonic(), time.process_time()
        _send(opened, network, size, packets, rate_pps, number)
        orders.send((packets, number, time.monotonic() - begin, time.process_time() - cpu_before))
        number += packets


def _send(opened: socket.socket, network: Network, size: int, packets: int, rate_pps: float, number: int) -> None:
    memory, headers = _batch(frame(network, size))
    numbers = np.ndarray(_BATCH, ">u4", memoryview(memory), NUMBER_AT, (size,))
    group = max(1, min(_BATCH, int(rate_pps / 2000))) if rate_pps else _BATCH
    begin, sent, fd = time.monotonic(), 0, opened.fileno()
    while sent < packets:
        now = min(group, packets - sent)
        if rate_pps:
            time.sleep(max(begin + sent / rate_pps - time.monotonic(), 0))
        numbers[:] = np.arange(number + sent, number + sent + _BATCH)
        _transmit(fd, headers, now)
        sent += now


def _transmit(fd: int, headers: ctypes.Array[_Header], packets: int) -> None:
    """All of them: what a full queue refuses is sent again, for a lost packet would be offered to nobody."""
    done = 0
    while done < packets:
        result = _LIBC.sendmmsg(fd, ctypes.byref(headers, done * ctypes.sizeof(_Header)), packets - done, 0)
        if result > 0:
            done += result
        elif ctypes.get_errno() not in (11, 105):  # EAGAIN, ENOBUFS
            raise OSError(ctypes.get_errno(), "sendmmsg")


def _batch(packet: bytes) -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[_Header]]:
    memory = ctypes.create_string_buffer(packet * _BATCH, len(packet) * _BATCH)
    vectors, headers = (_Vector * _BATCH)(), (_Header * _BATCH)()
    for i in range(_BATCH):
        vectors[i].base, vectors[i].length = ctypes.addressof(memory) + i * len(packet), len(packet)
        headers[i].vectors, headers[i].vectors_number = ctypes.pointer(vectors[i]), 1
    return memory, headers


def frame(network: Network, size: int, port: int = FLOOD_PORT) -> bytes:
    """A UDP packet of the flood, `size` bytes with its Ethernet header."""
    ethernet = network.macs["front"] + network.macs["generator"] + b"\x08\x00"
    addresses = socket.inet_aton(GENERATOR) + socket.inet_aton(SERVER)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size - 14, 0, 0x4000, 64, 17, 0) + addresses
    ip = ip[:10] + internet_checksum(ip).to_bytes(2) + ip[12:]
    return (ethernet + ip + struct.pack("!HHHH", 40000, port, size - 34, 0)).ljust(size, b"\0")
