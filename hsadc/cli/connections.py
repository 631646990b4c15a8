"""The SSH connections that are open: how many may be strangers at once, who has logged in, and how all are ended.

Import this module where SSH is served and nowhere else: it imports asyncssh.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import asyncssh

from hsadc.cli.gate import Gate
from hsadc.model.admin_user import AdminUser

MOST_STRANGERS = 128
"""Connections that have not logged in, at once; more could use up the descriptors that the rest of the device needs.

The oldest has to go for a new one: whoever only connects cannot keep others out.
"""

_GOODBYE_S = 5

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Connections:
    """All connections of a server.

    Attributes:
        users: gives the administrators now.
        known: those that have logged in.
        strangers: those that have not, the oldest first.
    """

    users: Callable[[], Mapping[str, AdminUser]]
    known: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    strangers: dict[asyncssh.SSHServerConnection, None] = field(default_factory=dict)

    def server(self) -> asyncssh.SSHServer:
        """The server's side of a new connection."""
        return _Server(self)

    async def close(self) -> None:
        """Hang up on all."""
        connections = {*self.known, *self.strangers}
        for connection in connections:
            connection.disconnect(asyncssh.DISC_SERVICE_NOT_AVAILABLE, "the device is stopping")
        if connections:
            await asyncio.wait([asyncio.ensure_future(c.wait_closed()) for c in connections], timeout=_GOODBYE_S)


class _Server(asyncssh.SSHServer):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._gate = Gate(self._connections.users, str(conn.get_extra_info("peername")[0]))
        strangers = self._connections.strangers
        strangers[conn] = None
        if len(strangers) > MOST_STRANGERS:
            oldest = next(iter(strangers))
            del strangers[oldest]
            oldest.abort()
            _log.warning("SSH connection from %s: an older one goes, %d others are logging in", self._gate.peer, MOST_STRANGERS)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.strangers.pop(self._connection, None)
        self._connections.known.discard(self._connection)

    def auth_completed(self) -> None:
        self._connections.strangers.pop(self._connection, None)
        self._connections.known.add(self._connection)
        _log.info("SSH login of %r from %s", self._connection.get_extra_info("username"), self._gate.peer)

    def password_auth_supported(self) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        try:
            return await self._gate.password(username, password)
        except PermissionError as e:
            raise asyncssh.PermissionDenied(str(e)) from e

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._gate.has_key(username, key)
