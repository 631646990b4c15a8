"""The operators' files: configurations to copy to and from, one flat folder of them."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hsadc.config.store import FOLDER_MODE, HALF_WRITTEN, SIZE_LIMIT_BYTES, read_text, refusal, remove, write_texts
from hsadc.config.upload import PART, Upload, check_size
from hsadc.errors import ConfigError, DanglingReference

RUNNING, STARTUP = "running-config", "startup-config"
"""Names of what the device shows as files beside the operators' own."""

FILES_KEPT = 1000
ROOM_BYTES = 1 << 30

_NAME_LENGTH = 63


def wrong_name(name: str) -> str | None:
    """Why no file of an operator can have this name; None when one can."""
    if name in (RUNNING, STARTUP):
        return "this name is the device's own, choose another one"
    if 0 < len(name) <= _NAME_LENGTH and name.isprintable() and "/" not in name and not name.startswith("."):
        return None
    return f"a file's name has 1 to {_NAME_LENGTH} printable characters, no slash, and no dot at its beginning"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder.

    Attributes:
        name: one that `wrong_name` finds nothing wrong with.
        size_bytes: its size.
        modified: when it was written last, in UTC.
    """

    name: str
    size_bytes: int
    modified: datetime


class Files:
    """A folder of files, which is made at the latest when the first one is written. Threads may share it.

    Attributes:
        folder: the folder; its mode keeps others out.
        word: what one of them is called, as in `show files` and `delete file`.
    """

    def __init__(self, folder: Path, word: str = "file", most: int | None = None) -> None:
        self.folder = folder
        self.word = word
        self._most = FILES_KEPT if most is None else most
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
            paths = sorted(path for path in self.folder.iterdir() if wrong_name(path.name) is None)
            return [file for path in paths if (file := _plain_file(path)) is not None]
        except FileNotFoundError:  # no folder yet
            return []
        except OSError as e:
            raise refusal(f"read {self.folder}", e) from e

    def title(self, name: str) -> str:
        """As messages name a file: `file "new.cfg"`."""
        return f'{self.word} "{name}"'

    def path(self, name: str) -> Path:
        """Where a file is that is there.

        Raises:
            ConfigError: there is no such file.
        """
        if name not in self.names():
            raise DanglingReference(self.title(name), f"there is no such file, `show {self.word}s` lists them")
        return self.folder / name

    def read(self, name: str) -> str:
        """A file's text.

        Raises:
            ConfigError: there is no such file, or it is not text.
        """
        return read_text(self.path(name))

    def write(self, name: str, text: str) -> None:
        """Make a file, or replace one.

        Raises:
            ConfigError: no file can have this name, it is too large, or there is no room.
            ApplyError: the disk refused; the old one is as it was.
        """
        self.write_all({name: text})

    def write_all(self, texts: Mapping[str, str]) -> None:
        """As `write` for files that belong together: their names and texts. All are written before the first takes its place.

        Raises:
            ConfigError: as `write`, of any of them.
            ApplyError: the disk refused; the old ones are as they were.
        """
        for name in texts:
            if (why := wrong_name(name)) is not None:
                raise ConfigError(self.title(name), why)
        with self._mutex:
            self._make_folder()
            room = self.room_bytes(*texts)
            for name, text in texts.items():
                size = len(text.encode())
                check_size(name, size, room)
                room -= size
            write_texts(self.folder, texts)

    def begin(self, name: str) -> Upload:
        """A file that takes its place, or another one's, when it is finished.

        Raises:
            ConfigError: no file can have this name, or there is no room.
            ApplyError: the disk refused.
        """
        if (why := wrong_name(name)) is not None:
            raise ConfigError(self.title(name), why)
        with self._mutex:
            self._make_folder()
            try:
                return Upload(self.folder / name, self.room_bytes(name))
            except OSError as e:
                raise refusal(f"write {self.folder / name}", e) from e

    def prepare(self) -> None:
        """Make the folder unless it is there, and remove from it what an earlier run has left half written.

        Raises:
            ApplyError: the disk refused.
        """
        self._make_folder()
        for pattern in (f"{PART}*", HALF_WRITTEN):
            for part in self.folder.glob(pattern):
                remove(part)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        except OSError as e:
            raise refusal(f"make {self.folder}", e) from e

    def room_bytes(self, *names: str) -> int:
        """How large the files of these names can be together, beside the others and what is being written now.

        Raises:
            ConfigError: there is no room for them.
            ApplyError: the disk refused.
        """
        sizes = []
        try:
            for entry in os.scandir(self.folder):
                with suppress(FileNotFoundError):  # deleted just now
                    sizes += [entry.stat(follow_symlinks=False).st_size] if entry.name not in names else []
        except OSError as e:
            raise refusal(f"read {self.folder}", e) from e
        if len(sizes) + len(names) > self._most or sum(sizes) >= ROOM_BYTES:
            why = f"at most {self._most} files of {ROOM_BYTES >> 20} MiB together are kept, `delete {self.word}` makes room"
            raise ConfigError(self.title(names[0]), f"there is no room for it: {why}")
        return min(SIZE_LIMIT_BYTES, ROOM_BYTES - sum(sizes))

    def delete(self, name: str) -> None:
        """Delete a file.

        Raises:
            ConfigError: there is no such file.
            ApplyError: the disk refused.
        """
        remove(self.path(name))


def _plain_file(path: Path) -> File | None:
    """None for what is no plain file, and for one that was deleted just now."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return File(path.name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
