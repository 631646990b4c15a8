"""The operators' files: configurations to copy to and from, one flat folder of them."""

from __future__ import annotations

import re
import stat
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hsadc.config.store import FOLDER_MODE, SIZE_LIMIT_BYTES, read_text, refusal, remove, write_text
from hsadc.errors import ConfigError, DanglingReference

FILE_NAMES = "a file's name has 1 to 63 printable characters, no slash, and no dot at its beginning"

_NAME = re.compile(r"[^./][^/]{0,62}")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder.

    Attributes:
        name: as `is_file_name` says.
        size_bytes: its size.
        modified: when it was written last, in UTC.
    """

    name: str
    size_bytes: int
    modified: datetime


class Files:
    """A folder of files, which is made when the first one is written. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex = threading.Lock()

    def names(self) -> list[str]:
        """The files' names in their order."""
        return [file.name for file in self.list()]

    def list(self) -> list[File]:
        """The files in the order of their names.

        Raises:
            ApplyError: the disk refused.
        """
        try:
            paths = sorted(path for path in self.folder.iterdir() if is_file_name(path.name))
            return [file for path in paths if (file := _plain_file(path)) is not None]
        except FileNotFoundError:  # no folder yet
            return []
        except OSError as e:
            raise refusal(f"read {self.folder}", e) from e

    def read(self, name: str) -> str:
        """A file's text.

        Raises:
            ConfigError: there is no such file, or it is not text.
        """
        return read_text(self._path_of(name))

    def write(self, name: str, text: str) -> None:
        """Make a file, or replace one.

        Raises:
            ConfigError: no file can have this name, or it is too large.
            ApplyError: the disk refused; the old one is as it was.
        """
        if not is_file_name(name):
            raise ConfigError(f'file "{name}"', FILE_NAMES)
        if (size := len(text.encode())) > SIZE_LIMIT_BYTES:
            raise ConfigError(f'file "{name}"', f"it would have {size} bytes, at most {SIZE_LIMIT_BYTES} are possible")
        with self._mutex:
            try:
                self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            except OSError as e:
                raise refusal(f"make {self.folder}", e) from e
            write_text(self.folder / name, text)

    def delete(self, name: str) -> None:
        """Delete a file.

        Raises:
            ConfigError: there is no such file.
            ApplyError: the disk refused.
        """
        remove(self._path_of(name))

    def _path_of(self, name: str) -> Path:
        if name not in self.names():
            raise DanglingReference(f'file "{name}"', "there is no such file, `show files` lists them")
        return self.folder / name


def is_file_name(name: str) -> bool:
    """Whether a file of the operators may have this name: `FILE_NAMES` says which."""
    return name.isprintable() and _NAME.fullmatch(name) is not None


def _plain_file(path: Path) -> File | None:
    """None for what is no plain file, and for one that was deleted just now."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return File(path.name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
