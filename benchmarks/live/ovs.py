"""Open vSwitch with its datapath in user space, its files in a folder of its own: receives from `front`, drops, mirrors by GRE.

front --> bridge `work` --mirror--> GRE port --> bridge `cable`, which has the address of `back` --> back
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from live.network import ANALYZER, SOURCE, Network

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_PATIENCE_S = 20


def is_here() -> bool:
    """Whether it is installed."""
    return shutil.which("ovs-vswitchd", path="/usr/sbin") is not None


class Switch:
    """The two daemons, which run in the adc's namespace."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder = network, folder
        self._environment = os.environ | {f"OVS_{kind}DIR": str(folder) for kind in ("RUN", "LOG", "DB", "SYSCONF")}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> int:
        """Start them; gives the process id of the one that handles packets."""
        self.run("ovsdb-tool", "create", f"{self._folder}/conf.db", str(SCHEMA))
        self._spawn(
            "ovsdb-server",
            f"{self._folder}/conf.db",
            f"--remote=punix:{self._folder}/db.sock",
            f"--unixctl={self._folder}/db.ctl",
        )
        self._wait("db.sock")
        self.set("--no-wait", "init")
        self._spawn("ovs-vswitchd", f"unix:{self._folder}/db.sock", f"--unixctl={self._folder}/switch.ctl")
        self._wait("switch.ctl")
        return self._processes[1].pid

    def stop(self) -> None:
        """End both, the switch first, and remove the bridges' devices, which would stay."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait()
        for bridge in ("cable", "work"):
            subprocess.run(self._inside("ip", "link", "del", bridge), capture_output=True, check=False)

    def set(self, *words: str) -> None:
        """Have ovs-vsctl change the configuration, and wait until it is in force."""
        self.run("ovs-vsctl", f"--db=unix:{self._folder}/db.sock", "--timeout=20", *words)

    def ask(self, *words: str) -> str:
        """Have ovs-appctl ask the switch."""
        return self.run("ovs-appctl", "-t", f"{self._folder}/switch.ctl", *words)

    def run(self, *words: str) -> str:
        """Run a command of Open vSwitch in the adc."""
        done = subprocess.run(self._inside(*words), env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}{done.stdout.strip()}")
        return done.stdout

    def _inside(self, *words: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._network.names['adc']}", *words]

    def _spawn(self, *words: str) -> None:
        with (self._folder / f"{words[0]}.log").open("wb") as log:
            started = subprocess.Popen(
                self._inside(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
            self._processes.append(started)

    def _wait(self, name: str) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not (self._folder / name).exists():
            if time.monotonic() > end:
                raise RuntimeError("".join(log.read_text() for log in self._folder.glob("*.log")))
            time.sleep(0.05)


@contextmanager
def switch(network: Network, mirror: bool) -> Iterator[int]:
    """The switch at work; gives its process id."""
    with tempfile.TemporaryDirectory(prefix="hsbench-ovs-") as name:
        running = Switch(network, Path(name))
        try:
            pid = running.start()
            _configure(network, running, mirror)
            yield pid
        finally:
            running.stop()
            network.run("adc", "ip", "addr", "replace", f"{SOURCE}/24", "dev", "back")
            network.run(
                "adc",
                "ip",
                "neigh",
                "replace",
                ANALYZER,
                "lladdr",
                network.macs["analyzer"].hex(":"),
                "dev",
                "back",
                "nud",
                "permanent",
            )


def _configure(network: Network, running: Switch, mirror: bool) -> None:
    for bridge, port in (("cable", "back"), ("work", "front")):
        running.set("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev", "--", "add-port", bridge, port)
    network.run("adc", "ip", "addr", "del", f"{SOURCE}/24", "dev", "back")
    network.run("adc", "ip", "addr", "add", f"{SOURCE}/24", "dev", "cable")
    network.run("adc", "ip", "link", "set", "cable", "up")
    running.run("ovs-ofctl", "del-flows", "work")
    running.ask("tnl/neigh/set", "cable", ANALYZER, network.macs["analyzer"].hex(":"))
    if mirror:
        running.set("add-port", "work", "gre0", "--", "set", "interface", "gre0", "type=gre", f"options:remote_ip={ANALYZER}")
        names = ("--", "--id=@in", "get", "port", "front", "--", "--id=@out", "get", "port", "gre0")
        create = ("--", "--id=@m", "create", "mirror", "name=m", "select_src_port=@in", "output_port=@out")
        running.set(*names, *create, "--", "set", "bridge", "work", "mirrors=@m")
