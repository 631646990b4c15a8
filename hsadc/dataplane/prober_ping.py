"""Checks by ICMP echo: one raw socket for each family asks for all of them, and hands out the replies."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from itertools import count

from hsadc.dataplane.prober_check import open_socket
from hsadc.errors import WireError
from hsadc.intent.probe import Probe
from hsadc.wire.echo import REPLY, decode_reply, encode_request

_PROTOCOLS = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_FILTERS = {4: (255, 1), 6: (socket.IPPROTO_ICMPV6, 1)}
"""Level and name of ICMP_FILTER (raw(7)) and ICMPV6_FILTER: the types that the socket does not get, a bit each."""
_FILTER_WORDS = {4: 1, 6: 8}
_BUFFER_BYTES = 1 << 20
_MOST_BYTES = 65536


class Pinger:
    """Echo requests of one event loop, in the network namespace of its thread. Who makes it closes it, in that loop."""

    def __init__(self) -> None:
        """Sockets are opened when they are first needed."""
        self._sockets: dict[int, socket.socket] = {}
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._identifier = secrets.randbelow(1 << 16)
        self._sequence = count(1)

    async def ping(self, probe: Probe) -> None:
        """Send an echo request and return when the reply has come.

        Raises:
            OSError: it cannot be sent.
            Unable: there is no socket to be had.
        """
        version = probe.address.version
        token = secrets.token_bytes(16)  # nobody else's reply is taken for ours
        request = encode_request(version, self._identifier, next(self._sequence) & 0xFFFF, token)
        reply = asyncio.get_running_loop().create_future()
        self._waiting[token] = reply
        try:
            self._socket(version).sendto(request, (str(probe.address), 0))
            await reply
        finally:
            del self._waiting[token]

    def close(self) -> None:
        """Give the sockets back."""
        for sock in self._sockets.values():
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def _socket(self, version: int) -> socket.socket:
        if version not in self._sockets:
            sock = open_socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_RAW, _PROTOCOLS[version])
            sock.setsockopt(*_FILTERS[version], _all_but(REPLY[version], _FILTER_WORDS[version]))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            asyncio.get_running_loop().add_reader(sock, self._read, version, sock)
            self._sockets[version] = sock
        return self._sockets[version]

    def _read(self, version: int, sock: socket.socket) -> None:
        try:
            packet = sock.recv(_MOST_BYTES)
            # An IPv4 socket gives the header, too (raw(7)), whose length stands in its first byte.
            _, _, token = decode_reply(version, packet[(packet[0] & 15) * 4 :] if version == 4 else packet)
        except (OSError, WireError):
            return
        reply = self._waiting.get(token)
        if reply is not None and not reply.done():
            reply.set_result(None)


class EchoAttempt:
    """An echo request is replied to.

    Attributes:
        silence: see Attempt.
    """

    silence = False

    def __init__(self, probe: Probe, pinger: Pinger) -> None:
        """The pinger stays the caller's."""
        self._probe = probe
        self._pinger = pinger

    async def run(self) -> None:
        """Ask, and wait for the reply."""
        await self._pinger.ping(self._probe)

    def close(self) -> None:
        """Nothing is kept."""


def _all_but(kind: int, words: int) -> bytes:
    mask = [0xFFFFFFFF] * words
    mask[kind // 32] ^= 1 << kind % 32
    return struct.pack(f"={words}I", *mask)
