"""Who may log in by SSH: administrators by password or key, and the default account only from this machine.

asyncssh is imported when the first key is compared and not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from hsadc.errors import ConfigError
from hsadc.model.admin_user import AdminUser
from hsadc.syntax.password import hash_password, verify_password

if TYPE_CHECKING:
    import asyncssh

DEFAULT_USER = "admin"
DEFAULT_PASSWORD = "hsadc"  # noqa: S105  known to everybody, which is why it is good for loopback only
ATTEMPTS = 3
FAILURE_DELAY_S = 0.3
MOST_STRANGERS = 256

_log = logging.getLogger(__name__)


def refuse_default_password(address: str, users: Mapping[str, AdminUser]) -> None:
    """Refuse to listen where the default account could be tried from other machines.

    Args:
        address: where SSH is to listen.
        users: the configured administrators.

    Raises:
        ConfigError: there is no administrator, and the address is not loopback.
    """
    if not users and address != "localhost" and not _is_loopback(address):
        raise ConfigError(
            f"ssh {address}", "configure an administrator first (admin user NAME): the default account is for loopback only"
        )


class Strangers:
    """Connections on which nobody has logged in yet: the oldest has to go when there are more than `MOST_STRANGERS`.

    Else whoever can reach the port could take all the files that the device may have open.
    """

    def __init__(self) -> None:
        self._connections: dict[asyncssh.SSHServerConnection, None] = {}

    def enter(self, connection: asyncssh.SSHServerConnection) -> None:
        """Somebody has connected."""
        self._connections[connection] = None
        if len(self._connections) > MOST_STRANGERS:
            oldest = next(iter(self._connections))
            self.leave(oldest)
            oldest.abort()

    def leave(self, connection: asyncssh.SSHServerConnection) -> None:
        """He has logged in, or is gone."""
        self._connections.pop(connection, None)


@dataclass(slots=True)
class Gate:
    """Who may come in on one connection.

    Attributes:
        users: gives the administrators now: one who is deleted while a login goes on does not come in.
        peer: the address that the connection comes from.
        attempts: how many passwords have been tried.
    """

    users: Callable[[], Mapping[str, AdminUser]]
    peer: str
    attempts: int = 0

    def accounts(self) -> Mapping[str, AdminUser]:
        """Those who may log in: the default account only while there is no other, and only from loopback."""
        users = self.users()
        return users if users or not _is_loopback(self.peer) else _default_account()

    def check(self, name: str, password: str) -> bool:
        """Whether the password is right; takes as long for a name that does not exist, so that nobody can find out names."""
        account = self.accounts().get(name)
        hashed = account.password if account is not None else None
        return verify_password(hashed or _decoy(), password) and hashed is not None

    async def password(self, name: str, password: str) -> bool:
        """As `check`, in a thread; counts, and waits after a wrong password.

        Raises:
            PermissionError: too many were wrong.
        """
        # Counted before anything is waited for: a client may send the next attempt without awaiting the answer to this one.
        self.attempts += 1
        if self.attempts <= ATTEMPTS and await asyncio.get_running_loop().run_in_executor(_hashing(), self.check, name, password):
            return True
        _log.warning("SSH login of %r from %s failed", name, self.peer)
        await asyncio.sleep(FAILURE_DELAY_S)
        if self.attempts >= ATTEMPTS:
            raise PermissionError("too many wrong passwords")
        return False

    def has_key(self, name: str, key: asyncssh.SSHKey) -> bool:
        """Whether it is a public key of this user; what is no key in the configuration is passed over."""
        import asyncssh

        account = self.accounts().get(name)
        for line in account.ssh_keys if account is not None else ():
            with contextlib.suppress(asyncssh.KeyImportError):
                if asyncssh.import_public_key(line) == key:
                    return True
        return False


@cache
def _hashing() -> ThreadPoolExecutor:
    """Few threads of their own: who tries passwords must not take those that others wait for, nor much memory (16 MiB each)."""
    return ThreadPoolExecutor(2, "ssh-password")


@cache
def _decoy() -> str:
    return hash_password(secrets.token_hex())


@cache
def _default_account() -> Mapping[str, AdminUser]:
    return {DEFAULT_USER: AdminUser(DEFAULT_USER, hash_password(DEFAULT_PASSWORD))}


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback
