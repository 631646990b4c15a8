"""A WebSocket client (RFC 6455)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from websockets.sync.client import connect

from tests.external.slb.client import Client


def echoes(
    client: Client, address: str, port: int, messages: Sequence[str | bytes], tls: ssl.SSLContext | None = None, name: str = ""
) -> list[str | bytes]:
    """What comes back for each message, one after another on one connection."""
    link = client.connect(address, port, tls, name)
    with link, connect(f"ws://{name or 'ws.test'}/", sock=link, compression=None, max_size=None) as socket:
        answers = []
        for message in messages:
            socket.send(message)
            answers.append(socket.recv(10))
        return answers
