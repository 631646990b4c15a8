"""Traffic that the mirror must not disturb: a TCP client and a server, in processes of their own, and the client's figures."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from live.network import SERVER, Network
from live.ways import BULK_PORT

_ECHO, _SINK = b"e", b"s"
_CHUNK = bytes(1 << 18)
_MESSAGE = bytes(200)
_MSS_BYTES = 1400
"""As a mirrored virtual server asks for, so that a copy of a full segment fits with what is put in front of it."""


class Production:
    """Both processes, which live as long as their context."""

    def __init__(self, orders: Connection) -> None:
        self._orders = orders

    def start(self, what: str, amount: float) -> None:
        """Begin: `bulk` for so many seconds, or so many `round_trips`."""
        self._orders.send((what, amount))

    def wait(self) -> Any:
        """The result of what `start` began."""
        return self._orders.recv()

    def bulk_gbps(self, seconds: float) -> float:
        """Gigabits a second from client to server over one connection."""
        self.start("bulk", seconds)
        return float(self.wait())

    def round_trips_s(self, number: int) -> list[float]:
        """Seconds that 200 bytes take there and back, each after the one before."""
        self.start("round_trips", number)
        return list(self.wait())


@contextmanager
def production(network: Network) -> Iterator[Production]:
    """Start the processes; to be done before anything that has threads, for they are forks."""
    ours, theirs = multiprocessing.Pipe()
    server = _in_namespace(network, "adc", _serve)
    client = _in_namespace(network, "generator", lambda: _client(theirs))
    try:
        yield Production(ours)
    finally:
        for process in (client, server):
            process.terminate()
            process.join()


def _in_namespace(network: Network, role: str, work: Callable[[], None]) -> Any:
    def begin() -> None:
        with network.inside(role):
            work()

    process = multiprocessing.get_context("fork").Process(target=begin, daemon=True)
    process.start()
    return process


def _serve() -> None:
    listener = socket.create_server((SERVER, BULK_PORT))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _MSS_BYTES)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(ConnectionError):
            echo, received = connection.recv(1) == _ECHO, 0
            buffer = bytearray(1 << 20)
            while number := connection.recv_into(buffer):
                received += number
                if echo:
                    connection.sendall(buffer[:number])
            connection.sendall(received.to_bytes(8))


def _client(orders: Connection) -> None:
    does = {"bulk": _bulk, "round_trips": _round_trips}
    while True:
        what, amount = orders.recv()
        orders.send(does[what](amount))


def _connect(what: bytes) -> socket.socket:
    end = time.monotonic() + 5
    while True:
        try:
            connection = socket.create_connection((SERVER, BULK_PORT), timeout=30)
            break
        except ConnectionRefusedError:  # the server is just starting
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(what)
    return connection


def _bulk(seconds: float) -> float:
    with _connect(_SINK) as connection:
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            connection.sendall(_CHUNK)
        connection.shutdown(socket.SHUT_WR)
        received = int.from_bytes(connection.recv(8))
        return received * 8 / (time.monotonic() - begin) / 1e9


def _round_trips(number: int) -> list[float]:
    times = []
    with _connect(_ECHO) as connection:
        for _ in range(int(number)):
            begin = time.perf_counter()
            connection.sendall(_MESSAGE)
            missing = len(_MESSAGE)
            while missing:
                missing -= len(connection.recv(missing))
            times.append(time.perf_counter() - begin)
    return times


def own_cpu_s() -> float:
    """CPU seconds of all CPUs of the machine that were not idle, since it started (proc(5), stat: hundredths)."""
    user, nice, system, _, _, *rest = (int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")
