"""What each user has typed: kept between logins and restarts of the device, for the arrow keys and `show history`."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

from hsadc.cli.shell import holds_secret

LINES = 256
"""As many lines of a user are kept."""

_LONGEST = 4096  # characters; what is longer was pasted


class History:
    """The lines of one user; all of his sessions share it, each in a thread of its own.

    A file that cannot be read is an empty history, and one that cannot be written makes it last as long as the device runs.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Read what is there; without a file nothing outlives the device."""
        self._file = file
        self._lock = threading.Lock()
        self._lines = deque(_read(file) if file else (), LINES)
        self._appended = LINES  # the first line makes the file anew: it may hold more than is kept

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, oldest first."""
        with self._lock:
            return tuple(self._lines)

    def add(self, line: str) -> None:
        """Keep a line, unless it is empty, as the one before it, no text, or may hold a password."""
        if not line.strip() or not line.isprintable() or len(line) > _LONGEST or holds_secret(line):
            return
        with self._lock:
            if self._lines and self._lines[-1] == line:
                return
            self._lines.append(line)
            if self._file is not None:
                with suppress(OSError, ValueError):  # ValueError: the name has no form in this file system
                    self._keep(self._file, line)

    def _keep(self, file: Path, line: str) -> None:
        """Append the line; now and then the file is made anew, of the lines that are still kept."""
        if self._appended < LINES:
            _write(file, f"{line}\n")
            self._appended += 1
            return
        file.parent.mkdir(mode=0o700, exist_ok=True)
        beside = file.with_name(f".{id(self)}")
        beside.unlink(missing_ok=True)
        _write(beside, "".join(f"{kept}\n" for kept in self._lines))
        beside.replace(file)
        self._appended = 0


def _read(file: Path) -> list[str]:
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError):  # ValueError: not text
        return []
    return [line for line in text.split("\n") if line and line.isprintable()]


def _write(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as out:
        out.write(text.encode())
