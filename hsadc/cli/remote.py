"""The client's side of the control socket: the session of the running device, in this process.

`control` says what the messages are.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from hsadc.cli.shell import Choice, Completion, Reply
from hsadc.errors import HsadcError

GROUP = "hsadc"

_PATH_BYTES = 107  # sun_path of unix(7) has 108 bytes, the last one is NUL
_LOST = "the device has stopped: the connection to it is lost"


CONTROL_SOCKET = "control.sock"
"""Its name in the state directory."""


class ControlError(HsadcError):
    """The control socket cannot be used, or the device behind it is gone."""


class NoDaemon(ControlError):
    """No device runs: nobody listens at the control socket."""


class RemoteShell:
    """The session of the running device; its state is what the last answer said. For one thread at a time.

    Each method raises `ControlError` when the device is gone.
    """

    def __init__(self, path: Path, *, batch: bool = False) -> None:
        """Connect.

        Args:
            path: the socket file.
            batch: whether configuration lines that follow one another are one transaction.

        Raises:
            NoDaemon: nobody listens there.
            ControlError: this user may not, or the path is too long.
        """
        self._socket = connect(path)
        self._lines = self._socket.makefile("rb")
        try:
            self._ask("open", batch=batch)
        except ControlError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def prompt(self) -> str:
        """As the session's."""
        return self._prompt

    @property
    def page_length(self) -> int | None:
        """As the session's."""
        return self._page_length

    @property
    def closed(self) -> bool:
        """As the session's."""
        return self._closed

    @property
    def history(self) -> Sequence[str]:
        """As the session's."""
        return list(self._ask("history"))

    def run(self, line: str, columns: int = 0) -> Reply:
        """Carry out one line."""
        return _reply(self._ask("run", line=line, columns=columns))

    def follow(self, *, stop: bool = False) -> Reply:
        """The next lines of a command that is still at work."""
        return _reply(self._ask("follow", stop=stop))

    def answer(self, text: str | None) -> Reply:
        """What was asked for."""
        return _reply(self._ask("answer", text=text))

    def finish(self) -> Reply:
        """The input has ended."""
        return _reply(self._ask("finish"))

    def to_exec(self) -> None:
        """Back to exec mode."""
        self._ask("to_exec")

    def help(self, line: str) -> Sequence[str]:
        """What `?` prints."""
        return list(self._ask("help", line=line))

    def choices(self, line: str) -> Sequence[Choice]:
        """What may stand at the end of `line`."""
        return [Choice(**choice) for choice in self._ask("choices", line=line)]

    def complete(self, line: str) -> Completion:
        """What TAB does."""
        result = self._ask("complete", line=line)
        return Completion(result["erase"], result["insert"], tuple(result["words"]))

    def wrong_from(self, line: str) -> int | None:
        """Index of the first character that cannot be part of a command."""
        index: int | None = self._ask("wrong_from", line=line)
        return index

    def close(self) -> None:
        """Hang up; the device ends the session."""
        self._lines.close()
        self._socket.close()

    def _ask(self, call: str, **arguments: object) -> Any:
        """The result of a call; the state in the answer becomes this shell's."""
        try:
            self._socket.sendall(encode({"call": call, **arguments}))
        except OSError as e:
            raise ControlError(_LOST) from e
        answer = self._receive()
        if "error" in answer:
            raise ControlError(answer["error"])
        self._prompt: str = answer["prompt"]
        self._page_length: int | None = answer["page_length"]
        self._closed: bool = answer["closed"]
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except OSError as e:
            raise ControlError(_LOST) from e
        if not line.endswith(b"\n"):
            raise ControlError(_LOST)
        answer: dict[str, Any] = json.loads(line)
        return answer


def _reply(result: dict[str, Any]) -> Reply:
    return Reply(tuple(result["lines"]), result["ok"], result["refresh_s"], result["more"], result["ask"])


def encode(message: object) -> bytes:
    """A message as it is sent: one line of JSON, its newline included."""
    return json.dumps(message).encode() + b"\n"


def connect(path: Path) -> socket.socket:
    """A connection to whoever listens at `path`; the caller closes it.

    Raises:
        NoDaemon: nobody listens there.
        ControlError: this user may not, or the path is too long.
    """
    _check_length(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fspath(path))
    except OSError as e:
        connection.close()
        if isinstance(e, FileNotFoundError | ConnectionRefusedError):
            raise NoDaemon(f"no device runs here: nobody listens at {path}") from e
        if isinstance(e, PermissionError):
            raise ControlError(f"{path}: only root and the group {GROUP} may use the device") from e
        raise ControlError(f"{path}: {e.strerror}") from e
    return connection


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > _PATH_BYTES:
        raise ControlError(f"the path of the control socket has {length} bytes, the system allows {_PATH_BYTES}: {path}")
