"""HAProxy's log, received: workers send their lines to a socket of ours, and keep them while nobody listens.

The lines come over a Unix stream socket, each with its length before it (RFC 6587 section 3.4.1, octet counting); datagrams
would be lost when they come fast. A worker learns that nobody listens any more from the first line that it cannot send: this
one is lost, the next ones wait.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from hsadc.dataplane.haproxy_file import LOG_SOCKET, NOBODY
from hsadc.dataplane.haproxy_folder import Folder
from hsadc.dataplane.haproxy_log_file import LogFile, newest_first
from hsadc.dataplane.haproxy_log_line import in_operators_names

log = logging.getLogger(__name__)
_BLOCK_BYTES = 1 << 18
_LONGEST_LENGTH = 6  # digits


class Frames:
    """Cuts what comes over a connection into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete now.

        Raises:
            ValueError: this is no log.
        """
        data = self._rest + data
        begin = 0
        while (blank := data.find(b" ", begin, begin + _LONGEST_LENGTH + 1)) >= 0:
            if not data[begin:blank].isdigit():
                raise ValueError(f"no length before a line: {data[begin:blank]!r}")
            end = blank + 1 + int(data[begin:blank])
            if end > len(data):
                break
            yield data[blank + 1 : end].decode(errors="replace").rstrip("\n\0")
            begin = end
        self._rest = data[begin:]
        if blank < 0 and len(self._rest) > _LONGEST_LENGTH:
            raise ValueError(f"no length before a line: {self._rest[:20]!r}")


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
        """Begin to listen; nothing when it does already.

        Raises:
            OSError: the socket cannot be made.
        """
        if self._thread is not None:
            return
        self._folder.make()
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        listener = _listen(self._folder.path)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, args=(listener,), name="haproxy-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more, once what has come is written."""
        if self._thread is None:
            return
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._thread = None
        os.close(self._wake)
        (self._folder.path / LOG_SOCKET).unlink(missing_ok=True)

    def _run(self, listener: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, listener:
            selector.register(self._wake, selectors.EVENT_READ)
            selector.register(listener, selectors.EVENT_READ)
            while not self._stopping:
                self._look(selector, listener, None)
            # What workers sent before they were stopped.
            while self._look(selector, listener, 0):
                pass
            for key in list(selector.get_map().values()):
                if isinstance(key.data, Frames) and isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()
        self._file.close()

    def _look(self, selector: selectors.BaseSelector, listener: socket.socket, wait_s: float | None) -> bool:
        """True when something came."""
        busy = False
        for key, _ in selector.select(wait_s):
            if key.fileobj is listener:
                busy = True
                connection, _ = listener.accept()
                selector.register(connection, selectors.EVENT_READ, Frames())
            elif isinstance(key.fileobj, socket.socket):
                busy = True
                if not self._receive(key.fileobj, key.data):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
        return busy

    def _receive(self, connection: socket.socket, frames: Frames) -> bool:
        """False when no more comes."""
        try:
            data = connection.recv(_BLOCK_BYTES)
            self._file.write([in_operators_names(line) for line in frames.feed(data)])
        except (OSError, ValueError) as e:
            log.warning("haproxy's log: %s", e)
            return False
        return bool(data)


def _listen(directory: Path) -> socket.socket:
    """At the socket that workers know, whatever the length of its path; for root, and for nobody, which workers are."""
    (directory / LOG_SOCKET).unlink(missing_ok=True)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(f"/proc/self/fd/{fd}/{LOG_SOCKET}")
        os.chmod(LOG_SOCKET, 0o600, dir_fd=fd)
        if os.geteuid() == 0:
            os.chown(LOG_SOCKET, NOBODY, NOBODY, dir_fd=fd)
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    finally:
        os.close(fd)
    return listener
