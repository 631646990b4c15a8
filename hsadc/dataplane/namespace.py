"""Named network namespaces, as ip-netns(8) has them: a file in /run/netns on which the kernel has mounted the namespace."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pyroute2 import netns

from hsadc.errors import Unsupported

FOLDER = Path("/run/netns")
_OWN = Path("/proc/thread-self/ns/net")
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 1 << 12, 1 << 14, 1 << 20
T = TypeVar("T")


def exists(name: str) -> bool:
    """Whether there is a namespace of that name, and not only the file of one that another mount namespace has."""
    try:
        return (FOLDER / name).stat().st_dev == _OWN.stat().st_dev
    except FileNotFoundError:
        return False


def create(name: str) -> None:
    """Make a namespace; there is none of that name.

    Raises:
        Unsupported: the kernel has none.
        OSError: it refuses.
    """
    with _new(name) as path:
        _in_a_thread(lambda: _make_own(path))


def rename(descriptor: int, name: str) -> None:
    """Give a namespace that lost its name one again; there is none of that name.

    Raises:
        OSError: the kernel refuses.
    """
    with _new(name) as path:
        _mount(Path(f"/proc/self/fd/{descriptor}"), path, _MS_BIND)


def names(prefix: str) -> list[str]:
    """The names of all namespaces that begin so."""
    return sorted(path.name for path in FOLDER.glob(f"{prefix}*") if exists(path.name))


@contextmanager
def alone() -> Iterator[None]:
    """No other process that asks for this makes or removes namespaces meanwhile.

    Raises:
        OSError: the kernel refuses.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def remove(name: str) -> None:
    """Take its name away; also right when it is gone already. It lasts as long as a process or a socket is in it."""
    if (FOLDER / name).exists():
        netns.remove(name)


def within(which: str | int, action: Callable[[], T]) -> T:
    """Do something inside a namespace, of a name or a descriptor, and return what it gives.

    Sockets that it opens stay there, and below /proc/sys/net it finds the namespace's settings. It is done by another thread, as
    a namespace belongs to a thread.

    Raises:
        OSError: there is no such namespace.
    """

    def entered() -> T:
        netns.setns(which, flags=0, fork=False)
        return action()

    return _in_a_thread(entered)


def _in_a_thread(action: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1, "hsadc-namespace") as thread:
        return thread.submit(action).result()


@contextmanager
def _new(name: str) -> Iterator[Path]:
    """The file that a namespace is to be mounted on; it goes when that fails."""
    _share_folder()
    path = FOLDER / name
    path.touch()
    try:
        yield path
    except BaseException:
        path.unlink()
        raise


def _make_own(path: Path) -> None:
    """Give the calling thread a new namespace, and the namespace a name."""
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        if (code := ctypes.get_errno()) == errno.EINVAL:
            raise Unsupported(f"make network namespace {path.name}", "this kernel has none (CONFIG_NET_NS)")
        raise OSError(code, os.strerror(code))
    _mount(_OWN, path, _MS_BIND)


def _share_folder() -> None:
    """As ip-netns(8) does: what is mounted in the folder then shows up wherever processes have mounts of their own."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        _mount(None, FOLDER, _MS_SHARED | _MS_REC)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        _mount(FOLDER, FOLDER, _MS_BIND | _MS_REC)
        _mount(None, FOLDER, _MS_SHARED | _MS_REC)


def _mount(source: Path | None, target: Path, flags: int) -> None:
    if _LIBC.mount(b"none" if source is None else bytes(source), bytes(target), b"none", ctypes.c_ulong(flags), None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))
