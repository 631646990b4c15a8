"""The control socket: how `hsadc` on this machine reaches the running device.

A Unix stream socket, one session per connection. Both sides send JSON (RFC 8259), one object per line:

    client   {"call": "open", "batch": false}               a batch's configuration lines are one transaction
    client   {"call": "run", "line": "show version"}        from then on `call` is the name of a method of Shell
    server   {"prompt": "hsadc#", "page_length": null, "closed": false, "result": ...}

Each message of the client has one answer; where the server refuses the peer or the message this is `{"error": "why"}`, and it
hangs up.

Who may connect: root, the user that the device runs as, and the group `hsadc`, by the credentials that the kernel reports for
the peer (SO_PEERCRED, unix(7)); the file's mode says the same.
"""

from __future__ import annotations

import asyncio
import grp
import json
import logging
import os
import pwd
import socket
import stat
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from hsadc.cli.remote import GROUP, ControlError, NoDaemon, connect, encode
from hsadc.cli.shell import Login, MakeShell, Shell

_MODE = 0o660
# A line of 64 Ki characters grows by escapes of JSON, to 12 bytes a character at worst.
_MESSAGE_BYTES = 1 << 20
_NOT_UNDERSTOOD = "this is not a message that the device understands"
_UCRED = struct.Struct("3i")  # pid, uid, gid in the machine's byte order

_log = logging.getLogger(__name__)


class Listener:
    """Serves sessions until it is closed; an asynchronous context manager that closes itself."""

    def __init__(self, path: Path, shell: MakeShell) -> None:
        """Use `listen`, which also starts it."""
        self._path = path
        self._shell = shell
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; raises what `listen` raises."""
        server = _bind(self._path)
        self._server = await asyncio.start_unix_server(self._accept, sock=server, limit=_MESSAGE_BYTES)

    async def close(self) -> None:
        """Hang up on all clients, stop listening and remove the socket file; a line that runs is carried out to its end."""
        if self._server is not None:
            self._server.close()
            self._server = None
            with suppress(OSError):  # the next device replaces it
                self._path.unlink()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_serve(reader, writer, self._shell))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)


async def listen(path: Path, shell: MakeShell) -> Listener:
    """Serve sessions at `path`; the caller closes what it gets. The socket file of a device that died is replaced.

    Args:
        path: the socket file, in a folder that exists.
        shell: makes the session of a connection.

    Raises:
        ControlError: the path is too long, something else is there, or another device serves it.
    """
    listener = Listener(path, shell)
    await listener.start()
    return listener


def _bind(path: Path) -> socket.socket:
    """A bound socket of the right owner and mode, not listening yet: until it does, nobody can connect."""
    _remove_stale(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the file the mode of the socket itself, so at no time others may open it.
        os.fchmod(server.fileno(), _MODE & 0o600)
        server.bind(os.fspath(path))
        if (group := _group()) is not None and os.geteuid() == 0:
            os.chown(path, -1, group)
        path.chmod(_MODE)
    except OSError as e:
        server.close()
        raise ControlError(f"cannot listen at {path}: {e.strerror}") from e
    return server


def _remove_stale(path: Path) -> None:
    """Remove the socket file of a device that died.

    Raises:
        ControlError: somebody listens there, or it is no socket.
    """
    try:
        connect(path).close()
    except NoDaemon:
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            raise ControlError(f"cannot listen at {path}: there is a file that is no socket") from None
        path.unlink(missing_ok=True)
    else:
        raise ControlError(f"a device runs already: it listens at {path}")


def _group() -> int | None:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def _peer(connection: socket.socket) -> tuple[str, bool]:
    """The peer's user name, and whether it may use the device."""
    _, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        name = pwd.getpwuid(uid).pw_name
        groups = {gid, *os.getgrouplist(name, gid)}
    except KeyError:
        name, groups = str(uid), {gid}
    return name, uid in (0, os.geteuid()) or _group() in groups


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, make: MakeShell) -> None:
    """One connection."""
    thread = ThreadPoolExecutor(1, "control")  # a session with a thread of its own never waits for the commits of others
    try:
        await _converse(reader, writer, make, thread)
    except ConnectionError:
        pass
    except ControlError as e:
        writer.write(encode({"error": str(e)}))
    except Exception:
        _log.exception("a bug: a session at the control socket failed")
        writer.write(encode({"error": "internal error, the log has the details"}))
    finally:
        thread.shutdown(wait=False)
        writer.close()


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, make: MakeShell, thread: ThreadPoolExecutor
) -> None:
    user, allowed = _peer(writer.get_extra_info("socket"))
    if (request := await _next(reader)) is None:
        return
    if not allowed:
        _log.warning("login of %r at the control socket refused", user)
        raise ControlError(f"{user}: only root and the group {GROUP} may use the device")
    _log.info("login of %r at the control socket", user)
    shell, result = make(Login(user, batch=bool(request.get("batch")))), None
    try:
        while request is not None:
            state = {"prompt": shell.prompt, "page_length": shell.page_length, "closed": shell.closed}
            writer.write(encode({**state, "result": result}))
            await writer.drain()
            if (request := await _next(reader)) is not None:
                result = await asyncio.get_running_loop().run_in_executor(thread, _call, shell, request)
    finally:
        thread.submit(shell.close)  # after the line that may be running


async def _next(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The client's next message, None when it hung up."""
    try:
        line = await reader.readline()
        request = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError) as e:  # not JSON, or longer or deeper than any message may be
        raise ControlError(_NOT_UNDERSTOOD) from e
    if request is not None and not isinstance(request, dict):
        raise ControlError(_NOT_UNDERSTOOD)
    return request


def _call(shell: Shell, request: dict[str, Any]) -> Any:
    """Carry out a request; the result in the form of JSON.

    Raises:
        ControlError: there is no such call, or it has an argument that cannot be.
    """
    line, columns = request.get("line", ""), request.get("columns", 0)
    if not (isinstance(line, str) and isinstance(columns, int)):
        raise ControlError(_NOT_UNDERSTOOD)
    match request.get("call"):
        case "run":
            return asdict(shell.run(line, columns))
        case "follow":
            return asdict(shell.follow(stop=bool(request.get("stop"))))
        case "answer":
            return asdict(shell.answer(_secret(request)))
        case "finish":
            return asdict(shell.finish())
        case "to_exec":
            return shell.to_exec()
        case "history":
            return list(shell.history)
        case "help":
            return list(shell.help(line))
        case "choices":
            return [asdict(choice) for choice in shell.choices(line)]
        case "complete":
            return asdict(shell.complete(line))
        case "wrong_from":
            return shell.wrong_from(line)
        case other:
            raise ControlError(f"the device does not know the call {other!r}: are both of the same version?")


def _secret(request: dict[str, Any]) -> str | None:
    text = request.get("text")
    if not isinstance(text, str | None):
        raise ControlError(_NOT_UNDERSTOOD)
    return text
