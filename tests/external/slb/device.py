"""A real hsadc daemon on the ADC, its configuration, and what it shows."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from hsadc.cli.remote import CONTROL_SOCKET, NoDaemon, RemoteShell
from hsadc.lab.interrupt import Interrupt
from hsadc.lab.process import Process
from tests.external.slb.network import BACK, SERVERS, Network, address

BASE = f"""
interface ethernet0/0
  ip address {address("adc")}/24
  ipv6 address {address("adc", 6)}/64
exit
interface ethernet0/1
  ip address {BACK[4]}/24
  ipv6 address {BACK[6]}/64
exit
ip route 10.72.0.0/24 {address("router")}
tunnel gre "analyzer"
  source interface ethernet0/0
  destination {address("analyzer")}
exit
interface tunnel1
  tunnel gre "analyzer"
exit
"""
"""The interfaces, and the way to the analyzer."""


def real_servers(family: int = 4, extra: str = "", servers: tuple[str, ...] = tuple(SERVERS)) -> str:
    """The sections of real servers: rs1, rs2 and rs3 by IPv4, or by IPv6, each with `extra` settings."""
    return "".join(f'slb real-server "{rs}"\n  ip {address(rs, family)}\n{extra}\nexit\n' for rs in servers)


def pool(settings: str = "", *, port: int = 80, name: str = "web", servers: tuple[str, ...] = tuple(SERVERS)) -> str:
    """A pool of these servers; each setting on a line."""
    members = "".join(f'  real-server "{rs}" port {port}\n' for rs in servers)
    return f'slb server-pool "{name}"\n{members}{settings}\nexit\n'


def virtual(
    kind: str,
    settings: str = "auto-snat",
    *,
    port: int,
    family: int = 4,
    name: str = "v",
    number: int = 1,
    serves: str = "web",
) -> str:
    """A virtual server at the ADC's address, with a pool; each setting on a line."""
    return (
        f'slb virtual-server "{name}" type {kind} id {number}\n  server-pool "{serves}"\n'
        f"  ip {address('adc', family)} port {port}\n{settings}\nexit\n"
    )


class Device:
    """The daemon; its state directory stays when it is started again.

    Attributes:
        log: file of what the daemon says.
    """

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder, self._interrupt = network, folder, Interrupt()
        self.state = folder / "state"
        self.log = folder / "daemon.log"
        (self.state / "files").mkdir(parents=True, mode=0o700)
        (self.state / "startup.cfg").write_text(BASE)
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, and wait until it takes commands."""
        command = [sys.executable, "-m", "hsadc", "daemon", "--state-dir", str(self.state), "--ssh", "off"]
        self._process = Process("hsadc daemon", command, log=self.log, namespace=self._network.name("adc"))
        self._process.expect(self._takes_commands, self._interrupt)

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.status is None

    def stop(self) -> int:
        """Stop it as an operator would; its exit status."""
        assert self._process is not None
        return self._process.stop(patience_s=30)

    def kill(self) -> None:
        """End it without a chance to clean up; also right when it has ended."""
        if self._process is not None:
            self._process.stop(signal.SIGKILL)

    def configure(self, text: str) -> list[str]:
        """Put this in force, together with BASE, in place of all there was; returns the warnings."""
        return self._replace(BASE + text, expected=True)

    def refuses(self, text: str) -> str:
        """Why this cannot be put in force: one line, after which may stand that nothing was changed."""
        line, *more = self._replace(BASE + text, expected=False)
        assert len(more) <= 1, more
        return line

    def configure_lines(self, *lines: str) -> list[str]:
        """Carry out lines in configuration mode, as one transaction; what they print."""
        with RemoteShell(self.state / CONTROL_SOCKET, batch=True) as shell:
            printed = [text for line in ("configure", *lines) for text in self._run(shell, line)]
            done = shell.finish()
            assert done.ok, done.lines
            return [*printed, *done.lines]

    def show(self, what: str) -> Any:
        """`show WHAT | json`."""
        with RemoteShell(self.state / CONTROL_SOCKET, batch=True) as shell:
            return json.loads("\n".join(self._run(shell, f"show {what} | json")))

    def say(self, line: str) -> list[str]:
        """What a command prints."""
        with RemoteShell(self.state / CONTROL_SOCKET, batch=True) as shell:
            return list(self._run(shell, line))

    def put(self, name: str, text: str) -> None:
        """Place a file among those of the device."""
        (self.state / "files" / name).write_text(text)

    def _replace(self, text: str, *, expected: bool) -> list[str]:
        self.put("test.cfg", text)
        with RemoteShell(self.state / CONTROL_SOCKET, batch=True) as shell:
            reply = shell.run("configure replace test.cfg")
        assert reply.ok == expected, "\n".join(reply.lines)
        return [line for line in reply.lines if line.startswith("Warning")] if expected else list(reply.lines)

    def _run(self, shell: RemoteShell, line: str) -> tuple[str, ...]:
        reply = shell.run(line)
        assert reply.ok, (line, reply.lines)
        return reply.lines

    def _takes_commands(self) -> bool:
        try:
            RemoteShell(self.state / CONTROL_SOCKET).close()
        except NoDaemon:
            return False
        return True
