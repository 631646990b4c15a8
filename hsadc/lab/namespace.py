"""Named network namespaces: make, enter, empty, remove."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pyroute2 import netns

RUN = Path("/run/netns")
T = TypeVar("T")


def create(name: str) -> None:
    """Make a namespace.

    Raises:
        FileExistsError: there is one of that name.
    """
    if (RUN / name).exists():
        raise FileExistsError(f"network namespace {name} exists")
    netns.create(name)


def within(name: str, action: Callable[[], T]) -> T:
    """Run `action` inside a namespace and return its result; sockets that it opens stay in there.

    A namespace belongs to a thread, so a short-lived thread enters it and this one stays where it is. What the thread
    writes below /proc/sys/net goes to the namespace as well.
    """

    def entered() -> T:
        netns.setns(name, flags=0, fork=False)
        return action()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(entered).result()


def processes(name: str) -> tuple[int, ...]:
    """Process ids of all that run in a namespace, without this process."""
    try:
        wanted = _identity(RUN / name)
    except FileNotFoundError:
        return ()
    return tuple(pid for pid in _all_processes() if _runs_in(pid, wanted))


def empty(name: str, patience_s: float = 5) -> None:
    """End all processes in a namespace: politely first, by SIGKILL those that are there after `patience_s`."""
    deadline = time.monotonic() + patience_s
    _signal(name, signal.SIGTERM)
    while processes(name):
        if time.monotonic() > deadline:
            _signal(name, signal.SIGKILL)
        time.sleep(0.02)


def remove(name: str) -> None:
    """End what runs in a namespace and remove it with its devices; also right when it is gone already."""
    empty(name)
    path = RUN / name
    if path.exists():
        netns.remove(name)


def _all_processes() -> tuple[int, ...]:
    return tuple(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _signal(name: str, number: signal.Signals) -> None:
    """Signal every process in a namespace, but never one that got the number of a process that was in it."""
    for pid in processes(name):
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if _runs_in(pid, _identity(RUN / name)):
                signal.pidfd_send_signal(process, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(process)


def _runs_in(pid: int, wanted: tuple[int, int]) -> bool:
    """True when that process is in the namespace of that identity; a zombie is in none."""
    try:
        return pid != os.getpid() and _identity(Path(f"/proc/{pid}/ns/net")) == wanted
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _identity(path: Path) -> tuple[int, int]:
    """What tells one namespace from another: device and inode of a file that stands for it."""
    seen = path.stat()
    return seen.st_dev, seen.st_ino
