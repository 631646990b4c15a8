"""A thousand virtual servers with five real servers each, all of them checked and all mirrored; beside HAProxy and nginx alone.

    python benchmarks/many.py [--servers 1000] [--rounds 1]         needs root

HAProxy gets by hand the very file that hsadc has written for it; nginx as many server blocks with as many upstreams, which it
does not check. Times are from the command until what it is for has happened: a virtual server has begun or changed when a
client's request to it is answered, and a weight has changed when the command returns. Memory is that of all processes, shared
pages by halves, thirds and so on; after a change the worker that was there before may still be ending.

The virtual servers are on 250 addresses, all real servers are one nginx behind a cable.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from proxies import adc, crowd, haproxy
from proxies.crowd import Crowd
from proxies.interrupt import stoppable
from proxies.network import Network, network
from proxies.process import Process, running
from proxies.server import make_identity, real_server

from hsadc.cli.remote import CONTROL_SOCKET, RemoteShell
from hsadc.dataplane.haproxy_binary import find_binary

Figures = dict[str, dict[str, list[float]]]
CHECK, START, ADD, WEIGHT = "check the file, s", "start, s", "one virtual server more, s", "change of a weight, s"
MEMORY, MEMORY_CONTROL = "memory of what serves, MB", "memory of the daemon, MB"
ROWS = (CHECK, START, ADD, WEIGHT, MEMORY, MEMORY_CONTROL)


class Bench:
    """One round: writes what it finds into `figures`, by row and by column.

    Attributes:
        crowd: the virtual servers; one more than those that are there at first.
    """

    def __init__(self, net: Network, folder: Path, virtual_servers: int, figures: Figures) -> None:
        self.crowd = Crowd(virtual_servers)
        self._net, self._folder, self._figures = net, folder, figures

    def note(self, row: str, column: str, value: float) -> None:
        """A figure."""
        self._figures[row][column].append(value)

    def timed(self, row: str, column: str, work: Callable[[], object]) -> None:
        """The seconds that it takes."""
        begun = time.monotonic()
        work()
        self.note(row, column, time.monotonic() - begun)

    def timed_until_answered(self, column: str, work: Callable[[], object]) -> None:
        """The seconds until the virtual server that it adds answers."""
        begun = time.monotonic()
        work()
        self.until_answered(self.crowd.count)
        self.note(ADD, column, time.monotonic() - begun)

    def until_answered(self, number: int) -> None:
        """Until a client's request to that virtual server is answered."""
        end = time.monotonic() + 60
        while not crowd.answers(self._net, number):
            if time.monotonic() > end:
                raise RuntimeError(f"virtual server {number} does not answer")
            time.sleep(0.005)

    def hsadc(self, name: str = "hsadc") -> Path:
        """Returns a copy of the directory that its HAProxy runs in."""
        text, folder = self.crowd.hsadc(), self._folder / "hsadc"
        folder.mkdir()
        file = folder / "startup.cfg"
        file.write_text(text)
        self.timed(CHECK, name, lambda: adc.check(file))
        begun = time.monotonic()
        with adc.daemon(self._net, folder) as process:
            self.until_answered(self.crowd.count - 1)
            self.note(START, name, time.monotonic() - begun)
            copy = shutil.copytree(
                folder / "haproxy", self._folder / "by-hand", ignore=shutil.ignore_patterns("*.sock", "*.pid", "*.pipe")
            )
            with RemoteShell(folder / CONTROL_SOCKET) as shell:
                self.timed(WEIGHT, name, lambda: _enter(shell, crowd.new_weight()))
            with RemoteShell(folder / CONTROL_SOCKET, batch=True) as shell:
                self.timed_until_answered(name, lambda: _enter(shell, self.crowd.hsadc_more()))
            self._note_memory(process, name)
        return Path(copy)

    def haproxy(self, folder: Path, name: str = "HAProxy by hand") -> None:
        """With the file that hsadc wrote."""
        program = str(find_binary().path)
        words = [program, "-C", str(folder), "-f", "haproxy.cfg"]
        file = folder / "haproxy.cfg"
        self.timed(CHECK, name, lambda: self._net.run("adc", *words, "-c", "-q"))
        begun = time.monotonic()
        with running(
            self._net.command("adc", *words, "-W", "-db", "-S", f"unix@{haproxy.MASTER_SOCKET}"), folder / "log"
        ) as process:
            self.until_answered(self.crowd.count - 1)
            self.note(START, name, time.monotonic() - begun)
            self.timed(WEIGHT, name, lambda: crowd.set_weight(folder / "stats.sock", file.read_text()))
            file.write_text(self.crowd.haproxy_more(file.read_text()))
            self.timed_until_answered(name, lambda: haproxy.reload(folder))
            self.note(MEMORY, name, process.memory_mb())

    def nginx(self, name: str = "nginx") -> None:
        """Its configuration is checked when it is started, too."""
        folder = self._folder / "nginx-many"
        folder.mkdir()
        file = folder / "nginx.conf"
        file.write_text(self.crowd.nginx(self.crowd.count))
        nginx = [shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx", "-p", str(folder), "-c", str(file)]
        self.timed(CHECK, name, lambda: self._net.run("adc", *nginx, "-t"))
        begun = time.monotonic()
        with running(self._net.command("adc", *nginx), folder / "log") as process:
            self.until_answered(self.crowd.count - 1)
            self.note(START, name, time.monotonic() - begun)
            file.write_text(self.crowd.nginx(self.crowd.count + 1))
            self.timed_until_answered(name, lambda: process.send(signal.SIGHUP))
            self.note(MEMORY, name, process.memory_mb())

    def _note_memory(self, process: Process, name: str) -> None:
        self.note(MEMORY_CONTROL, name, process.memory_mb(alone=True))
        self.note(MEMORY, name, process.memory_mb() - process.memory_mb(alone=True))


def _enter(shell: RemoteShell, text: str) -> None:
    for line in text.splitlines():
        reply = shell.run(line)
        if not reply.ok:
            raise RuntimeError(f"{line}: {reply.lines}")
    if not (reply := shell.finish()).ok:
        raise RuntimeError(str(reply.lines))


def show(figures: Figures) -> None:
    """Medians."""
    columns = ("hsadc", "HAProxy by hand", "nginx")
    print(f"{'':32}" + "".join(f"{column:>18}" for column in columns))
    for row in ROWS:
        cells = (figures[row].get(column) for column in columns)
        print(f"{row:32}" + "".join(f"{statistics.median(cell):18.3f}" if cell else f"{'-':>18}" for cell in cells))


@contextmanager
def place(virtual_servers: int) -> Iterator[tuple[Network, Path]]:
    """The network with all addresses, and a folder."""
    with stoppable(), tempfile.TemporaryDirectory(prefix="hsadc-many-") as name, network() as net:
        folder = Path(name)
        folder.chmod(0o755)
        crowd.give_addresses(net, virtual_servers)
        with real_server(net, make_identity(folder), folder):
            yield net, folder


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="A thousand virtual servers.")
    options.add_argument("--servers", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=1)
    asked = options.parse_args()
    figures: Figures = defaultdict(lambda: defaultdict(list))
    print(
        f"load average {os.getloadavg()[0]:.1f}; {asked.servers:,} virtual servers, {5 * asked.servers:,} real servers",
        flush=True,
    )
    with place(asked.servers + 1) as (net, folder):
        for number in range(asked.rounds):
            (folder / str(number)).mkdir(mode=0o755)
            bench = Bench(net, folder / str(number), asked.servers, figures)
            bench.haproxy(bench.hsadc())
            bench.nginx()
    show(figures)


if __name__ == "__main__":
    main()
