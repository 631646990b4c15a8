"""A file that comes in piece by piece: nobody reads half of it, and an upload that is broken off leaves the old one."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hsadc.config.store import flush_folder
from hsadc.errors import ConfigError

PART = ".part-"
"""How the names of files begin that are not whole yet."""


class Upload(io.FileIO):
    """A hidden file beside the one whose place it takes when it is finished. Closed before, it is in nobody's way."""

    def __init__(self, target: Path, limit_bytes: int, *, keep: bool = False, append: bool = False) -> None:
        """Begin.

        Args:
            target: whose place it takes.
            limit_bytes: how large it can become.
            keep: begin with what is in the target.
            append: write at the end, wherever the writer wants to.

        Raises:
            OSError: the disk refused.
        """
        descriptor, part = tempfile.mkstemp(prefix=PART, dir=target.parent)  # with the mode of all configurations
        super().__init__(descriptor, "r+")
        self.target = target
        self._part = Path(part)
        self.limit_bytes = limit_bytes
        self._append = append
        if keep:
            try:
                with target.open("rb") as old:
                    shutil.copyfileobj(old, self)
            except OSError:
                self.discard()
                raise

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of it. What cannot be written whole is discarded: half a configuration might be taken for a whole one.

        Raises:
            ConfigError: the file would be too large.
            OSError: the disk is full, or broken.
        """
        try:
            start = os.fstat(self.fileno()).st_size if self._append else offset
            check_size(self.target.name, start + len(data), self.limit_bytes)
            written = 0
            while written < len(data):
                written += os.pwrite(self.fileno(), data[written:], start + written)
        except (ConfigError, OSError):
            self._unlink()
            raise

    def resize(self, size_bytes: int) -> None:
        """Cut it, or fill it with zeros.

        Raises:
            ConfigError: the file would be too large.
            OSError: the disk refused.
        """
        check_size(self.target.name, size_bytes, self.limit_bytes)
        os.truncate(self.fileno(), size_bytes)

    def finish(self) -> bool:
        """Close it and put it in the target's place.

        Returns:
            False when it was discarded before.

        Raises:
            OSError: the disk refused; the old one is as it was, unless only the last step failed.
        """
        with self:
            try:
                os.fsync(self.fileno())
                self._part.replace(self.target)
                flush_folder(self.target.parent)
            except FileNotFoundError:
                return False
            except OSError:
                self._unlink()
                raise
        return True

    def discard(self) -> None:
        """Close it; the target is as it was."""
        with self:
            self._unlink()

    def _unlink(self) -> None:
        with suppress(OSError):
            self._part.unlink()


def check_size(name: str, size_bytes: int, limit_bytes: int) -> None:
    """Refuse a file that would be too large; raises ConfigError."""
    if size_bytes > limit_bytes:
        raise ConfigError(f'file "{name}"', f"it would have {size_bytes} bytes, at most {limit_bytes} are possible")
