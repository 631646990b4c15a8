"""A real server whose answers a web server does not give: `python app.py NAME CERTIFICATE`.

    8081 HTTP, 8443 HTTPS:  /head            the head of the request as it came
                            /peer            the client's address and port
                            /sum             SHA-256 of the request's body
                            /slow/S          an answer after S seconds
                            /turns/N         status 500 every N-th time
                            /mode/N          from now on every answer has status N, without a body of its own (200: as ever)
                            /pause/S         the first half of the answer's body, the rest after S seconds
                            /status/N        that status
                            /abort/N         N bytes of a body that was to be longer, then a reset
    8082 WebSocket:         what comes, goes back
    7 TCP, 8007 TLS:        speaks first: `NAME ADDRESS PORT`, of the client, and a line feed; then what comes goes back; the
                            connection is closed when the client closes its side
    53 UDP:                 `NAME ADDRESS PORT ` and what came

Every answer of HTTP has a header X-Server with the server's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import struct
import sys
from functools import partial

from websockets.asyncio.server import ServerConnection, serve

READY = "listening"


class Http:
    """One server's HTTP/1.1 (RFC 9112), as much as tests need: no chunked requests."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._turn, self._mode = 0, 200

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client has no more."""
        try:
            while await self._request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        fields = {k.lower(): v for line in head.decode("latin-1").split("\r\n")[1:] for k, _, v in (line.partition(": "),)}
        if fields.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest, left = hashlib.sha256(), int(fields.get("content-length", "0"))
        while left:
            part = await reader.read(min(left, 1 << 16))
            if not part:
                return False
            digest.update(part)
            left -= len(part)
        _, kind, value = (head.split()[1].decode() + "/").split("/", 2)
        await self._answer(writer, head, kind, value.strip("/"), digest.hexdigest())
        return fields.get("connection", "").lower() != "close"

    async def _answer(self, writer: asyncio.StreamWriter, head: bytes, kind: str, value: str, digest: str) -> None:
        peer = writer.get_extra_info("peername")
        status, body = self._mode, b"ok\n"
        match kind if self._mode == 200 or kind == "mode" else "":
            case "mode":
                status = self._mode = int(value)
            case "head":
                body = head
            case "peer":
                body = f"{peer[0]} {peer[1]}".encode()
            case "sum":
                body = digest.encode()
            case "status":
                status = int(value)
            case "turns":
                self._turn += 1
                status = 500 if self._turn % int(value) == 0 else 200
            case "slow":
                await asyncio.sleep(float(value))
            case "abort":
                body = bytes(int(value))
        length = len(body) * 2 if kind == "abort" else len(body)
        start = (
            f"HTTP/1.1 {status} As asked\r\nX-Server: {self.name}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        )
        if kind == "pause":
            writer.write(start.encode() + body[:1])
            await writer.drain()
            await asyncio.sleep(float(value))
            start, body = "", body[1:]
        writer.write(start.encode() + body)
        await writer.drain()
        if kind == "abort":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise ConnectionAbortedError


async def echo(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet, then send back what comes."""
    peer = writer.get_extra_info("peername")
    writer.write(f"{name} {peer[0]} {peer[1]}\n".encode())
    try:
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def websocket(connection: ServerConnection) -> None:
    """Send back what comes."""
    async for message in connection:
        await connection.send(message)


class Datagrams(asyncio.DatagramProtocol):
    """Answers each datagram."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the way to answer."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Say who answers, and to whom."""
        self._transport.sendto(f"{self._name} {addr[0]} {addr[1]} ".encode() + data, addr)


async def main(name: str, certificate: str) -> None:
    """Serve until killed."""
    http, tls = Http(name), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)

    for host in ("0.0.0.0", "::"):
        bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, 53))
        await asyncio.start_server(http.connection, host, 8081, backlog=1024)
        await asyncio.start_server(http.connection, host, 8443, ssl=tls, backlog=1024)
        await asyncio.start_server(partial(echo, name), host, 7, backlog=1024)
        await asyncio.start_server(partial(echo, name), host, 8007, ssl=tls)
        await serve(websocket, host, 8082)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: Datagrams(name), sock=bound)
    print(READY, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
