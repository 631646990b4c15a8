"""hsadc, as its operators run it: a daemon with a configuration file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxies.network import ANALYZER, FRONT, SERVER, Network
from proxies.process import Process, running
from proxies.server import HTTP, HTTPS, Identity

_ROOT = Path(__file__).parents[2]
DEVICES = f"""\
interface ethernet0/0
  device "front"
exit
interface ethernet0/1
  device "mon"
exit
tunnel gre "analyzer"
  source interface ethernet0/1
  destination {ANALYZER}
  interface ethernet0/1
exit
interface tunnel1
  tunnel gre "analyzer"
exit
"""
_NOTHING = """\
access-list "nothing"
  deny ip any any
exit
mirror-profile "nothing"
  destination interface tunnel1
  access-list "nothing"
exit
"""
ALL, NOTHING = "interface tunnel1", 'profile "nothing"'
"""What a virtual server's traffic is mirrored to; for the second it is made ready for the mirror, and no packet is copied."""
_POOL = """\
slb real-server "s1"
  ip {server}
  port {port}
exit
slb server-pool "pool"
  real-server "s1"
exit
"""
_TLS = """\
pki trust-domain "web"
  certificate file {certificate}
  key file {key}
exit
ssl-profile "web"
  trust-domain "web"
exit
ssl-profile "to-servers"
exit
"""
_SERVER = """\
slb virtual-server "web" type {type} id 1
  server-pool "pool"
  auto-snat
  ip {front} port {port}
{more}exit
"""


def configuration(port: int, identity: Identity | None = None, tls_to_server: bool = False, mirror: str = "") -> str:
    """The file: one virtual server, of type https when there is a certificate, mirrored to ALL, NOTHING or not at all."""
    more = '  ssl-profile "web"\n' if identity else ""
    more += '  server-ssl-profile "to-servers"\n' if tls_to_server else ""
    more += f"  mirror-traffic {mirror}\n" if mirror else ""
    parts = [DEVICES, _NOTHING, _POOL.format(server=SERVER, port=HTTPS if tls_to_server else HTTP)]
    if identity is not None:
        parts.append(_TLS.format(certificate=identity.certificate, key=identity.key))
    parts.append(_SERVER.format(type="https" if identity else "http", front=FRONT, port=port, more=more))
    return "".join(parts)


def check(file: Path) -> None:
    """Parse and validate a file offline.

    Raises:
        RuntimeError: it has a mistake.
    """
    done = subprocess.run(
        [sys.executable, "-m", "hsadc", "check", str(file)], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


@contextmanager
def daemon(network: Network, folder: Path) -> Iterator[Process]:
    """It runs in the adc's namespace with `startup.cfg` of its state directory, and has put it in force."""
    options = ["--state-dir", str(folder), "--startup-config", str(folder / "startup.cfg"), "--ssh", "off"]
    command = network.command("adc", "env", f"--chdir={_ROOT}", sys.executable, "-m", "hsadc", "daemon", *options)
    with running(command, folder / "daemon.log") as process:
        process.wait(lambda: " ready\n" in process.log.read_text())
        yield process


@contextmanager
def hsadc(network: Network, folder: Path, text: str, port: int) -> Iterator[Process]:
    """A daemon with this startup-config; it listens on `port`."""
    folder.mkdir(parents=True)
    (folder / "startup.cfg").write_text(text)
    with daemon(network, folder) as process:
        if not network.listens("adc", port):
            raise RuntimeError(f"the configuration is not in force: {process.log.read_text()}")
        yield process
