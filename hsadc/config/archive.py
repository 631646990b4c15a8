"""The startup-config and the ones before it: the last saves stay as numbered backups beside it.

The file that is replaced gets its name in `backups/` first, as a second link to it. A crash before the new file takes the old
one's place leaves a backup that is the same file as the startup-config: it does not count, and the next save uses it.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from hsadc.config.saved import Saved, load_saved
from hsadc.config.store import FOLDER_MODE, flush_folder, refusal, remove, write_renamed
from hsadc.errors import ConfigError, DanglingReference

BACKUPS_KEPT = 10

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


class Archive:
    """The startup-config's file and its backups; one thread at a time may change them.

    Attributes:
        path: the startup-config, which the device reads at start and `save` writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = path.parent / "backups"

    def startup(self) -> Saved | None:
        """The startup-config; None when there is none yet.

        Raises:
            ConfigError: it cannot be read, or is not text.
        """
        return load_saved(self.path)

    def saved_startup(self) -> Saved:
        """The startup-config, for those who cannot do without.

        Raises:
            ConfigError: there is none yet, or it cannot be read.
        """
        if (saved := self.startup()) is None:
            raise DanglingReference("startup-config", "nothing has been saved yet")
        return saved

    def save(self, new: Saved) -> bool:
        """Make it the startup-config, and the one before it backup 0.

        Returns:
            False when nothing was to be done: it is saved already, and nothing is said about it that is new.

        Raises:
            ApplyError: the disk refused; everything is as it was.
        """
        if new.description is None and self._is(new.text):
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._replace(new.file_text())
        except OSError as e:
            raise refusal(f"save {self.path}", e) from e
        self._remove_oldest()
        return True

    def _is(self, text: str) -> bool:
        try:
            old = self.startup()
        except ConfigError:  # somebody spoiled it: time to save another
            return False
        return old is not None and old.text == text

    def _replace(self, text: str) -> None:
        """Put a new file in the old one's place, and keep the old one.

        Raises:
            OSError: the disk refused, or did not confirm it: everything is as it was.
        """
        kept = self._keep() if self.path.is_file() else None
        write_renamed(self.path, text)
        try:
            flush_folder(self.path.parent)
        except OSError:
            with suppress(OSError):
                self.path.unlink() if kept is None else self._put_back(kept)
            raise

    def _put_back(self, kept: Path) -> None:
        beside = self.path.with_name(f".{self.path.name}.old")
        beside.unlink(missing_ok=True)
        os.link(kept, beside)
        beside.replace(self.path)

    def backups(self) -> list[Path]:
        """The files of the backups, the newest first: backup 0.

        Raises:
            ApplyError: the disk refused.
        """
        try:
            return self._counted()[:BACKUPS_KEPT]
        except OSError as e:
            raise refusal(f"read {self._folder}", e) from e

    def backup(self, number: int) -> Saved:
        """A backup; 0 is the newest.

        Raises:
            DanglingReference: there is no such backup.
            ConfigError: it cannot be read.
        """
        saved = load_saved(self._backup_file(number))
        if saved is None:  # another session has deleted it just now
            raise DanglingReference(f"backup {number}", "there is no such backup any more")
        return saved

    def delete(self, number: int) -> None:
        """Delete a backup; the older ones move up.

        Raises:
            DanglingReference: there is no such backup.
            ApplyError: the disk refused.
        """
        remove(self._backup_file(number))

    def _backup_file(self, number: int) -> Path:
        files = self.backups()
        if number < len(files):
            return files[number]
        known = {0: "there are none yet", 1: "there is only backup 0"}.get(len(files), f"there are 0 to {len(files) - 1}")
        raise DanglingReference(f"backup {number}", f"there is no such backup, {known}")

    def _keep(self) -> Path:
        """Give the startup-config's file its name as the newest backup, unless an interrupted save did.

        Raises:
            OSError: the disk refused.
        """
        self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        found = self._numbered()
        same = [file for file in found.values() if _is_plain(file) and self._is_startup(file)]
        if same:
            return same[0]
        kept = self._folder / f"{self.path.name}.{max(found, default=-1) + 1}"
        os.link(self.path.resolve(), kept)
        flush_folder(self._folder)
        return kept

    def _remove_oldest(self) -> None:
        with suppress(OSError):  # they do no harm, and the next save tries again
            for file in self._counted()[BACKUPS_KEPT:]:
                file.unlink()

    def _counted(self) -> list[Path]:
        """The files of the backups, the newest first, without one that an interrupted save left."""
        files = [file for _, file in sorted(self._numbered().items(), reverse=True)]
        return [file for file in files if _is_plain(file) and not self._is_startup(file)]

    def _is_startup(self, file: Path) -> bool:
        try:
            return file.samefile(self.path)
        except FileNotFoundError:  # nothing is saved yet, or the backup was deleted just now
            return False

    def _numbered(self) -> dict[int, Path]:
        """All files of backups by the number in their names, which grows with each save."""
        prefix = f"{self.path.name}."
        try:
            files = [file for file in self._folder.iterdir() if file.name.startswith(prefix)]
        except FileNotFoundError:
            return {}
        return {int(number): file for file in files if _NUMBER.fullmatch(number := file.name.removeprefix(prefix))}


def _is_plain(file: Path) -> bool:
    """False for folders, links and pipes, and for what was deleted just now."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except FileNotFoundError:
        return False
