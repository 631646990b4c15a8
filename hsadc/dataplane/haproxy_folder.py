"""HAProxy's folder: what its next worker starts from, what the last one started from, and what was changed since.

    haproxy.cfg pki/ pages/ ...   the current generation
    previous/                     the one before, while a reload may still fail
    server-state                  how servers stood, for the next worker
    changed                       what a worker was told at run time, by whose digest it is known
    check-*/                      a generation that is being checked

All of it is for root alone, who starts workers; these are nobody, and may only pass through to the socket by which they hand
each other their stick tables.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hsadc.dataplane.haproxy_file import CONFIG, NOBODY, SERVER_STATE, Generation, file_digest, file_digests
from hsadc.intent.haproxy_file import HaproxyFile

_PREVIOUS = "previous"
_CHANGED = "changed"
_CHECK = "check-"
_UNFINISHED = "unfinished"


class Folder:
    """Generations on disk; each file is replaced as a whole, whenever the daemon is killed. Not safe for threads."""

    def __init__(self, path: Path) -> None:
        """Nothing is touched yet.

        Args:
            path: an absolute path; its parent is made, too.
        """
        self.path = path

    def make(self) -> None:
        """Make the directory."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.path, 0, NOBODY)
            self.path.chmod(0o710)

    def current(self) -> Generation | None:
        """What the next worker starts from; None when there is nothing."""
        return _read(self.path)

    def in_force(self, worker: str, told: str) -> Generation | None:
        """What a worker has now, as far as it is on disk.

        Args:
            worker: its process's number.
            told: the digest of what it started from.

        Returns:
            The current generation or the previous one; None when it is neither, or when the worker was left half changed.
        """
        digest = self._changed().get((worker, told), told)
        kept = (_read(self.path), _read(self.path / _PREVIOUS))
        return next((g for g in kept if g is not None and g.digest == digest), None)

    def begin_change(self, worker: str, told: str) -> None:
        """Say that a worker is being changed: until `end_change` nobody knows what it has."""
        self._write(_CHANGED, f"{worker} {told} {_UNFINISHED}\n".encode())

    def end_change(self, worker: str, told: str, new: Generation) -> None:
        """Say that a worker has a generation now, whatever it started from, and keep this on disk."""
        self._put(new)
        self._write(_CHANGED, f"{worker} {told} {new.digest}\n".encode())
        self._prune(new)

    def replace(self, new: Generation) -> None:
        """Put a generation in the place of the current one, which stays as the previous one until `settle` or `restore`."""
        self.make()
        old = _read(self.path)
        if old is not None:
            shutil.rmtree(self.path / _PREVIOUS, ignore_errors=True)
            self._copy(old)
        self._put(new)

    def settle(self, new: Generation) -> None:
        """The current generation is in force: remove what only the previous one had."""
        self._prune(new)

    def restore(self, old: Generation | None) -> None:
        """Put an earlier generation back; None leaves nothing."""
        if old is None:
            self.clear()
            return
        self._put(old)
        self._prune(old)

    def clear(self) -> None:
        """Remove all generations."""
        for name in (CONFIG, _CHANGED, SERVER_STATE):
            (self.path / name).unlink(missing_ok=True)
        for entry in self._folders():
            shutil.rmtree(entry, ignore_errors=True)

    def write_state(self, text: str) -> None:
        """Keep how servers stand, for the next worker."""
        self.make()
        self._write(SERVER_STATE, text.encode())

    @contextmanager
    def candidate(self, new: Generation) -> Iterator[Path]:
        """A folder of its own with a generation that is not in force, for as long as the block lasts."""
        self.make()
        for left in self.path.glob(f"{_CHECK}*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self.path, prefix=_CHECK) as name:
            other = Folder(Path(name))
            other._write(SERVER_STATE, b"1\n")
            other._put(new)
            yield other.path

    def _changed(self) -> dict[tuple[str, str], str]:
        try:
            worker, told, now = (self.path / _CHANGED).read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return {}
        return {(worker, told): now}

    def _put(self, new: Generation) -> None:
        """The configuration last: what it names is there when it is."""
        for file in new.files:
            self._write(file.name, file.content)
        self._write(CONFIG, new.text.encode())

    def _copy(self, old: Generation) -> None:
        """Into the previous one, by links: files are never written to, only replaced."""
        for name in (*(file.name for file in old.files), CONFIG):
            copy = self.path / _PREVIOUS / name
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.link(self.path / name, copy)

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if _content(path) == content:
            return
        fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(fd, "wb") as f:
                f.write(content)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _prune(self, current: Generation) -> None:
        names = {self.path / file.name for file in current.files}
        for folder in self._folders():
            if folder.name == _PREVIOUS or folder.name.startswith(_CHECK):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for path in folder.iterdir():
                if path not in names:
                    path.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()

    def _folders(self) -> Sequence[Path]:
        return [entry for entry in self.path.iterdir() if entry.is_dir()] if self.path.is_dir() else []


def _read(folder: Path) -> Generation | None:
    """A generation as it lies on disk; None when there is none, or not all of it as its text says."""
    try:
        text = (folder / CONFIG).read_bytes().decode(errors="replace")
        digests = file_digests(text)
        files = tuple(HaproxyFile(name, (folder / name).read_bytes()) for name in sorted(digests))
    except OSError:
        return None
    whole = all(file_digest(file.content) == digests[file.name] for file in files)
    return Generation(text, files) if whole else None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
