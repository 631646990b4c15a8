"""One device in a network namespace: two would take apart what the other has made, whatever their state directories are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsadc.dataplane.originals import kernel_identity
from hsadc.errors import ApplyError, Conflict

_FOLDER = Path("/run")
"""Root's own and empty after each boot: nobody else can hold the lock, and none is left of another boot's namespaces."""


def is_claimed(network: str) -> bool:
    """Whether a device works in the network namespace of that number, as `kernel_identity` ends with it."""
    return _path(network).exists()


@contextmanager
def claim_network() -> Iterator[None]:
    """Hold this process's network namespace; the kernel lets go of it however the process ends.

    Raises:
        Conflict: another device works in it.
        ApplyError: the system refuses.
    """
    path = _path(kernel_identity().rpartition("/")[2])
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise ApplyError(f"open {path}", e.strerror or str(e)) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink == 0:  # its holder was just leaving
            raise BlockingIOError
    except BlockingIOError:
        os.close(lock)
        raise Conflict("hsadc daemon", "another one, with another state directory, works on this machine's network") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def _path(network: str) -> Path:
    return _FOLDER / f"hsadc-{network}.lock"
