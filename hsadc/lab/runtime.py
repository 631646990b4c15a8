"""The folder of a lab, and who may touch the lab: one command at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hsadc.errors import Conflict, Unsupported


@dataclass(frozen=True, slots=True)
class Runtime:
    """A lab's files, below /run for root alone.

    Attributes:
        prefix: the lab's name; the names of its namespaces begin with it.
    """

    prefix: str

    @property
    def folder(self) -> Path:
        """It stays, empty but for the lock, when the lab is gone: a lock that is removed locks nobody out."""
        return Path("/run") / self.prefix

    @property
    def files(self) -> Path:
        """Logs, captures, records."""
        return self.folder / "files"

    @property
    def state(self) -> Path:
        """The device's `--state-dir`."""
        return self.files / "state"

    @property
    def imported(self) -> Path:
        """The device's certificates and keys."""
        return self.state / "pki"

    @property
    def control_socket(self) -> Path:
        """Where the device takes commands."""
        return self.state / "control.sock"

    @property
    def up(self) -> Path:
        """The file that is there while the lab is kept running for a person."""
        return self.files / "up"

    def make(self) -> None:
        """Make the folders, empty."""
        self.clear()
        self.state.mkdir(parents=True)

    def clear(self) -> None:
        """Remove what is in the folder."""
        if self.files.exists():
            shutil.rmtree(self.files)


def check_root() -> None:
    """Raise Unsupported for anybody but root."""
    if os.geteuid() != 0:
        raise Unsupported("lab", "only root may make and use network namespaces")


@contextmanager
def claim(prefix: str) -> Iterator[Runtime]:
    """Hold the lab of that prefix; the kernel lets go of it when this process ends, however it ends.

    Raises:
        Unsupported: not root.
        Conflict: another process holds it.
    """
    check_root()
    runtime = Runtime(prefix)
    runtime.folder.mkdir(mode=0o700, exist_ok=True)
    with (runtime.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("lab", "another hsadc lab command is at work: wait for its end") from None
        yield runtime
