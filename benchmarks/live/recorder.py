"""When packets pass two devices: a process reads both with the kernel's time stamps, and pairs packets by their number."""

from __future__ import annotations

import ctypes
import multiprocessing
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from live.generator import NUMBER_AT
from live.network import Network

_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35
_BUFFER_BYTES = 64 << 20
_QUIET_S = 1.0
_LOAD, _AND, _JUMP_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06


class Recorder:
    """The process; it lives as long as its context."""

    def __init__(self, orders: Connection) -> None:
        self._orders = orders

    def start(self, number_at: int, one_in: int) -> None:
        """Begin to note one packet of so many (a power of 2); `number_at` is where a copy has its number."""
        self._orders.send((number_at, one_in))
        self._orders.recv()

    def delays_s(self) -> tuple[list[float], int]:
        """Seconds from original to copy of all noted, and how many originals have none; to be asked when all has been sent."""
        self._orders.send(None)
        originals, copies = self._orders.recv()
        return [(copies[n] - at) / 1e9 for n, at in originals.items() if n in copies], len(originals.keys() - copies.keys())


@contextmanager
def recorder(network: Network) -> Iterator[Recorder]:
    """Start the process; to be done before anything that has threads, for it is a fork."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(network, theirs), daemon=True)
    process.start()
    try:
        yield Recorder(ours)
    finally:
        process.terminate()
        process.join()


def _serve(network: Network, orders: Connection) -> None:
    while True:
        number_at, one_in = orders.recv()
        places = (("adc", "front", NUMBER_AT), ("analyzer", "analyzer", number_at))
        sockets = [_open(network, role, device, at, one_in) for role, device, at in places]
        orders.send("ready")
        orders.send(_note(orders, sockets, [at for _, _, at in places]))
        for opened in sockets:
            opened.close()


def _note(orders: Connection, sockets: list[socket.socket], places: list[int]) -> list[dict[int, int]]:
    """Read until told to end and nothing more comes: for each socket, the time in nanoseconds of each number."""
    found: list[dict[int, int]] = [{} for _ in sockets]
    poller, last, ending = select.poll(), time.monotonic(), False
    which = {opened.fileno(): i for i, opened in enumerate(sockets)}
    for fd in which:
        poller.register(fd, select.POLLIN)
    while not ending or time.monotonic() < last + _QUIET_S:
        for fd, _ in poller.poll(50):
            i, last = which[fd], time.monotonic()
            number, at_ns = _read(sockets[i], places[i])
            found[i].setdefault(number, at_ns)
        if not ending and orders.poll():
            orders.recv()
            ending = True
    return found


def _read(opened: socket.socket, place: int) -> tuple[int, int]:
    data, control, _, _ = opened.recvmsg(256, 64)
    seconds, nanoseconds = struct.unpack("=qq", control[0][2][:16])
    return int.from_bytes(data[place : place + 4]), seconds * 1_000_000_000 + nanoseconds


def _open(network: Network, role: str, device: str, number_at: int, one_in: int) -> socket.socket:
    with network.inside(role):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    # A packet that is too short to have a number, or has another one, is not noted (classic BPF: linux/filter.h).
    code = [(_LOAD, 0, 0, number_at), (_AND, 0, 0, one_in - 1), (_JUMP_EQUAL, 0, 1, 0), (_RETURN, 0, 0, 256), (_RETURN, 0, 0, 0)]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in code))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(code), ctypes.addressof(instructions)))
    with network.inside(role):
        opened.bind((device, 3))
    return opened
