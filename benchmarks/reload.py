"""What reloads and changes cost clients and the analyzer: requests that fail, and copies that are missing.

    python benchmarks/reload.py [--reloads 50] [--changes 20] [--interval 1]         needs root

Clients hold 50 connections and send one request after the other. Meanwhile the proxy is given a configuration that makes it
reload, so many times, at least `interval` seconds apart, and hsadc so many weights of a real server after each of them, which
it changes without a reload. Beside it HAProxy, whose master starts a worker that takes over the listeners (as `-sf` does), and
nginx, both configured by hand.

Failed are requests without an answer, connections that break, and answers that are no success: each is what a user would see.
Copies are those that the analyzer has received; they are compared with the TCP packets that passed the device that is mirrored,
which for the decrypted mirror is the hop. Both counts are nftables' own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from proxies import adc, haproxy
from proxies.interrupt import stoppable
from proxies.load import KEEP_50, offered
from proxies.network import FRONT, SERVER, Network, network
from proxies.process import running
from proxies.server import HTTP, Identity, make_identity, real_server

from hsadc.cli.remote import CONTROL_SOCKET, RemoteShell
from hsadc.intent.hop import DEVICE

HTTP_PORT, TLS_PORT = 8087, 443
_NGINX = """
daemon off; worker_processes 2; pid nginx.pid; error_log error.log; user nobody nogroup;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  upstream pool {{ server {server}:{http}; keepalive 64; }}
  server {{
    listen {front}:{port}; location / {{ proxy_pass http://pool; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@dataclass(frozen=True)
class Subject:
    """A proxy that runs.

    Attributes:
        url: without a path.
        reload: makes it reload, the n-th time.
        change: changes a weight without a reload, the n-th time; None when that is not measured.
        mirrored: the device whose packets are copied; None when there is no mirror.
    """

    url: str
    reload: Callable[[int], object]
    change: Callable[[int], object] | None = None
    mirrored: str | None = None


@contextmanager
def hsadc(net: Network, folder: Path, identity: Identity | None) -> Iterator[Subject]:
    """Mirrored; each line is a transaction, as it is typed."""
    port, scheme = (TLS_PORT, "https") if identity else (HTTP_PORT, "http")
    with (
        adc.hsadc(net, folder, adc.configuration(port, identity, mirror=adc.ALL), port),
        RemoteShell(folder / CONTROL_SOCKET) as shell,
    ):

        def enter(line: str) -> None:
            reply = shell.run(line)
            if not reply.ok:
                raise RuntimeError(f"{line}: {reply.lines}")

        enter("configure")
        enter('slb server-pool "pool"')
        ways = ("least-connection", "round-robin")
        yield Subject(
            f"{scheme}://{FRONT}:{port}",
            lambda n: enter(f"load-balance {ways[n % 2]}"),
            lambda n: enter(f'real-server "s1" weight {n % 100 + 1}'),
            DEVICE if identity else "front",
        )


@contextmanager
def by_hand(net: Network, folder: Path) -> Iterator[Subject]:
    """HAProxy; its file is the same each time, which it does not know."""
    with haproxy.haproxy(net, folder, haproxy.text(HTTP_PORT), HTTP_PORT):
        yield Subject(f"http://{FRONT}:{HTTP_PORT}", lambda _: haproxy.reload(folder))


@contextmanager
def nginx(net: Network, folder: Path) -> Iterator[Subject]:
    """It reloads by a signal."""
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(front=FRONT, port=HTTP_PORT, server=SERVER, http=HTTP))
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
    with running(net.command("adc", program, "-p", str(folder), "-c", str(file)), folder / "log") as process:
        process.wait(lambda: net.listens("adc", HTTP_PORT))
        yield Subject(f"http://{FRONT}:{HTTP_PORT}", lambda _: process.send(signal.SIGHUP))


@dataclass(frozen=True)
class Plan:
    """How often.

    Attributes:
        reloads: so many.
        changes: so many after each.
        interval_s: from the beginning of a reload to that of the next one at least.
    """

    reloads: int
    changes: int
    interval_s: float

    def carry_out(self, subject: Subject) -> float:
        """All of it; returns the seconds that it took."""
        begun = time.monotonic()
        for n in range(self.reloads):
            subject.reload(n)
            for m in range(self.changes if subject.change else 0):
                assert subject.change is not None
                subject.change(n * self.changes + m)
            time.sleep(max(begun + (n + 1) * self.interval_s - time.monotonic(), 0))
        return time.monotonic() - begun


def measure(name: str, net: Network, subject: Subject, plan: Plan, folder: Path) -> None:
    """A row."""
    packets = copies = 0
    with net.watched(subject.mirrored or "front") as passed:
        before = net.copies()
        with offered(net, KEEP_50, subject.url, folder / "wrk") as found:
            time.sleep(1)
            seconds = plan.carry_out(subject)
        if subject.mirrored:
            time.sleep(1)  # connections end
            packets, copies = passed(), net.copies() - before
    (answered,) = found
    changes = plan.reloads * plan.changes if subject.change else 0
    cells = f"{plan.reloads:8} {changes:8,} {seconds:8.0f} {answered.requests:10,} {answered.errors:7} {answered.p99_ms:8.1f}"
    print(f"{name:32} {cells}" + (f" {packets:10,} {packets - copies:7,}" if subject.mirrored else ""), flush=True)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="What reloads and changes cost clients and the analyzer.")
    options.add_argument("--reloads", type=int, default=50)
    options.add_argument("--changes", type=int, default=20, help="after each reload")
    options.add_argument("--interval", type=float, default=1, help="seconds from one reload to the next, at least")
    asked = options.parse_args()
    plan = Plan(asked.reloads, asked.changes, asked.interval)
    with stoppable(), tempfile.TemporaryDirectory(prefix="hsadc-reload-") as name, network() as net:
        folder = Path(name)
        folder.chmod(0o755)
        identity = make_identity(folder)
        print(f"load average {os.getloadavg()[0]:.1f}")
        heads = (("reloads", 8), ("changes", 8), ("seconds", 8), ("requests", 10), ("failed", 7), ("p99 ms", 8), ("packets", 10))
        print(f"{'':32} " + " ".join(f"{head:>{width}}" for head, width in (*heads, ("no copy", 7))))
        with real_server(net, identity, folder):
            subjects: Sequence[tuple[str, Callable[[Path], AbstractContextManager[Subject]]]] = (
                ("hsadc: HTTP, mirrored", partial(hsadc, net, identity=None)),
                ("hsadc: TLS, decrypted mirror", partial(hsadc, net, identity=identity)),
                ("HAProxy by hand: HTTP", partial(by_hand, net)),
                ("nginx: HTTP", partial(nginx, net)),
            )
            for number, (row, enter) in enumerate(subjects):
                at = folder / str(number)
                with enter(at) as subject:
                    measure(row, net, subject, plan, at)


if __name__ == "__main__":
    main()
