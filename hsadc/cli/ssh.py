"""The SSH server: a plain line terminal on a PTY, a batch without one.

Supported standards: the SSH protocol, RFC 4251 to 4254, by asyncssh, which is imported when the server starts and not before.
A host key is ed25519 (RFC 8709): clients that know no better have been gone for longer than this device exists, and whoever
needs another kind puts its private key in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hsadc.cli.batch import LINE_LIMIT, Batch
from hsadc.cli.line import IDLE_TIMEOUT_S, printable, serve_terminal
from hsadc.cli.shell import Login, MakeShell, Shell
from hsadc.errors import ApplyError
from hsadc.model.admin_user import AdminUser

if TYPE_CHECKING:
    import asyncssh

_CHUNK = 4096
_LOGIN_S = 30
_GLANCE_S = 0.01
# Without ChaCha20: OpenSSH and libssh2 would choose it, and here it takes a fifth of the time of a pushed line.
_CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_USUAL_ROWS, _USUAL_COLUMNS = 24, 80
_NARROWEST = 20

_log = logging.getLogger(__name__)


@asynccontextmanager
async def listen(
    address: str,
    port: int,
    *,
    host_key: Path,
    users: Callable[[], Mapping[str, AdminUser]],
    shell: MakeShell,
    transfer: Callable[[asyncssh.SSHServerChannel[bytes]], asyncssh.SFTPServer],
) -> AsyncIterator[int]:
    """Serve SSH as long as the context lasts, and then hang up on all; it gives the port.

    Args:
        address: where to listen.
        port: TCP port; 0 takes a free one.
        host_key: file of the private host key; made when it is not there.
        users: the administrators now; while there are none, `admin` with password `hsadc` may log in from loopback.
        shell: makes the session of a login.
        transfer: serves a channel of SFTP or SCP.

    Raises:
        ApplyError: the address cannot be had, or the host key is unusable.
    """
    import asyncssh

    from hsadc.cli.connections import Connections

    asyncssh.set_log_level(logging.WARNING)  # of each step of each connection it would tell otherwise
    connections = Connections(users)
    try:
        _make_host_key(host_key)
        acceptor = await asyncssh.listen(
            address,
            port,
            server_factory=connections.server,
            server_host_keys=[asyncssh.read_private_key(host_key)],  # a path would be read again at each login
            process_factory=_Service(shell).serve,
            sftp_factory=transfer,
            allow_scp=True,
            line_editor=False,
            encoding="utf-8",
            errors="replace",  # one byte that is not UTF-8 is one odd character, not the end of a connection
            agent_forwarding=False,
            encryption_algs=_CIPHERS,
            login_timeout=_LOGIN_S,
        )
    except OSError as e:
        raise ApplyError(f"listen for SSH on {address} port {port}", e.strerror or str(e)) from e
    except (asyncssh.KeyImportError, ValueError) as e:
        raise ApplyError(f"read the SSH host key {host_key}", str(e)) from e
    try:
        yield acceptor.get_port()
    finally:
        acceptor.close()
        await connections.close()


def _make_host_key(path: Path) -> None:
    """Make the host key unless there is one; at no time is half a key at `path`, or a key that others can read."""
    import asyncssh

    if path.exists():
        return
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:  # mode 0600
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its key is the host's
            os.link(file.name, path)


@dataclass(slots=True)
class _Service:
    """Serves logged-in users."""

    shell: MakeShell

    async def serve(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """One channel: its session, and its end."""
        user: str = process.get_extra_info("username")
        status = 1
        try:
            status = await self._converse(process, user)
        except ConnectionError:
            _log.info("SSH session of %s: the client hung up", user)
        except Exception:
            _log.exception("a bug: the SSH session of %s failed", user)
        with contextlib.suppress(OSError):  # the channel is closed already
            process.exit(status)

    async def _converse(self, process: asyncssh.SSHServerProcess[str], user: str) -> int:
        terminal = _Channel(process)
        peer = str(process.get_extra_info("peername")[0])
        if process.term_type is not None and process.command is None:
            await serve_terminal(self.shell(Login(user, "ssh", peer)), terminal)
            return 0
        return await _serve_batch(self.shell(Login(user, "ssh", peer, batch=True)), terminal, process.command)


async def _serve_batch(shell: Shell, terminal: _Channel, command: str | None) -> int:
    """Carry out the lines of an exec request, or those that come in until the end of input.

    Returns:
        The exit status.

    Raises:
        ConnectionError: the client went away: what it had not finished is not committed.
    """
    batch = Batch(shell)
    thread = ThreadPoolExecutor(1, "batch")
    run = asyncio.get_running_loop().run_in_executor
    try:
        async for line in _lines(terminal) if command is None else _split(command):
            await terminal.print(await run(thread, batch.run, line))
            while batch.more:
                stop = await terminal.interrupted(typed=command is not None)
                await terminal.print(await run(thread, partial(batch.follow, stop=stop)))
            if batch.done:
                break
        await terminal.print(await run(thread, batch.finish))
    finally:
        thread.submit(shell.close)  # after the line that may be running
        thread.shutdown(wait=False)
    return int(batch.failed)


async def _split(command: str) -> AsyncIterator[str]:
    for line in command.split("\n"):
        yield line


async def _lines(terminal: _Channel) -> AsyncIterator[str]:
    """The lines that come in, each as soon as it is there; one that is too long is cut, to be refused, and is the last."""
    rest = ""
    while text := await terminal.read_input():
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield line
        if len(rest) > LINE_LIMIT:
            break
    if rest:
        yield rest


class _Channel:
    """A channel as a terminal, or as input and output."""

    def __init__(self, process: asyncssh.SSHServerProcess[str]) -> None:
        self._process = process
        self._resize(process.term_size[0], process.term_size[1])

    def _resize(self, columns: int, rows: int) -> None:
        """A client that has no window says zero (RFC 4254, section 6.2)."""
        self.columns = max(columns, _NARROWEST) if columns else _USUAL_COLUMNS
        self.rows = rows or _USUAL_ROWS

    async def read(self) -> str:
        """What was typed; a break or an interrupt is Ctrl-C, and a client that went away is an end of input."""
        import asyncssh

        while True:
            try:
                return await self._process.stdin.read(_CHUNK)
            except asyncssh.TerminalSizeChanged as e:
                self._resize(e.width, e.height)
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                return "\x03"
            except (asyncssh.Error, OSError):
                return ""

    async def read_input(self) -> str:
        """What came in; empty when the client has said that there is no more.

        Raises:
            ConnectionError: the client went away without saying so, or has been silent for too long.
        """
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                text = await self.read()
        except TimeoutError:
            raise ConnectionError("nothing came in") from None
        if not text and self._process.channel.is_closing():
            raise ConnectionError("the channel was closed")
        return text

    async def interrupted(self, *, typed: bool) -> bool:
        """Whether the client has sent Ctrl-C; what else it types is lost.

        Args:
            typed: False when its input is lines that are still to be carried out, and is not to be looked at.

        Raises:
            ConnectionError: the client went away.
        """
        text = ""
        if typed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GLANCE_S):
                    text = await self.read()
        if self._process.channel.is_closing():
            raise ConnectionError("the channel was closed")
        return "\x03" in text

    async def write(self, text: str) -> None:
        """Send it; waits while the client does not take it.

        Raises:
            ConnectionError: the client went away.
        """
        import asyncssh

        try:
            self._process.stdout.write(text)
            await self._process.stdout.drain()
        except (asyncssh.Error, OSError) as e:
            raise ConnectionError(str(e)) from e

    async def print(self, lines: tuple[str, ...]) -> None:
        """Send lines, with CR LF when the client sees them on a PTY."""
        end = "\n" if self._process.term_type is None else "\r\n"
        if lines:
            await self.write("".join(printable(line) + end for line in lines))
