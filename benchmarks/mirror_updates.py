"""Changes of the mirror at full speed while it copies: none may cost a copy.

    python benchmarks/mirror_updates.py [--updates 150000] [--rate 60000]         needs root

Four kinds of change, each so many times: a profile, a tunnel, a rule and the access list of a profile are replaced by another
one and back. Values are written as their drivers write them, straight into the maps, because a driver's questions to the
kernel would leave long pauses; then each driver's own `change` for two seconds. Shown for each kind: changes a second,
packets that were received meanwhile, and how many of them have no copy, which must be 0.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from live import ways
from live.generator import Generator, generator
from live.network import Network, network

from hsadc.dataplane.bpf.syscall import Map
from hsadc.intent.mirror import AccessListIntent, AccessRule

SIZE = 200
DRIVER_S = 2.0
LISTS = tuple(
    AccessListIntent(n, (AccessRule(True, 17, IPv4Network(f"10.{n - 1}.0.0/16")), AccessRule(True, 17))) for n in (1, 2)
)


@dataclass(frozen=True)
class Kind:
    """What is changed.

    Attributes:
        name: for the table.
        change: between two versions, 0 and 1, by the driver.
        map: where its record is.
    """

    name: str
    change: Callable[[Any, int], None]
    map: str


def change_profile(mirror: Any, to: int) -> None:
    """Another direction; both take the flood."""
    versions = [replace(ways.PROFILE, access_list=1), replace(ways.PROFILE, access_list=1, direction="forward")]
    mirror.profiles.change(versions[not to], versions[to])


def change_list(mirror: Any, to: int) -> None:
    """Another access list."""
    versions = [replace(ways.PROFILE, access_list=number) for number in (1, 2)]
    mirror.profiles.change(versions[not to], versions[to])


def change_tunnel(mirror: Any, to: int) -> None:
    """Another key."""
    versions = [replace(ways.TUNNEL, encapsulation=replace(ways.GRE, key=key)) for key in (None, 5)]
    mirror.tunnels.change(versions[not to], versions[to])


def change_rule(mirror: Any, to: int) -> None:
    """Another virtual server's number."""
    versions = [ways.RULES[0], replace(ways.RULES[0], id=9)]
    mirror.rules.change(versions[not to], versions[to])


KINDS = (
    Kind("profile", change_profile, "profiles"),
    Kind("tunnel", change_tunnel, "tunnels"),
    Kind("rule", change_rule, "rules"),
    Kind("access list", change_list, "profiles"),
)


def records(mirror: Any, kind: Kind) -> tuple[Map, bytes, list[bytes]]:
    """The map, the key and both values that the driver writes."""
    table, values = mirror._objects.maps[kind.map], []
    before = dict(table.items())
    for to in (1, 0):
        kind.change(mirror, to)
        values.append(dict(table.items()))
    (key,) = (key for key in before if values[0][key] != values[1][key])
    return table, key, [values[0][key], values[1][key]]


@contextmanager
def flooded(sender: Generator, rate: int) -> Iterator[Callable[[], None]]:
    """Packets all the time; what it gives is to be called often, and says when the flood has to go on."""
    chunk = rate // 4
    sender.start(SIZE, chunk, rate)

    def go_on() -> None:
        if sender.is_done():
            sender.wait()
            sender.start(SIZE, chunk, rate)

    yield go_on
    sender.wait()


def measure(net: Network, sender: Generator, rate: int, work: Callable[[Callable[[], None]], int]) -> str:
    """Cells of a row, of what `work` does while packets flow; it returns how many changes."""
    received, copies, begin = net.received(), net.copies(), time.monotonic()
    with flooded(sender, rate) as go_on:
        done = work(go_on)
        seconds = time.monotonic() - begin
    received, copies = net.received() - received, net.copies() - copies
    return (
        f"{done:10,} {done / seconds:10,.0f} {received:10,} {received / (time.monotonic() - begin):10,.0f} {received - copies:8,}"
    )


def by_map(mirror: Any, kind: Kind, updates: int) -> Callable[[Callable[[], None]], int]:
    """Writes the record so many times."""
    table, key, values = records(mirror, kind)

    def work(go_on: Callable[[], None]) -> int:
        for n in range(updates):
            table.set(key, values[n & 1])
            if not n & 127:
                go_on()
        return updates

    return work


def by_driver(mirror: Any, kind: Kind) -> Callable[[Callable[[], None]], int]:
    """Has the driver change it for some seconds."""

    def work(go_on: Callable[[], None]) -> int:
        done, end = 0, time.monotonic() + DRIVER_S
        while time.monotonic() < end:
            kind.change(mirror, (done + 1) & 1)
            done += 1
            go_on()
        return done

    return work


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="Changes of the mirror at full speed while it copies.")
    options.add_argument("--updates", type=int, default=150_000, help="of each kind")
    options.add_argument("--rate", type=int, default=60_000, help="packets a second")
    asked = options.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}; {SIZE} bytes")
    print(f"{'changed':26} {'times':>10} {'a second':>10} {'packets':>10} {'a second':>10} {'no copy':>8}")
    with network() as net, generator(net) as sender, ways.hsadc(net, lists=LISTS, access_list=1) as running:
        for kind in KINDS:
            print(
                f"{kind.name + ', in the map':26} "
                + measure(net, sender, asked.rate, by_map(running.mirror, kind, asked.updates)),
                flush=True,
            )
        for kind in KINDS:
            print(
                f"{kind.name + ', by its driver':26} " + measure(net, sender, asked.rate, by_driver(running.mirror, kind)),
                flush=True,
            )
        print(f"unaccounted: {running.counted().unaccounted}")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
