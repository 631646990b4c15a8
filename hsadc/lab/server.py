"""A real server: `python -m hsadc.lab.server NAME ADDRESS PORT REPORT [IDENTITY]`.

It answers GET and POST of `/bytes/N` with N bytes and its name in the header `X-Real-Server`, over connections that stay open
(HTTP/1.1, RFC 9112), until SIGTERM; then it writes its report and ends. With IDENTITY, a PEM file of a certificate and its key,
it speaks TLS.
"""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

from hsadc.lab.payload import body
from hsadc.lab.record import ServerReport, save_report

READY = "listening"
"""What it writes to standard output once it takes connections."""


class RealServer(ThreadingHTTPServer):
    """The server's socket and what it counts; a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, address: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self._tls = tls
        self._lock = Lock()
        self._requests: Counter[str] = Counter()
        super().__init__((address, port), Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; its thread does the handshake, with the first read."""
        link, peer = super().get_request()
        return (link if self._tls is None else self._tls.wrap_socket(link, server_side=True, do_handshake_on_connect=False)), peer

    def count(self, peer: str) -> None:
        """Note a request that came from the address `peer`."""
        with self._lock:
            self._requests[peer] += 1

    def report(self) -> ServerReport:
        """What was seen so far."""
        with self._lock:
            return ServerReport(self.name, dict(self._requests))


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: RealServer
    protocol_version = "HTTP/1.1"
    # Head and body leave together, and at once: else Nagle's algorithm waits for a delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with as many bytes as the path asks for."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        where, _, size = self.path.rpartition("/")
        if where != "/bytes" or not size.isdecimal():
            self.send_error(404)
            return
        self.server.count(self.client_address[0])
        self.send_response(200)
        self.send_header("X-Real-Server", self.server.name)
        self.send_header("Content-Length", size)
        self.end_headers()
        self.wfile.write(body(self.server.name, int(size)))

    do_POST = do_GET  # noqa: N815 (the base class's way of naming methods)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's word)
        """Say nothing: the report does."""


def main(name: str, address: str, port: str, report: str, identity: str | None = None) -> None:
    """Serve until SIGTERM, then write the report to that file."""

    def stop(*_: object) -> NoReturn:
        raise SystemExit(0)

    tls = None
    if identity is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(identity)
    with RealServer(name, address, int(port), tls) as server:
        signal.signal(signal.SIGTERM, stop)
        sys.stdout.write(READY + "\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        finally:
            save_report(Path(report), server.report())


if __name__ == "__main__":
    main(*sys.argv[1:])
