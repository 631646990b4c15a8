"""A process that is watched by a pidfd: our child, or one that an earlier daemon left running."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path


class Process:
    """A running process.

    The pidfd stands for this very process: unlike a number, it never means another one that came later.

    Attributes:
        pid: its number.
        pidfd: readable once it has ended; owned by this object until `close`.
        started: when it started.
    """

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        """Watch a process.

        Args:
            pid: its number.
            child: how it was started, when it was started here.

        Raises:
            ProcessLookupError: there is none.
        """
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        try:
            self.started = _start_time(pid)
        except OSError as e:
            os.close(self.pidfd)
            raise ProcessLookupError(pid) from e
        self._child = child

    def ended(self, timeout_s: float = 0) -> bool:
        """True once it has ended; waits for that up to `timeout_s`."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def send(self, number: signal.Signals) -> None:
        """Send a signal; right also when it has ended."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def children(self) -> list[int]:
        """The numbers of its own child processes."""
        try:
            return [int(n) for n in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except OSError:
            return []

    def close(self) -> None:
        """Forget a process that has ended: no zombie stays, no file stays open."""
        os.close(self.pidfd)
        try:
            if self._child is not None:
                self._child.wait()
            else:
                os.waitpid(self.pid, 0)
        except ChildProcessError:
            return  # somebody else's child, who reaps it


def command_line(pid: int) -> list[str]:
    """The words that a process was started with; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _start_time(pid: int) -> datetime:
    """From the kernel's own record (proc(5): field 22 of stat, clock ticks since boot), so that an adopted one has its own."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return datetime.fromtimestamp(int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK"), UTC)
