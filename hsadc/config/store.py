"""The startup-config on disk: it is the old one or the new one, whole, whatever happens while it is written."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hsadc.errors import ApplyError, ConfigError

MODE = 0o600  # it holds password hashes


class StartupFile:
    """The file that the device reads at start and `save` writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        """Its text; None when there is none yet.

        Raises:
            ConfigError: it cannot be read, or is not text.
        """
        try:
            return read_text(self.path)
        except ConfigError as e:
            if isinstance(e.__cause__, FileNotFoundError):
                return None
            raise

    def write(self, text: str) -> None:
        """Replace it: written beside, flushed to the disk, renamed, and the folder flushed too.

        Raises:
            ApplyError: the disk refused; the old file is as it was.
        """
        beside = self.path.with_name(f".{self.path.name}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside.unlink(missing_ok=True)  # of a save that was interrupted, or put there by somebody else
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
            _flush_folder(self.path.parent)
        except OSError as e:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise ApplyError(f"save {self.path}", e.strerror or str(e)) from e


def _flush_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8 text.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise ConfigError(str(path), e.strerror or str(e)) from e
    try:
        return data.decode("utf-8").removeprefix("\ufeff")  # editors of other systems begin a file with a byte order mark
    except UnicodeDecodeError as e:
        raise ConfigError(str(path), f"not a text file: byte {e.start} is not UTF-8") from e
