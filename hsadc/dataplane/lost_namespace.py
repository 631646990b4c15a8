"""A network namespace whose name is gone, found again in the hands of HAProxy.

HAProxy listens in the hop's namespace, and its next generations inherit the listeners: a new namespace of the same name would
have none. A name is gone when somebody removed it, or when a daemon before this one had mounts of its own. The cable by which it
would be known may be gone, too; but who listens there lives in our own network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from os.path import samestat
from pathlib import Path

_PROC = Path("/proc")
_HOLDER = "haproxy"


def find(is_wanted: Callable[[int], bool]) -> int | None:
    """The namespace, as a descriptor that the caller closes; None when no HAProxy of this thread's network has it open.

    Args:
        is_wanted: tells it from others by a descriptor, for as long as the call takes.
    """
    for namespace in _namespaces():
        if is_wanted(namespace):
            return namespace
        os.close(namespace)
    return None


def _namespaces() -> Iterator[int]:
    """Others than ours that a HAProxy in ours has open, as descriptors that the caller closes."""
    own = (_PROC / "thread-self/ns/net").stat()
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or may not be looked at
            if (process / "comm").read_text().strip() == _HOLDER and samestat((process / "ns/net").stat(), own):
                for entry in (process / "fd").iterdir():
                    with suppress(OSError):  # it is closed meanwhile
                        found = entry.stat()
                        if found.st_dev == own.st_dev and found.st_ino != own.st_ino:  # one device has all namespaces
                            yield os.open(entry, os.O_RDONLY | os.O_CLOEXEC)
