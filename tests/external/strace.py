"""The system calls of a daemon on its configuration files: recorded, and made to kill it or to fail."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hsadc.cli.remote import RemoteShell
from hsadc.lab.interrupt import Interrupt

_CALL = re.compile(r"(\d+)\s+(?:<\.\.\. )?(\w+)(?:\(| resumed)")


class Call(NamedTuple):
    """The n-th system call of this name, from 1, that one thread makes on the files."""

    name: str
    nth: int


class Victim:
    """A device without a dataplane that may be killed; `state` has all of its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.process: subprocess.Popen | None = None

    def start(self, *tracer: str) -> bool:
        """Start it, under a tracer if one is given; False when it has ended instead."""
        log = self.folder / "daemon.log"
        command = [sys.executable, "-m", "hsadc", "daemon", "--dataplane", "none", "--ssh", "off", "--state-dir", str(self.state)]
        with log.open("wb") as out:
            self.process = subprocess.Popen([*tracer, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        with Interrupt() as interrupt:
            assert interrupt.wait(lambda: "ready" in self.log() or self.process.poll() is not None, 30), self.log()
        return self.process.poll() is None

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def shell(self) -> RemoteShell:
        return RemoteShell(self.state / "control.sock")

    def run(self, *lines: str) -> list[str]:
        with self.shell() as shell:
            return [answer for line in lines for answer in said(shell, line)]

    @property
    def _paths(self) -> list[str]:
        names = [
            f"{hidden}{name}{tail}"
            for name in ("startup.cfg", "confirm.cfg")
            for hidden, tail in (("", ""), (".", ".new"), (".", ".old"))
        ]
        names += ["", "backups", *(f"backups/startup.cfg.{n}" for n in range(4))]
        return [f"-P{self.state / name}" for name in names]

    def tracer(self, inject: str | None = None) -> list[str]:
        """The command that records the calls on the files, and tampers with one."""
        return [
            "strace",
            "-D",
            "-f",
            "-qq",
            "-o",
            str(self.folder / "calls"),
            *self._paths,
            *([f"-einject={inject}"] if inject else []),
        ]

    @contextmanager
    def traced(self, inject: str | None = None) -> Iterator[None]:
        """With the running daemon traced from here on."""
        command = [c for c in self.tracer(inject) if c not in ("-D", "-qq")]
        with subprocess.Popen([*command, "-p", str(self.process.pid)], stderr=subprocess.PIPE, text=True) as strace:
            for line in strace.stderr:
                if "attached" in line:
                    break
            try:
                yield
            finally:
                strace.send_signal(signal.SIGTERM if inject is None else signal.SIGKILL)  # it waits for threads that are dead
                strace.stderr.read()

    def calls(self) -> list[Call]:
        """What was recorded, in order."""
        seen: Counter = Counter()
        found = []
        for line in (self.folder / "calls").read_text().splitlines():
            if (match := _CALL.match(line)) and "unfinished" not in line:
                seen[match[1], match[2]] += 1
                found.append(Call(match[2], seen[match[1], match[2]]))
        return list(dict.fromkeys(found))


def said(shell: RemoteShell, line: str) -> tuple[str, ...]:
    reply = shell.run(line)
    assert reply.ok, (line, reply.lines)
    return reply.lines
