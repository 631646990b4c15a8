"""The log of virtual servers on disk: the newest file and those before it, each of a limited size."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)
_FILE_BYTES = 16 << 20
_FILES = 8


class LogFile:
    """`slb.log`, `slb.log.1` (the one before), ... For one thread.

    Attributes:
        lost: lines that could not be written, since the daemon started.
    """

    def __init__(self, path: Path, file_bytes: int = _FILE_BYTES, files: int = _FILES) -> None:
        """Nothing is touched yet.

        Args:
            path: of the newest file; its directory exists when it is first written to.
            file_bytes: a file that would have more is the one before from then on.
            files: as many are kept.
        """
        self.lost = 0
        self._path = path
        self._file_bytes = file_bytes
        self._files = files
        self._fd = -1
        self._size = 0
        self._failing = False

    def write(self, lines: Sequence[str]) -> None:
        """Append lines; those that the disk does not take are counted."""
        if not lines:
            return
        content = "".join(f"{line}\n" for line in lines).encode()
        try:
            self._append(content)
        except OSError as e:
            self.lost += len(lines)
            if not self._failing:
                log.error("lines of the log of virtual servers are lost: %s", e.strerror)
            self._failing = True
            return
        if self._failing:
            log.warning("the log of virtual servers is written again; %d lines were lost in all", self.lost)
        self._failing = False

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, content: bytes) -> None:
        """All or nothing.

        Raises:
            OSError: the disk takes no more.
        """
        if self._fd < 0:
            self._open()
        if self._size > 0 and self._size + len(content) > self._file_bytes:
            self.close()
            self._rotate()
            self._open()
        written = 0
        try:
            while written < len(content):
                written += os.write(self._fd, content[written:])
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += written

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        names = _names(self._path, self._files)
        for old, new in zip(names[-2::-1], names[:0:-1], strict=True):
            if old.exists():
                old.replace(new)


def newest_first(path: Path, files: int = _FILES) -> Iterator[str]:
    """The lines of a log, from the last one backwards; only as much is read as is asked for."""
    for name in _names(path, files):
        try:
            with name.open("rb") as f:
                yield from _backwards(f.fileno())
        except FileNotFoundError:
            continue


def _backwards(fd: int, block_bytes: int = 1 << 16) -> Iterator[str]:
    end, rest = os.fstat(fd).st_size, b""
    while end > 0:
        begin = max(end - block_bytes, 0)
        rest = os.pread(fd, end - begin, begin) + rest
        end = begin
        first, *whole = rest.split(b"\n")
        rest = first
        yield from (line.decode(errors="replace") for line in reversed(whole) if line)
    if rest:
        yield rest.decode(errors="replace")


def _names(path: Path, files: int) -> list[Path]:
    return [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, files))]
