"""Load balancing with a mirror, beside HAProxy alone and beside what else shows the clear text of TLS.

    python benchmarks/balance.py [--rounds 2] [--seconds 2] [--rows TEXT]         needs root

Every row is a proxy between wrk and nginx, each in a network namespace of its own; all of them show the same certificate
(EC P-256). Loads: a file of 1 KB on 16 connections that stay, the same with a connection (for TLS: a full handshake) for each
request, and files of 20 MB. Rounds are interleaved; shown are medians of requests a second (megabytes a second), of the
latency that 99 % of requests did not exceed, and of the CPU microseconds of all of the proxy's processes for a request (for a
megabyte), the daemon's included. Client and server run on the same CPUs, so rates tell less than CPU time. That includes what
the kernel does with a packet in the context of the process that sends it, up to the end of the cable: here even the analyzer's
receiving and dropping of the copies. What comes from a client or a server is received in their context and not counted.

`copies` are packets that the analyzer got for each request. "Across the hop" is the virtual server as it is when it is mirrored,
with an access list that permits no copy: the hop's own cost. sslsplit cannot speak TLS with clients alone, so there is a row of
hsadc that speaks TLS with the server, too; mitmproxy shows requests, no packets, and is measured in the first round alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from proxies import rows
from proxies.interrupt import stoppable
from proxies.load import BULK, CLOSE, KEEP, Load, offer
from proxies.network import network
from proxies.peers import install_mitmproxy
from proxies.rows import Place, Row
from proxies.server import make_identity, real_server

LOADS = (KEEP, CLOSE, BULK)


@dataclass(frozen=True)
class Measured:
    """One load of one row: `rate` a second and `cpu_us` each, of requests, of megabytes where files are large."""

    rate: float
    p99_ms: float
    cpu_us: float
    copies: float
    errors: int


Found = dict[tuple[Row, Load], list[Measured]]


def measure(place: Place, row: Row, folder: Path, seconds: int) -> Iterable[tuple[Load, Measured]]:
    """All loads, one after the other, on a proxy that is started for them."""
    with row.enter(place, folder) as process:
        offer(place.network, KEEP, row.url, 1)  # what is done once is done
        for load in LOADS:
            used, copies = process.cpu_s(), place.network.copies()
            answered = offer(place.network, load, row.url, seconds)
            used, copies = process.cpu_s() - used, place.network.copies() - copies
            done = answered.megabytes if load is BULK else answered.requests
            yield load, Measured(done / answered.seconds, answered.p99_ms, used / done * 1e6, copies / done, answered.errors)


def show(found: Found, compared: Sequence[Row]) -> None:
    """A table for each load."""
    for load in LOADS:
        what = "MB" if load is BULK else "request"
        heads = ("MB/s" if load is BULK else "requests/s", "p99 ms", f"CPU us/{what}", f"copies/{what}", "errors")
        print(f"\n{load.name:42} " + " ".join(f"{head:>{width}}" for head, width in zip(heads, (10, 8, 14, 14, 7), strict=True)))
        for row in compared:
            many = found[row, load]
            rate, p99, cpu, copies = (median(many, name) for name in ("rate", "p99_ms", "cpu_us", "copies"))
            print(f"{row.name:42} {rate:10,.0f} {p99:8.1f} {cpu:14.1f} {copies:14.2f} {sum(m.errors for m in many):7}")


def median(many: Sequence[Measured], name: str) -> float:
    """Of one of the figures."""
    return float(statistics.median(getattr(one, name) for one in many))


def ratio(found: Found, name: str, load: Load, a: Row, b: Row) -> str:
    """How many times the figure of row b is that of row a."""
    if not (found.get((a, load)) and found.get((b, load))):
        return "not measured"
    return f"{median(found[a, load], name) / median(found[b, load], name):.2f}"


def conclude(found: Found) -> None:
    """What is to be known of it, as ratios with what they should be."""
    lines = (
        ("requests/s, mirrored HTTP to HAProxy by hand", ">= 0.9", "rate", KEEP, rows.PLAIN_MIRROR, rows.BARE),
        ("CPU/request, decrypted mirror to one leg, keep-alive", "<= 1.6", "cpu_us", KEEP, rows.HOP_MIRROR, rows.BARE_TLS),
        ("CPU/request, the same, a connection each", "<= 1.6", "cpu_us", CLOSE, rows.HOP_MIRROR, rows.BARE_TLS),
        ("CPU/MB, the same", "<= 1.6", "cpu_us", BULK, rows.HOP_MIRROR, rows.BARE_TLS),
        (
            "CPU/request, decrypted mirror to sslsplit -I, keep-alive",
            "< 1",
            "cpu_us",
            KEEP,
            rows.HOP_MIRROR,
            rows.SSLSPLIT_MIRROR,
        ),
        ("CPU/request, the same, a connection each", "< 1", "cpu_us", CLOSE, rows.HOP_MIRROR, rows.SSLSPLIT_MIRROR),
        ("CPU/MB, the same", "< 1", "cpu_us", BULK, rows.HOP_MIRROR, rows.SSLSPLIT_MIRROR),
        ("CPU/request, with TLS to the server, keep-alive", "< 1", "cpu_us", KEEP, rows.BOTH_MIRROR, rows.SSLSPLIT_MIRROR),
        ("connections/s, decrypted mirror to sslsplit -I", ">= 1.5", "rate", CLOSE, rows.HOP_MIRROR, rows.SSLSPLIT_MIRROR),
        ("connections/s, with TLS to the server", ">= 1.5", "rate", CLOSE, rows.BOTH_MIRROR, rows.SSLSPLIT_MIRROR),
    )
    print(f"\n{'ratio':58} {'is':>12} {'should be':>10}")
    for what, target, name, load, a, b in lines:
        print(f"{what:58} {ratio(found, name, load, a, b):>12} {target:>10}")


def here(folder: Path, wanted: str) -> tuple[list[Row], Path | None]:
    """The rows that can be measured on this machine, and mitmproxy's program."""
    compared = [row for row in rows.ALL if wanted in row.name]
    if shutil.which("sslsplit") is None:
        print("sslsplit is not installed (Debian package sslsplit)")
        compared = [row for row in compared if row not in (rows.SSLSPLIT, rows.SSLSPLIT_MIRROR)]
    return compared, install_mitmproxy(folder / "mitmproxy") if rows.MITMPROXY in compared else None


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="Load balancing with a mirror, beside others.")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--seconds", type=int, default=2, help="of each load")
    options.add_argument("--rows", default="", help="only those with this text in their names")
    asked = options.parse_args()
    found: Found = defaultdict(list)
    with stoppable(), tempfile.TemporaryDirectory(prefix="hsadc-balance-") as name, network() as net:
        folder = Path(name)
        folder.chmod(0o755)  # workers are another user
        compared, mitmproxy = here(folder, asked.rows)
        print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
        place = Place(net, make_identity(folder), mitmproxy)
        with real_server(net, place.identity, folder):
            for number in range(asked.rounds):
                for at, row in enumerate(compared):
                    if number < row.rounds:
                        for load, measured in measure(place, row, folder / f"{number}-{at}", asked.seconds):
                            found[row, load].append(measured)
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
    show(found, compared)
    conclude(found)


if __name__ == "__main__":
    main()
