"""HAProxy's command sockets: one command, one answer."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_LIMIT_S = 30  # a reload tries a busy port for two seconds before it gives up, and a large file takes its time


def ask(path: Path, command: str) -> str:
    """Send a command and read the answer to its end.

    Args:
        path: the socket; it may be longer than the 107 bytes that an address can hold.
        command: one line, without its end.

    Raises:
        OSError: nobody listens there, or no answer came within the limit of time.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(_LIMIT_S)
            s.connect(f"/proc/self/fd/{directory}/{path.name}")
            s.sendall(command.encode() + b"\n")
            # The master waits for more commands until we say that there are none.
            s.shutdown(socket.SHUT_WR)
            return _read(s).decode(errors="replace")
    finally:
        os.close(directory)


def _read(s: socket.socket) -> bytes:
    answer = b""
    try:
        while part := s.recv(65536):
            answer += part
    except ConnectionResetError:
        # A master that is replaced by its next generation resets the connection after its last byte.
        pass
    return answer
