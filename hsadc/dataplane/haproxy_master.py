"""HAProxy's master process: it keeps the sockets and the worker; here it is started, found again, reloaded and stopped.

It lives in a session of its own and outlives the daemon. What it runs is asked from its worker, never assumed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hsadc.dataplane.haproxy_file import CONFIG, STATS_SOCKET
from hsadc.dataplane.haproxy_process import Process, command_line
from hsadc.dataplane.haproxy_socket import ask, listener
from hsadc.dataplane.run import spawn
from hsadc.errors import ApplyError

_SOCKET = "master.sock"
_PID = "haproxy.pid"
_START_S = 15.0
_LOOK_S = 0.01
_LOG_BYTES, _KEPT_BYTES = 16 << 20, 1 << 20
_ANSWER_S = 5.0  # a master that is asked for a worker which is just ending may never answer
_STOP_S = ((signal.SIGUSR1, 3.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0))
"""How it is stopped: connections may finish; they are closed; it is killed. Each with the seconds it has for it."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker.

    Attributes:
        pid: its process's number.
        told: the digest of what it started from.
        version: HAProxy's, such as `2.8.25-5cf5d0683`.
    """

    pid: str
    told: str
    version: str


class Master:
    """The HAProxy of one directory. Not safe for threads: the driver's lock guards it.

    Attributes:
        process: the process as last known, also when it has ended since; None when none is meant to run.
    """

    def __init__(self, directory: Path, log: Path) -> None:
        """Nothing is started or looked for yet.

        Args:
            directory: an absolute path; holds the configuration file, the sockets and the process's number.
            log: where HAProxy writes its log to.
        """
        self.process: Process | None = None
        self._directory = directory
        self._log = log

    @property
    def alive(self) -> bool:
        """True while the known process runs."""
        return self.process is not None and not self.process.ended()

    def adopt(self) -> bool:
        """True when one runs, be it one that an earlier daemon started; one that does not answer is stopped."""
        if self.alive:
            return True
        if (found := self._find()) is None:
            return False
        self._forget()
        self.process = found
        try:
            self._wait_for(None, self._log_size(), "adopt haproxy")
        except ApplyError:
            self.stop()
            return False
        return True

    def worker(self) -> Worker | None:
        """The newest worker, as it tells of itself (`show info`); None while none answers."""
        try:
            answer = ask(self._directory / _SOCKET, "@1 show info", _ANSWER_S)
        except OSError:
            return None
        told = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        if "Pid" not in told:
            return None
        return Worker(told["Pid"], told.get("description", ""), told.get("Version", ""))

    def start(self, binary: Path, digest: str, logs: int) -> None:
        """Start it and wait until its worker serves the file of this digest.

        Args:
            binary: HAProxy.
            digest: of the file.
            logs: a file descriptor that virtual servers' logs are written to; stays the caller's.

        Raises:
            ApplyError: it ended, did not serve in time, or its number cannot be kept in a file; then it is stopped. Of the first
                two the cause is what it wrote to its log.
        """
        self._forget()
        mark = self._log_size()
        child = spawn([str(binary), *self._arguments()], log=self._log, output=logs)
        self.process = Process(child.pid, child)
        try:
            (self._directory / _PID).write_text(f"{child.pid}\n")
            self._wait_for(digest, mark, "start haproxy")
        except OSError as e:
            self.stop()
            raise ApplyError("start haproxy", f"{self._directory / _PID}: {e.strerror}") from e
        except ApplyError:
            self.stop()
            raise

    def reload(self, digest: str) -> None:
        """Have it read its file again and wait until a worker serves it; the old worker serves until then.

        Raises:
            ApplyError: it was refused (the old worker keeps serving), or the process ended.
        """
        mark = self._log_size()
        old = self.worker()
        try:
            answer = ask(self._directory / _SOCKET, "reload")
        except OSError as e:
            raise ApplyError("reload haproxy", f"its master does not answer: {e}") from e
        if answer.startswith("Success=0"):
            raise ApplyError("reload haproxy", answer)
        self._wait_for(digest, mark, "reload haproxy", old)

    def stop(self) -> None:
        """Stop it, and return when it has ended; its connections get a few seconds to finish.

        Raises:
            ApplyError: not even SIGKILL ended it.
        """
        if self.process is not None:
            self._end(self.process)
            self._forget()
        for name in (_PID, _SOCKET, STATS_SOCKET):
            (self._directory / name).unlink(missing_ok=True)

    def shorten_log(self) -> None:
        """Leave the end of a log that has grown large, such as that of servers which go up and down for months."""
        if self._log_size() <= _LOG_BYTES:
            return
        with self._log.open("r+b") as f:
            f.seek(-_KEPT_BYTES, os.SEEK_END)
            kept = f.read().partition(b"\n")[2]
            f.truncate(0)
            f.seek(0)
            f.write(kept)

    def _find(self) -> Process | None:
        """By its number in the file or, when that was lost, by who listens at its socket."""
        for ask_number in (self._number, partial(listener, self._directory / _SOCKET)):
            try:
                found = Process(ask_number())
            except (OSError, ValueError):
                continue
            # Only after the pidfd is open: the number may have been given to another process meanwhile.
            if self._is_ours(found.pid):
                return found
            os.close(found.pidfd)
        return None

    def _number(self) -> int:
        return int((self._directory / _PID).read_text())

    def _log_tail(self, mark: int) -> str:
        """What was logged after the first `mark` bytes; of much, the last 64 KB."""
        with self._log.open("rb") as f:
            f.seek(max(mark, self._log_size() - 65536))
            return f.read().decode(errors="replace")

    def _end(self, process: Process) -> None:
        for number, limit_s in _STOP_S:
            if number == signal.SIGKILL:
                _kill_workers(process, limit_s)
            process.send(number)
            if process.ended(limit_s):
                return
        raise ApplyError("stop haproxy", f"process {process.pid} does not end", rolled_back=False)

    def _arguments(self) -> list[str]:
        # In its directory, so that no path in the file and no socket's address can be too long.
        return ["-W", "-db", "-C", str(self._directory), "-S", f"unix@{_SOCKET},mode,600", "-f", CONFIG]

    def _is_ours(self, pid: int) -> bool:
        words = command_line(pid)
        try:
            return Path(f"/proc/{pid}").stat().st_uid == os.geteuid() and words[-len(self._arguments()) :] == self._arguments()
        except OSError:
            return False

    def _wait_for(self, digest: str | None, mark: int, step: str, old: Worker | None = None) -> None:
        """Until a worker that is not the old one serves the file of this digest, or any file when it is None."""
        process = self.process
        end = time.monotonic() + _START_S
        while process is not None and time.monotonic() < end:
            if process.ended(_LOOK_S):
                raise ApplyError(step, self._log_tail(mark))
            new = self.worker()
            if new is not None and digest in (None, new.told) and (old is None or new.pid != old.pid):
                return
        raise ApplyError(step, self._log_tail(mark) or f"no answer for {_START_S:.0f} seconds")

    def _forget(self) -> None:
        if self.process is not None:
            self.process.close()
            self.process = None

    def _log_size(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0


def _kill_workers(master: Process, limit_s: float) -> None:
    """Workers that hang would outlive their master and keep its addresses; return when they have ended."""
    for pid in master.children():
        with contextlib.suppress(ProcessLookupError):
            worker = Process(pid)
            worker.send(signal.SIGKILL)
            worker.ended(limit_s)
            worker.close()
