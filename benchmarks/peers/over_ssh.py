"""What is driven over SSH in benchmarks: hsadc, and FRR's vtysh behind OpenSSH's server; both on loopback, both by one key.

They run in a network namespace of the benchmark's own, which `in_own_network` enters, so that no route or address of the machine
is touched. Each keeps its files in the folder that it is given, and is gone when its context ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

FRR = Path("/usr/lib/frr")
USER = "root"
NEXT_HOP = "192.0.2.9"
_INSIDE = "HSADC_BENCHMARK_NETWORK"
_LINKS = (
    "link set lo up",
    "link add eth0 type veth peer name eth9",
    "addr add 192.0.2.1/24 dev eth0",
    "link set eth0 up",
    "link set eth9 up",
)
_PATIENCE_S = 20


@dataclass(frozen=True)
class Device:
    """A command line behind SSH on loopback.

    Attributes:
        name: for the table.
        port: where SSH listens.
        key: file of the private key that logs in as `USER`.
    """

    name: str
    port: int
    key: Path

    def ssh(self, *command: str, lines: str = "") -> str:
        """Carry out a command, or lines without a terminal, by OpenSSH's client."""
        settings = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "IdentitiesOnly": "yes",
        }
        options = [f"-o{k}={v}" for k, v in settings.items()]
        program = ["ssh", "-F", "none", "-T", "-p", str(self.port), "-i", str(self.key), *options, f"{USER}@127.0.0.1", *command]
        return subprocess.run(program, input=lines, capture_output=True, text=True, check=True).stdout


def in_own_network() -> None:
    """Start this program again in an empty network namespace, and return in there only."""
    if _INSIDE not in os.environ:
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    for link in _LINKS:
        subprocess.run(["ip", *link.split()], check=True)


def make_key(folder: Path) -> Path:
    """A new key; the public half stands beside with the suffix `.pub`."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    return key


@contextmanager
def hsadc(folder: Path, key: Path, name: str, port: int, dataplane: str = "none") -> Iterator[Device]:
    """An hsadc daemon with an administrator who has the key."""
    folder.mkdir()
    public = key.with_suffix(".pub").read_text().strip()
    startup = folder / "startup.cfg"
    startup.write_text(f'admin user "{USER}"\n  ssh-key "{public}"\nexit\n')
    command = [sys.executable, "-m", "hsadc", "daemon", "--state-dir", str(folder), "--startup-config", str(startup)]
    with _running([*command, "--ssh", f"127.0.0.1:{port}", "--dataplane", dataplane], folder / "log"):
        _wait(lambda: "ready" in (folder / "log").read_text(), folder / "log")
        yield Device(name, port, key)


def frr_is_here() -> bool:
    """Whether FRR and OpenSSH's server are installed."""
    return (FRR / "zebra").exists() and shutil.which("sshd", path="/usr/sbin") is not None


@contextmanager
def frr(folder: Path, key: Path, name: str, port: int, daemons: Sequence[str]) -> Iterator[Device]:
    """Daemons of FRR, with vtysh as what a login runs; without `zebra` they keep what they are told, and nothing else happens."""
    folder.mkdir()
    shutil.chown(folder, "frr", "frr")
    vtysh = f"/usr/bin/vtysh --vty_socket {folder}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host")], check=True)
    (folder / "sshd.conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {key}.pub\nPermitRootLogin prohibit-password\nMaxStartups 200\nForceCommand {vtysh}\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    common = ["--vty_socket", str(folder), "-z", f"{folder}/zserv", "-f", "/dev/null", "-P", "0", "-i"]
    with ExitStack() as stack:
        for daemon in daemons:
            command = [str(FRR / daemon), *common, f"{folder}/{daemon}.pid", *(["-p", "0"] if daemon == "bgpd" else [])]
            stack.enter_context(_running(command, folder / f"{daemon}.log"))
            _wait((folder / f"{daemon}.vty").exists, folder / f"{daemon}.log")
        stack.enter_context(_running(["/usr/sbin/sshd", "-D", "-f", f"{folder}/sshd.conf"], folder / "sshd.log"))
        device = Device(name, port, key)
        _wait(lambda: "frr" in _said(device, "show version"), folder / "sshd.log")
        yield device


def _said(device: Device, line: str) -> str:
    try:
        return device.ssh(lines=f"{line}\n").lower()
    except subprocess.CalledProcessError:
        return ""


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _wait(condition: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"it does not start: {log.read_text()}")
        time.sleep(0.05)
