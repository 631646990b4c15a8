"""The log of virtual servers on its way from HAProxy's workers to the disk: through a named pipe (fifo(7)).

Lines are written to it whole, as they are shorter than PIPE_BUF, and wait in it while no daemon reads; when it is full, HAProxy
drops and counts what it would log, and serves on. HAProxy's own ways were tried: datagrams are lost when they come fast, and of
a `ring` nothing is sent any more once another worker has taken the place of its own, although that one's connections go on.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hsadc.dataplane.haproxy_folder import Folder
from hsadc.dataplane.haproxy_log_file import LogFile, newest_first
from hsadc.dataplane.haproxy_log_line import in_operators_names

_PIPE = "log.pipe"
_PIPE_BYTES = (16 << 20, 1 << 20)  # what CAP_SYS_RESOURCE allows; what everybody may have (fs.pipe-max-size)
_BLOCK_BYTES = 1 << 18


def open_pipe(folder: Folder) -> int:
    """The pipe, made when it is not there; for reading and writing, so that none of both sides ever waits for the other.

    Returns:
        A file descriptor, the caller's to close.

    Raises:
        OSError: it cannot be made.
    """
    folder.make()
    path = folder.path / _PIPE
    if not path.is_fifo():
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    for size in _PIPE_BYTES:
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
            break
    return fd


class Lines:
    """Cuts what comes out of the pipe into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Sequence[str]:
        """The lines that are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole if line]


class LogReceiver:
    """A thread that writes what workers log to `state_dir`/log/slb.log."""

    def __init__(self, state_dir: Path) -> None:
        """Nothing is touched yet.

        Args:
            state_dir: the daemon's directory.
        """
        self._folder = Folder(state_dir.absolute() / "haproxy")
        self._path = state_dir.absolute() / "log" / "slb.log"
        self._file = LogFile(self._path)
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._stopping = False

    @property
    def lost(self) -> int:
        """Lines that the disk did not take, since the daemon started."""
        return self._file.lost

    def lines(self) -> Iterator[str]:
        """What was logged, from the last line backwards."""
        return newest_first(self._path)

    def start(self) -> None:
        """Begin to read; nothing when it does already.

        Raises:
            OSError: the pipe cannot be made.
        """
        if self._thread is not None:
            return
        pipe = open_pipe(self._folder)
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, args=(pipe,), name="haproxy-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read no more, once what has come is written; what comes afterwards waits in the pipe."""
        if self._thread is None:
            return
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._thread = None
        os.close(self._wake)

    def _run(self, pipe: int) -> None:
        poll, lines = select.poll(), Lines()
        poll.register(pipe, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._stopping:
            poll.poll()
            self._read(pipe, lines)
        os.close(pipe)
        self._file.close()

    def _read(self, pipe: int, lines: Lines) -> None:
        """All that is there."""
        while True:
            try:
                data = os.read(pipe, _BLOCK_BYTES)
            except BlockingIOError:
                return
            self._file.write([named for line in lines.feed(data) if (named := in_operators_names(line)) is not None])
