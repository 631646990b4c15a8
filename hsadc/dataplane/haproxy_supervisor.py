"""The supervisor of HAProxy: starts it again when it ends without being told to."""

from __future__ import annotations

import logging
import math
import os
import select
import threading
import time
from dataclasses import dataclass
from datetime import datetime

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_process import Process
from hsadc.errors import ApplyError

log = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 5.0
"""One that ran as long as this was well: it is started again at once."""


@dataclass(frozen=True, slots=True)
class HaproxyState:
    """What `show` says of HAProxy.

    Attributes:
        pid: the master's; None while it does not run.
        running_since: when the master started; None while it does not run.
        version: as the worker tells it; None while none answers.
        restarts: how often it was started again.
        reloads: workers that took the place of others.
        changed: settings that were changed in a worker that went on.
        last_error: why it ended, or why it did not start; None when nothing went wrong.
    """

    pid: int | None
    running_since: datetime | None
    version: str | None
    restarts: int
    last_error: str | None
    reloads: int = 0
    changed: int = 0


class Supervisor:
    """A thread that sleeps until the driver's process ends or becomes another one."""

    def __init__(self, driver: HaproxyDriver) -> None:
        """Nothing runs before `start`.

        Args:
            driver: whose process is watched; its lock is taken for each look and each restart.
        """
        self._driver = driver
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._stopping = False
        self._restarts = 0
        self._last_error: str | None = None
        self._pause_s = 0.0
        self._due: float | None = None
        self._last_start = -math.inf

    def start(self) -> None:
        """Begin to watch; nothing when it does already."""
        if self._thread is not None:
            return
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._stopping = False
        with self._driver.lock:
            self._driver.on_process = self._signal
        self._thread = threading.Thread(target=self._run, name="haproxy-supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; HAProxy goes on. Returns when the thread has ended."""
        if self._thread is None:
            return
        with self._driver.lock:
            self._driver.on_process = lambda: None
            self._stopping = True
            self._signal()
        self._thread.join()
        self._thread = None
        os.close(self._wake)

    def state(self) -> HaproxyState:
        """How HAProxy is now."""
        with self._driver.lock:
            process, work = self._driver.process, self._driver.work
            if process is None or process.ended():
                pid, since, version = None, None, None
            else:
                pid, since, version = process.pid, process.started, self._driver.version()
            return HaproxyState(pid, since, version, self._restarts, self._last_error, work.reloads, work.changed)

    def _signal(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while not self._stopping:
            watched, pause_s = self._look()
            self._sleep(watched, pause_s)

    def _look(self) -> tuple[int | None, float | None]:
        """Start what has ended, when its time has come.

        Returns:
            A pidfd to watch (the caller's to close), and how many seconds until the next look; None for no limit.
        """
        with self._driver.lock:
            if not self._driver.wanted:
                self._due = None
                return None, None
            process = self._driver.process
            if process is not None and not process.ended():
                self._due = None
                return os.dup(process.pidfd), None
            if self._due is None:
                self._due = time.monotonic() + self._next_pause_s(process)
            left_s = self._due - time.monotonic()
            if left_s > 0:
                return None, left_s
            self._restart()
            return None, 0

    def _next_pause_s(self, process: Process | None) -> float:
        if process is not None:
            self._complain(f"process {process.pid} ended without being told to")
        steady = time.monotonic() - self._last_start > _STEADY_S
        self._pause_s = 0 if steady else min(max(_FIRST_PAUSE_S, 2 * self._pause_s), _LONGEST_PAUSE_S)
        return self._pause_s

    def _restart(self) -> None:
        self._due = None
        try:
            if self._driver.restart():
                self._restarts += 1
                log.warning("haproxy was started again")
        except (ApplyError, OSError) as e:
            self._complain(str(e))
        self._last_start = time.monotonic()

    def _complain(self, why: str) -> None:
        self._last_error = why
        log.error("haproxy: %s", why)

    def _sleep(self, watched: int | None, pause_s: float | None) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if watched is not None:
            poll.register(watched, select.POLLIN)
        try:
            ready = [fd for fd, _ in poll.poll(None if pause_s is None else pause_s * 1000)]
        finally:
            if watched is not None:
                os.close(watched)
        if self._wake in ready:
            os.eventfd_read(self._wake)
