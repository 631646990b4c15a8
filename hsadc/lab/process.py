"""A process of the lab, in the namespace of one of its nodes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hsadc.dataplane.run import spawn
from hsadc.errors import ApplyError
from hsadc.lab.interrupt import Interrupt

_LAST_WORDS = 3


class Process:
    """Started when made; whoever made it stops it.

    Attributes:
        name: for people, such as `server rs33`.
        log: the file with its standard output and standard error.
    """

    def __init__(self, name: str, command: Sequence[str], *, log: Path, namespace: str) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] = spawn(command, log=log, namespace=namespace)

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def expect(self, ready: Callable[[], bool], interrupt: Interrupt, timeout_s: float = 20) -> None:
        """Wait until the process does what it is there for, and still runs.

        Raises:
            ApplyError: it ended, or is not ready within `timeout_s`.
            Interrupted: the operator asked to stop.
        """
        if not interrupt.wait(lambda: ready() or self.status is not None, timeout_s):
            raise self._failure(f"not ready after {timeout_s:g} s")
        if self.status is not None:
            raise self._failure(f"ended with status {self.status}")

    def finish(self, interrupt: Interrupt, timeout_s: float) -> None:
        """Wait for its end.

        Raises:
            ApplyError: it takes longer than `timeout_s`, or fails.
            Interrupted: the operator asked to stop.
        """
        if not interrupt.wait(lambda: self.status is not None, timeout_s):
            raise self._failure(f"not done after {timeout_s:g} s")
        if self.status != 0:
            raise self._failure(f"ended with status {self.status}")

    def stop(self, number: signal.Signals = signal.SIGTERM, patience_s: float = 10) -> int:
        """Ask it to end, make it end after `patience_s`; returns its exit status."""
        if self.status is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _failure(self, why: str) -> ApplyError:
        said = "; ".join(self.log.read_text(errors="replace").splitlines()[-_LAST_WORDS:])
        return ApplyError(f"run {self.name}", f"{why}: {said}" if said else why)
