"""Loads for proxies, all made by wrk: requests on connections that stay, a connection for each request, and large files."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxies.network import Network
from proxies.process import running

SMALL, LARGE = "/1k", "/20m"
SIZES = {SMALL: 1024, LARGE: 20 << 20}
_LONG_S = 3600
_BYTES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


@dataclass(frozen=True)
class Load:
    """What clients do.

    Attributes:
        name: for the table.
        path: of the file that they ask for.
        connections: at once.
        close: True makes a new connection for each request.
    """

    name: str
    path: str
    connections: int
    close: bool = False


KEEP = Load("keep-alive, 16 connections", SMALL, 16)
KEEP_50 = Load("keep-alive, 50 connections", SMALL, 50)
CLOSE = Load("a connection for each request", SMALL, 20, close=True)
BULK = Load("20 MB", LARGE, 4)


@dataclass(frozen=True)
class Answered:
    """What wrk has seen.

    Attributes:
        requests: answered completely.
        megabytes: received, those of unfinished answers, too.
        seconds: that it took.
        p99_ms: latency that 99 % of them did not exceed.
        errors: connections that failed and answers that were no success.
    """

    requests: int
    megabytes: float
    seconds: float
    p99_ms: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def offer(network: Network, load: Load, url: str, seconds: int) -> Answered:
    """Load a proxy for some seconds; its URL is without a path, such as `https://10.1.0.2:443`."""
    done = subprocess.run(_command(network, load, url, seconds), capture_output=True, text=True, check=True)
    return parse(done.stdout)


@contextmanager
def offered(network: Network, load: Load, url: str, log: Path) -> Iterator[list[Answered]]:
    """Load a proxy until the context ends; then the list holds what has come of it. wrk writes to `log`, a new file."""
    found: list[Answered] = []
    with running(_command(network, load, url, _LONG_S), log, signal.SIGINT):
        yield found
    found.append(parse(log.read_text()))


def _command(network: Network, load: Load, url: str, seconds: int) -> list[str]:
    words = ["wrk", "--latency", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "10s"]
    words += ["-H", "Connection: close"] if load.close else []
    return network.command("client", *words, url + load.path)


def parse(text: str) -> Answered:
    """What wrk prints."""
    requests = re.search(r"(\d+) requests in ([\d.]+)(\w+), ([\d.]+)(\w+) read", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text)
    if requests is None or p99 is None:
        raise ValueError(f"wrk says {text!r}")
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = sum(map(int, broken.groups())) if broken else 0
    return Answered(
        int(requests[1]),
        float(requests[4]) * _BYTES[requests[5]] / 1e6,
        float(requests[2]) * _UNITS[requests[3]] / 1e3,
        float(p99[1]) * _UNITS[p99[2]],
        errors + (int(wrong[1]) if wrong else 0),
    )
