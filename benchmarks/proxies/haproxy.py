"""HAProxy without hsadc: the same program, configured by hand as its manual teaches."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from proxies.network import BACK, FRONT, SERVER, Network
from proxies.process import Process, running
from proxies.server import HTTP, HTTPS

from hsadc.dataplane.haproxy_binary import find_binary
from hsadc.dataplane.haproxy_socket import ask

MASTER_SOCKET = "master.sock"
GLOBAL = f"""\
global
  log stdout len 8192 format raw local0
  stats socket unix@stats.sock mode 600 level admin expose-fd listeners
  maxconn 4000
  nbthread {len(os.sched_getaffinity(0))}
  hard-stop-after 10m
  tune.bufsize 65536
  uid 65534
  gid 65534

defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 15s
  timeout tunnel 1h
"""
_PLAIN = """
frontend web
  mode http
  bind {front}:{port}{tls}
  default_backend pool
backend pool
  mode http
  source {back}
  server s1 {server}:{server_port}{server_tls}
"""


def text(port: int, pem: Path | None = None, tls_to_server: bool = False) -> str:
    """One frontend, one backend; with a certificate it is TLS offload, and with TLS to the server a proxy of both sides."""
    places = {"front": FRONT, "back": BACK, "server": SERVER, "port": port}
    server = (
        {"server_port": HTTPS, "server_tls": " ssl verify none"} if tls_to_server else {"server_port": HTTP, "server_tls": ""}
    )
    return GLOBAL + _PLAIN.format(**places, **server, tls=f" ssl crt {pem} alpn http/1.1" if pem else "")


@contextmanager
def haproxy(network: Network, folder: Path, configuration: str, port: int) -> Iterator[Process]:
    """It runs in the adc's namespace with this configuration, and listens on `port`."""
    folder.mkdir(parents=True)
    (folder / "haproxy.cfg").write_text(configuration)
    program = str(find_binary().path)
    command = network.command("adc", program, "-W", "-db", "-S", f"unix@{MASTER_SOCKET}", "-C", str(folder), "-f", "haproxy.cfg")
    with running(command, folder / "log") as process:
        process.wait(lambda: network.listens("adc", port))
        yield process


def reload(folder: Path) -> None:
    """Have the master of the HAProxy in this directory start a new worker, and wait until it serves.

    Raises:
        RuntimeError: it does not.
    """
    answer, end = "", time.monotonic() + 30
    while not answer.startswith("Success=1"):
        if time.monotonic() > end:
            raise RuntimeError(f"HAProxy does not reload: {answer}")
        with suppress(ConnectionRefusedError):  # the master has just started a worker and is starting itself again
            answer = ask(folder / MASTER_SOCKET, "reload")
