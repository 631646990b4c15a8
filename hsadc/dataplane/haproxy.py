"""The driver of HAProxy: one process that serves all virtual servers of types tcp and http."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import threading
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from hsadc.dataplane.haproxy_binary import Binary, find_binary
from hsadc.dataplane.haproxy_file import CONFIG, STATS_SOCKET, Machine, digest, explain, services_of, write_file
from hsadc.dataplane.haproxy_master import Master
from hsadc.dataplane.haproxy_process import Process
from hsadc.dataplane.haproxy_socket import ask
from hsadc.dataplane.haproxy_statistics import VirtualServerStatistics, parse_statistics
from hsadc.dataplane.run import run
from hsadc.errors import ApplyError
from hsadc.intent.haproxy import HaproxyIntent

_PREVIOUS = "haproxy.cfg.previous"
_MOST_THREADS = 64  # HAProxy's own limit without thread groups


class HaproxyDriver:
    """Runs HAProxy with the services that are wanted, and changes them without losing a request.

    The file, the sockets and the process's number lie in `state_dir`/haproxy, the log in `state_dir`/log/haproxy.log.

    Attributes:
        kind: the driver's name in errors.
        lock: held while anything here is changed or looked at; the supervisor takes it too.
        on_process: called, with the lock held, when the process to watch may be another one than before.
        wanted: True from the moment it serves (or is found serving) until it is deleted, also when it has ended since.
    """

    kind = "haproxy"

    def __init__(self, state_dir: Path) -> None:
        """Nothing is touched yet.

        Args:
            state_dir: the daemon's directory; made, for this user alone, when it is first needed.
        """
        self.lock = threading.RLock()
        self.on_process: Callable[[], None] = lambda: None
        self.wanted = False
        self._services = ""  # in force, or to be put in force again: what the file says may be somebody else's by then
        self._directory = state_dir.absolute() / "haproxy"
        self._log = state_dir.absolute() / "log" / "haproxy.log"
        self._master = Master(self._directory, self._log)

    def observe(self, wanted: Mapping[Hashable, HaproxyIntent]) -> Mapping[Hashable, HaproxyIntent]:  # noqa: ARG002 one at most
        """What the worker serves, also when an earlier daemon started it; other services than any wanted when that is unknown."""
        with self.lock:
            if not self._master.adopt():
                return {}
            self.wanted = True
            self.on_process()
            text = self._text_in_force() or ""
            services = services_of(text)
            self._services = services or self._services
            # What was written for another machine or by another release must be written again, too.
            seen = HaproxyIntent(services if text == self._text(services) else "")
            return {seen.key: seen}

    def prepare(self, wanted: Mapping[Hashable, HaproxyIntent]) -> None:
        """Have HAProxy check the file.

        Raises:
            Unsupported: there is no HAProxy, or it is too old.
            ApplyError: it refuses the file.
        """
        for new in wanted.values():
            with self.lock:
                self._check(self._text(new.services))

    def create(self, new: HaproxyIntent) -> None:
        """Start it and return when it serves.

        Raises:
            ApplyError: it does not start, because an address or a port is not free for example; then nothing is left of it.
        """
        self._put(new.services)

    def change(self, old: HaproxyIntent, new: HaproxyIntent) -> None:  # noqa: ARG002 what is in force is asked, not believed
        """Put a new worker in the place of the old one, which finishes what it has begun; returns when the new one serves.

        Raises:
            ApplyError: the new services are refused; then the old ones go on.
        """
        self._put(new.services)

    def delete(self, old: HaproxyIntent) -> None:  # noqa: ARG002 there is one
        """Stop it; open connections get a few seconds to finish. Its log stays."""
        with self.lock:
            self._master.adopt()
            self.wanted = False
            self._master.stop()
            self.on_process()
            for name in (CONFIG, _PREVIOUS):
                (self._directory / name).unlink(missing_ok=True)

    def restart(self) -> bool:
        """Start it again with the services in force, after it ended without being told to.

        Returns:
            False when there was no need.

        Raises:
            ApplyError: it does not start; it stays wanted.
        """
        with self.lock:
            if not self.wanted or self._master.alive:
                return False
            self._start(self._text(self._services))
            return True

    @property
    def process(self) -> Process | None:
        """The process as last known, maybe ended; it is the driver's: look at it with the lock held."""
        return self._master.process

    def version(self) -> str | None:
        """The version of the worker that serves, such as `2.8.25-5cf5d0683`; None while none answers."""
        with self.lock:
            return self._master.info().get("Version")

    def statistics(self) -> Mapping[int, VirtualServerStatistics]:
        """The counters of each virtual server, by its number; empty while HAProxy does not run."""
        with self.lock:
            try:
                return parse_statistics(ask(self._directory / STATS_SOCKET, "show stat"))
            except OSError:
                return {}

    def clear_statistics(self) -> None:
        """Set all counters to zero; nothing to do while HAProxy does not run.

        Raises:
            OSError: it does not answer.
        """
        with self.lock, suppress(FileNotFoundError, ConnectionRefusedError):
            ask(self._directory / STATS_SOCKET, "clear counters all")

    def _put(self, services: str) -> None:
        with self.lock:
            text = self._text(services)
            running = self._master.adopt()
            before = (self._text_in_force() or self._read(CONFIG)) if running or self.wanted else None
            if before is not None:
                self._write(_PREVIOUS, before)
            try:
                if running:
                    self._write(CONFIG, text)
                    self._master.reload(digest(text))
                else:
                    self._start(text)
            except ApplyError as e:
                raise ApplyError(e.step, explain(e.cause, text), self._restore(before)) from e
            self.wanted, self._services = True, services
            self.on_process()
            (self._directory / _PREVIOUS).unlink(missing_ok=True)

    def _start(self, text: str) -> None:
        self._write(CONFIG, text)
        self._master.start(self._binary.path, digest(text))
        self.on_process()

    def _restore(self, before: str | None) -> bool:
        """Go back to a file; True when that is what is in force now, or will be when the supervisor starts it again."""
        (self._directory / _PREVIOUS).unlink(missing_ok=True)
        if before is None:
            (self._directory / CONFIG).unlink(missing_ok=True)
            return True
        self._write(CONFIG, before)
        try:
            if self._master.alive and self._master.info().get("description") != digest(before):
                self._master.reload(digest(before))
        except ApplyError:
            return False
        return True

    def _text_in_force(self) -> str | None:
        """The file that the worker runs; a daemon that was killed may have left it as the previous one."""
        texts = [text for name in (CONFIG, _PREVIOUS) if (text := self._read(name)) is not None]
        told = self._master.info().get("description")
        return next((text for text in texts if digest(text) == told), None)

    def _text(self, services: str) -> str:
        # A running master keeps the limits that it was started with.
        pid = self._master.process.pid if self._master.process is not None and self._master.alive else 0
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        files = sys.maxsize if limit == resource.RLIM_INFINITY else limit
        threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        return write_file(services, Machine(os.geteuid() == 0, files, threads))

    def _check(self, text: str) -> None:
        self._make_directories()
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._directory, prefix="check-", suffix=".cfg") as f:
            f.write(text)
            f.flush()
            try:
                run([str(self._binary.path), "-c", "-C", str(self._directory), "-f", Path(f.name).name])
            except ApplyError as e:
                raise ApplyError("check haproxy", explain(e.cause, text)) from e

    def _read(self, name: str) -> str | None:
        try:
            return (self._directory / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _write(self, name: str, text: str) -> None:
        """All or nothing, whenever the daemon is killed."""
        self._make_directories()
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._directory, prefix=f"{name}.", delete=False) as f:
            try:
                f.write(text)
                f.flush()
                Path(f.name).replace(self._directory / name)
            except OSError:
                Path(f.name).unlink(missing_ok=True)
                raise

    def _make_directories(self) -> None:
        for directory in (self._directory.parent, self._directory, self._log.parent):
            directory.mkdir(mode=0o700, exist_ok=True)

    @cached_property
    def _binary(self) -> Binary:
        return find_binary()
