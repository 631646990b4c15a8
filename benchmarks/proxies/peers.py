"""Programs that show clear text of TLS: sslsplit, which can send it as packets, and mitmproxy, which cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxies.network import ANALYZER, FRONT, SERVER, Network
from proxies.process import Process, running
from proxies.server import HTTPS, Identity

MITMPROXY = "mitmproxy>=11,<13"


@contextmanager
def sslsplit(network: Network, folder: Path, identity: Identity, port: int, mirror: bool) -> Iterator[Process]:
    """TLS to TLS, kept open as both sides do (mode `ssl`); it mirrors as emulated packets by the device `mon`."""
    folder.mkdir(parents=True)
    program = shutil.which("sslsplit") or "sslsplit"
    # It shows the certificate that all show (-A), and forges none; nobody could not open the mirror's device.
    options = ["-A", str(identity.pem), "-c", str(identity.certificate), "-k", str(identity.key), "-u", "root"]
    options += ["-I", "mon", "-T", ANALYZER] if mirror else []
    words = [program, *options, "ssl", FRONT, str(port), SERVER, str(HTTPS)]
    with running(network.command("adc", *words), folder / "log") as process:
        process.wait(lambda: network.listens("adc", port))
        yield process


def install_mitmproxy(folder: Path) -> Path:
    """In a virtual environment of its own, for what it needs clashes with what others here need; returns its program."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check", MITMPROXY], check=True)
    return folder / "bin" / "mitmdump"


@contextmanager
def mitmproxy(network: Network, folder: Path, program: Path, identity: Identity, port: int) -> Iterator[Process]:
    """TLS offload; it keeps no flows and writes nothing."""
    folder.mkdir(parents=True)
    settings = {
        "confdir": str(folder),
        "listen_host": FRONT,
        "listen_port": str(port),
        "mode": f"reverse:http://{SERVER}:80",
        "certs": f"*={identity.pem}",
        "flow_detail": "0",
        "termlog_verbosity": "error",
        "stream_large_bodies": "1m",
    }
    words = [str(program), *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]
    with running(network.command("adc", *words), folder / "log") as process:
        process.wait(lambda: network.listens("adc", port))
        yield process
