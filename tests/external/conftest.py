"""A running device, and a whole lab around one."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hsadc.cli.remote import RemoteShell
from hsadc.dataplane.run import spawn
from hsadc.lab import network
from hsadc.lab.capture import Capture
from hsadc.lab.equipment import Servers, start_device
from hsadc.lab.interrupt import Interrupt
from hsadc.lab.namespace import within
from hsadc.lab.process import Process
from hsadc.lab.runtime import Runtime, claim
from hsadc.lab.topology import namespace_of

SAMPLES = Path(__file__).parents[2] / "samples"
_numbers = itertools.count()


def hsadc(*arguments, stdin=None, cwd=None):
    """Run the program to its end, as a user would."""
    command = [sys.executable, "-m", "hsadc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=120, cwd=cwd)


class KeptDevice:
    """A device without a dataplane, on this machine's loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.state = folder / "state"
        command = [sys.executable, "-m", "hsadc", "daemon", "--dataplane", "none", "--state-dir", str(self.state)]
        self._process = spawn([*command, "--ssh", f"127.0.0.1:{self.port}"], log=folder / "daemon.log")
        with Interrupt() as interrupt:
            assert interrupt.wait(lambda: "ready" in (folder / "daemon.log").read_text(), 20), (folder / "daemon.log").read_text()

    def text(self) -> str:
        with RemoteShell(self.state / "control.sock") as shell:
            return "".join(f"{line}\n" for line in shell.run("show running-config").lines)

    def saved(self) -> str:
        """The startup-config without its first line, which says who saved it when."""
        head, text = (self.state / "startup.cfg").read_text().split("\n", 1)
        assert head.startswith("! saved ")
        return text

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(20)


@pytest.fixture
def kept_device(tmp_path) -> Iterator[KeptDevice]:
    device = KeptDevice(tmp_path)
    yield device
    assert device.stop() == 0


class Lab:
    """The article's network with the real servers and hsadc running.

    Attributes:
        options: of `hsadc daemon`, for the next start.
        launcher: what runs it, for the next start.
    """

    def __init__(self, runtime: Runtime, interrupt: Interrupt, stack: ExitStack, options=(), launcher=()) -> None:
        self.runtime, self.options, self.launcher = runtime, options, launcher
        self._interrupt = interrupt
        self._stack = stack
        stack.callback(network.remove, runtime.prefix)
        network.create(runtime.prefix)
        self.servers = Servers(runtime, interrupt)
        stack.callback(self.servers.stop)
        self.device = self.start_device()

    def start_device(self) -> Process:
        self.device = start_device(self.runtime, self._interrupt, options=self.options, launcher=self.launcher)
        self._stack.callback(self.device.stop)
        return self.device

    def kill_device(self) -> None:
        self.device.stop(signal.SIGKILL)

    def namespace(self, node: str) -> str:
        return namespace_of(self.runtime.prefix, node)

    def inside(self, node: str, action):
        return within(self.namespace(node), action)

    def capture(self) -> Capture:
        capture = Capture(
            self.runtime.files / f"capture{next(_numbers)}.pcap", namespace=self.namespace("analyzer"), interrupt=self._interrupt
        )
        self._stack.callback(capture.stop)
        return capture

    def exec(self, *lines: str):
        arguments = [a for line in lines for a in ("-c", line)]
        return hsadc("exec", "--state-dir", self.runtime.state, *arguments)

    def exec_file(self, file: Path):
        return hsadc("exec", "--state-dir", self.runtime.state, "-f", file)

    def show(self, line: str) -> str:
        done = self.exec(line)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def lab() -> Iterator[Lab]:
    with running_lab() as lab:
        yield lab


@contextmanager
def running_lab(options=(), launcher=()) -> Iterator[Lab]:
    """A lab, which goes with the block."""
    with claim(f"hsadc-test-{os.getpid()}-{next(_numbers)}") as runtime, Interrupt() as interrupt, ExitStack() as stack:
        stack.callback(runtime.folder.rmdir)
        stack.callback((runtime.folder / "lock").unlink)
        stack.callback(runtime.clear)
        runtime.make()
        yield Lab(runtime, interrupt, stack, options, launcher)
