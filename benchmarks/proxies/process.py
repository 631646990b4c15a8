"""Processes of a benchmark: started in a namespace, ended with their context, and what CPU time they have used."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 30.0


class Process:
    """A process that runs, with all that it starts.

    Attributes:
        pid: of the first.
        log: the file with its output.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.pid = process.pid
        self.log = log
        self._process = process

    def wait(self, ready: Callable[[], bool], seconds: float = _PATIENCE_S) -> None:
        """Until it does what it is there for.

        Raises:
            RuntimeError: it ended, or does not come to it.
        """
        end = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self._process.args!r} does not work: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """A signal to the first."""
        self._process.send_signal(number)

    @property
    def family(self) -> set[int]:
        """It, and all that it has started and they."""
        parents = _parents()
        found, more = set[int](), {self.pid}
        while more:
            found |= more
            more = {pid for pid, parent in parents.items() if parent in more} - found
        return found

    def cpu_s(self) -> float:
        """CPU seconds of the family, user and system, those that have ended and were waited for included (proc(5), stat)."""
        return sum(cpu_s(pid) for pid in self.family)

    def memory_mb(self, *, alone: bool = False) -> float:
        """Megabytes that the family, or it alone, holds; of shared pages its part (proc(5), smaps_rollup: Pss)."""
        return sum(map(_pss_mb, {self.pid} if alone else self.family))


@contextmanager
def running(command: Sequence[str], log: Path, number: signal.Signals = signal.SIGTERM) -> Iterator[Process]:
    """A process, which ends what it starts before it ends; it has ended when the context has."""
    with log.open("ab") as out:
        # Of a session of its own: Ctrl-C is for the benchmark, which ends it in order.
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    process = Process(started, log)
    try:
        yield process
    finally:
        started.send_signal(number)
        try:
            started.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended; 0 of one that is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def _parents() -> dict[int, int]:
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return {pid: int(fields[1]) for pid in pids if (fields := _stat(pid))}


def _stat(pid: int) -> list[str]:
    """What stands after the name, from the state on; nothing of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024
