"""How much can be mirrored without a loss, and what happens above.

    python benchmarks/mirror_loss.py [--seconds 1]         needs root

First the highest of some rates at which every packet was copied (512 bytes, three attempts each), and then a flood as fast as
it can be sent: what became of its packets, those of the traffic itself and their copies. `unaccounted` is what was neither
copied nor counted as lost by hsadc; peers count nothing, and the losses of the slow cable are its queue's. Processes run
where the kernel puts them.

Then production traffic (TCP, mirrored in both directions, and a request with its answer of 200 bytes each) without a mirror,
with one, and with one whose destination is overloaded: a cable of 10 Mb/s, and a profile's rate limit. Ratios are to no
mirror.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from live import ovs, ways
from live.generator import Generator, generator
from live.network import Network, network
from live.production import Production, production

SIZE = 512
RATES = (1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000, 90_000, 120_000, 180_000, 240_000, 0)
"""Packets a second; 0 is as fast as they can be sent."""
ATTEMPTS = 3
FLOOD = 200_000
ROUNDS, BULK_S, TRIPS = 3, 1.0, 2_000
LIMIT_PPS = 5_000
DRAIN_S = 0.5


def highest(net: Network, way: ways.Way, sender: Generator, seconds: float) -> tuple[int, bool]:
    """Packets a second that were offered and copied without a loss, 0 when there is none; whether more cannot be sent."""
    found = 0
    with way.enter(net) as running:
        sender.send(SIZE, 100, 1_000)
        running.settle(net)
        for rate in RATES:
            for _ in range(ATTEMPTS):
                before = net.copies()
                sent = sender.send(SIZE, int((rate or FLOOD) * seconds), rate)
                if running.settle(net) - before >= sent.packets:
                    break
            else:
                return found, False
            found = max(found, round(sent.rate_pps))  # a busy machine sends slower than it is told
    return found, True


def above(net: Network, way: ways.Way, sender: Generator) -> None:
    """A row: a flood as fast as it can be."""
    with way.enter(net) as running:
        sender.send(SIZE, 100, 1_000)
        copies, received, counted, lost = running.settle(net), net.received(), running.counted(), seen_nothing_of(running)
        sent = sender.send(SIZE, FLOOD)
        copies, received = running.settle(net) - copies, net.received() - received
        now, lost = running.counted() - counted, seen_nothing_of(running) - lost
    unaccounted = f"{received - now.sent_packets - now.dropped - lost:13,}" if running.mirror else ""
    drops = f"{now.dropped + lost:13,}" if running.mirror else f"{'':13}"
    print(
        f"{way.name:32} {sent.rate_pps:10,.0f} {received / sent.packets:9.2%} {copies / received:9.2%} {drops} {unaccounted}",
        flush=True,
    )


def seen_nothing_of(running: ways.Running) -> int:
    """Packets that the portable path has counted as not seen."""
    lost: Mapping[str, int] = getattr(running.mirror, "capture_lost", dict)()
    return sum(lost.values())


@contextmanager
def slow_cable(net: Network) -> Iterator[ways.Running]:
    """A mirror whose cable to the analyzer takes 10 Mb/s."""
    net.run("adc", "tc", "qdisc", "add", "dev", "back", "root", "tbf", "rate", "10mbit", "burst", "32kb", "limit", "64kb")
    try:
        with ways.hsadc(net) as running:
            yield running
    finally:
        net.run("adc", "tc", "qdisc", "del", "dev", "back", "root")


def above_cable(net: Network, sender: Generator) -> None:
    """A flood whose copies the cable cannot take: all that was sent has passed the cable, or its queue has dropped it."""
    with slow_cable(net):
        copies, received = net.copies(), net.received()
        sent = sender.send(SIZE, FLOOD)
        time.sleep(DRAIN_S)
        copies, received = net.copies() - copies, net.received() - received
        (queue,) = json.loads(net.run("adc", "tc", "-s", "-j", "qdisc", "show", "dev", "back"))
    row = f"{sent.rate_pps:10,.0f} {received / sent.packets:9.2%} {copies / received:9.2%} {queue['drops']:13,}"
    print(f"{'hsadc, cable of 10 Mb/s':32} {row} {received - copies - queue['drops']:13,}", flush=True)


@contextmanager
def limited(net: Network) -> Iterator[ways.Running]:
    """A mirror that copies a few packets a second."""
    with ways.hsadc(net, rate_pps=LIMIT_PPS) as running:
        yield running
        counted = running.counted()
        sum_up = f"{counted.sent_packets:,} sent + {counted.dropped:,} dropped - {counted.extra:,} extra"
        print(f"{'':4}{counted.copies:,} copies = {sum_up}; unaccounted: {counted.unaccounted}")


PRODUCTION = (
    ways.OFF,
    ways.Way("hsadc, GRE", ways.hsadc),
    ways.Way("hsadc, cable of 10 Mb/s", slow_cable),
    ways.Way(f"hsadc, limit of {LIMIT_PPS:,} packets/s", limited),
)


def disturbance(net: Network, client: Production) -> None:
    """The table of production traffic; the states in turn, so that a busy moment hits all alike."""
    speeds: dict[str, list[float]] = {way.name: [] for way in PRODUCTION}
    trips: dict[str, list[float]] = {way.name: [] for way in PRODUCTION}
    for _ in range(ROUNDS):
        for way in PRODUCTION:
            with way.enter(net):
                speeds[way.name].append(client.bulk_gbps(BULK_S))
                trips[way.name] += client.round_trips_s(TRIPS)
    print(f"\n{'production traffic, mirror':34} {'Gb/s':>7} {'ratio':>6} {'answer p50 us':>14} {'p99':>7} {'ratio':>6}")
    bare = statistics.median(speeds[ways.OFF.name]), statistics.median(trips[ways.OFF.name])
    for name, taken in trips.items():
        speed, median, late = statistics.median(speeds[name]), statistics.median(taken), statistics.quantiles(taken, n=100)[98]
        print(f"{name:34} {speed:7.2f} {speed / bare[0]:6.2f} {median * 1e6:14.1f} {late * 1e6:7.0f} {median / bare[1]:6.2f}")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="How much can be mirrored without a loss.")
    options.add_argument("--seconds", type=float, default=1, help="of each rate")
    seconds = options.parse_args().seconds
    compared = [ways.BPF, ways.PORTABLE, *([ways.OVS] if ovs.is_here() else []), ways.PLAIN]
    print(f"load average {os.getloadavg()[0]:.1f}; {SIZE} bytes")
    with network() as net, generator(net) as sender, production(net) as client:
        print(f"{'without a loss':32} {'packets/s':>10} {'x others':>9}")
        rates = {way.name: highest(net, way, sender, seconds) for way in compared}
        for name, (rate, is_all) in rates.items():
            ratios = ", ".join(f"{rate / r:.1f} x {n}" for n, (r, _) in rates.items() if r and n != name)
            print(f"{name:32} {rate:10,}  {ratios}{'; no more can be sent here' if is_all else ''}")
        heads = f"{'received':>9} {'copied':>9} {'counted lost':>13} {'unaccounted':>13}"
        print(f"\n{FLOOD:,} packets at once{'':9} {'packets/s':>11} {heads}")
        for way in (ways.OFF, *compared):
            above(net, way, sender)
        above_cable(net, sender)
        disturbance(net, client)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
