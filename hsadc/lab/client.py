"""The client: `python -m hsadc.lab.client URL REQUESTS CONCURRENCY RECORD [AUTHORITY]`.

It sends GET and POST requests whose bodies, up or down, are of awkward sizes, over connections that carry a few requests each,
and records every byte of every connection; where the URL says https, those inside TLS. AUTHORITY is the PEM file of whom it
believes then. A request that fails is recorded as failed and not sent again.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hsadc.lab.payload import body
from hsadc.lab.record import Connection, Exchange, save_connections

SIZES = (0, 1, 64, 1399, 1400, 1401, 4096, 16384, 60000)
"""Bytes of a body: nothing, around one segment, and so much that the kernel hands down segments of many packets at once."""

_REQUESTS_PER_CONNECTION = 5
_TIMEOUT_S = 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_SERVER = re.compile(rb"\r\nx-real-server: *([^\r]+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send: `body_bytes` up, `/bytes/N` down."""

    method: str
    path: str
    body_bytes: int


def plan(requests: int) -> tuple[Request, ...]:
    """The requests, in order: each size once downwards by GET, then upwards by POST, over and over."""
    sizes = [SIZES[i // 2 % len(SIZES)] for i in range(requests)]
    return tuple(Request("POST", "/bytes/64", n) if i % 2 else Request("GET", f"/bytes/{n}", 0) for i, n in enumerate(sizes))


class RequestError(Exception):
    """Why a request was not answered as it must be."""


class Recorder:
    """A socket that writes down what goes through it."""

    def __init__(self, peer: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        link = socket.create_connection(peer, timeout=_TIMEOUT_S)
        try:
            self._socket = link if tls is None else tls.wrap_socket(link, server_hostname=peer[0])
        except OSError:
            link.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.sent = bytearray()
        self.received = bytearray()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        while data:
            count = self._socket.send(data)
            self.sent += data[:count]
            data = data[count:]

    def receive(self) -> None:
        """Receive some more.

        Raises:
            RequestError: the peer has closed.
        """
        data = self._socket.recv(1 << 16)
        if not data:
            raise RequestError("closed by the peer")
        self.received += data

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def converse(peer: tuple[str, int], requests: Sequence[Request], tls: ssl.SSLContext | None = None) -> Connection:
    """Send requests one after another over one connection; after one that fails the rest is not tried, and fails too."""
    exchanges: list[Exchange] = []
    try:
        link = Recorder(peer, tls)
    except OSError as e:
        return Connection(0, b"", b"", tuple(Exchange(r.method, r.path, error=str(e)) for r in requests))
    try:
        for request in requests:
            server = exchange(link, f"{peer[0]}:{peer[1]}", request)
            exchanges.append(Exchange(request.method, request.path, server))
    except (OSError, RequestError) as e:
        failed = requests[len(exchanges) :]
        exchanges += [Exchange(r.method, r.path, error=str(e) or type(e).__name__) for r in failed]
    finally:
        link.close()
    return Connection(link.port, bytes(link.sent), bytes(link.received), tuple(exchanges))


def exchange(link: Recorder, host: str, request: Request) -> str:
    """Send a request and receive its response; returns the name of the real server.

    Raises:
        RequestError: the response is not what was asked for.
        OSError: the connection broke, or nothing came for a while.
    """
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: hsadc-lab\r\n"
    if request.method == "POST":
        head += f"Content-Length: {request.body_bytes}\r\n"
    start = len(link.received)
    link.send(head.encode() + b"\r\n" + body("clnt", request.body_bytes))
    while (end := link.received.find(b"\r\n\r\n", start)) < 0:
        link.receive()
    response = bytes(link.received[start : end + 2])
    status, length, server = response[9:12], _LENGTH.search(response), _SERVER.search(response)
    if status != b"200" or length is None or server is None:
        raise RequestError(response.partition(b"\r\n")[0].decode(errors="replace"))
    end += 4 + int(length[1])
    while len(link.received) < end:
        link.receive()
    name = server[1].decode()
    # One after another: nothing may follow the response, and its body must be that of the server that signed it.
    if bytes(link.received[end - int(length[1]) :]) != body(name, int(request.path.rpartition("/")[2])):
        raise RequestError("the body is not the one that was asked for")
    return name


def main(url: str, requests: str, concurrency: str, record: str, authority: str | None = None) -> None:
    """Send the requests, so many connections at a time, and write the connections to that file."""
    host = urlsplit(url)
    tls = ssl.create_default_context(cafile=authority) if host.scheme == "https" else None
    peer = (host.hostname or "", host.port or (80 if tls is None else 443))

    def conversations() -> Iterator[Sequence[Request]]:
        todo = plan(int(requests))
        for start in range(0, len(todo), _REQUESTS_PER_CONNECTION):
            yield todo[start : start + _REQUESTS_PER_CONNECTION]

    with ThreadPoolExecutor(int(concurrency)) as threads:
        save_connections(Path(record), threads.map(lambda few: converse(peer, few, tls), conversations()))


if __name__ == "__main__":
    main(*sys.argv[1:])
