"""HAProxy's command sockets: a line of commands, an answer."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

_UCRED = struct.Struct("3i")  # pid, uid, gid in the machine's byte order
_LIMIT_S = 30  # a reload tries a busy port for two seconds before it gives up, and a large file takes its time


_LINE_BYTES = 8192
"""A line of commands must fit HAProxy's buffer (`tune.bufsize`), with room for what HAProxy adds."""


def ask(path: Path, command: str, limit_s: float = _LIMIT_S) -> str:
    """Send a command and read the answer to its end.

    Args:
        path: the socket; it may be longer than the 107 bytes that an address can hold.
        command: one line, without its end.
        limit_s: seconds that it may be silent.

    Raises:
        OSError: nobody listens there, or no answer came within the limit of time.
    """
    with _connect(path, limit_s) as s:
        s.sendall(command.encode() + b"\n")
        # The master waits for more commands until we say that there are none.
        s.shutdown(socket.SHUT_WR)
        return _read(s).decode(errors="replace")


def batches(commands: Iterable[str]) -> Iterator[str]:
    """Lines of several commands each, for commands that have nothing to say when all is well."""
    line = ""
    for command in commands:
        if len(line) + len(command) > _LINE_BYTES:
            yield line
            line = ""
        line += f"; {command}" if line else command
    if line:
        yield line


def listener(path: Path) -> int:
    """The number of the process that made the socket of that path listen (SO_PEERCRED, unix(7)).

    Raises:
        OSError: nobody listens there.
    """
    with _connect(path) as s:
        pid, _, _ = _UCRED.unpack(s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return int(pid)


def _connect(path: Path, limit_s: float = _LIMIT_S) -> socket.socket:
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        s.settimeout(limit_s)
        s.connect(f"/proc/self/fd/{directory}/{path.name}")
    except OSError:
        s.close()
        raise
    finally:
        os.close(directory)
    return s


def _read(s: socket.socket) -> bytes:
    answer = bytearray()
    try:
        while part := s.recv(65536):
            answer += part
    except ConnectionResetError:
        # A master that is replaced by its next generation resets the connection after its last byte.
        pass
    return bytes(answer)
