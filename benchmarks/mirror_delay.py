"""How long after a packet its copy is on the analyzer's cable: from the kernel's time stamp of the one to that of the other.

    python benchmarks/mirror_delay.py [--seconds 4]         needs root

The analyzer's device and the front device are read by a process that pairs packets by the number in them; under load it notes
one packet in 32. Without load: 1,000 packets a second, one by one; under load: 25,000 a second, in groups of twelve.
Processes run where the kernel puts them. Copies that never come are lost, and have no time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from live import ovs, ways
from live.generator import Generator, generator
from live.network import network
from live.recorder import Recorder, recorder

SIZE = 512
LOADS = (("idle", 1_000, 1), ("under load", 25_000, 32))


def show(name: str, load: str, delays: list[float], lost: int) -> None:
    """A row."""
    if len(delays) < 2:
        print(f"{name:32} {load:11} {'no copies':>10}", flush=True)
        return
    cells = (statistics.median(delays), statistics.quantiles(delays, n=100)[98], max(delays))
    print(f"{name:32} {load:11}" + "".join(f"{cell * 1e6:11,.0f}" for cell in cells) + f"{len(delays):9,} {lost:7,}", flush=True)


def measure(way: ways.Way, sender: Generator, notes: Recorder, seconds: float) -> None:
    """Both loads under a way that is at work."""
    sender.send(SIZE, 100, 1_000)  # what is done once is done
    for load, rate, one_in in LOADS:
        notes.start(way.number_at, one_in)
        sender.send(SIZE, int(rate * seconds), rate)
        show(way.name, load, *notes.delays_s())


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="How long after a packet its copy leaves.")
    options.add_argument("--seconds", type=float, default=4)
    seconds = options.parse_args().seconds
    compared = [ways.CLONE, ways.BPF, ways.BPF_SEQUENCE, ways.PORTABLE, *([ways.OVS] if ovs.is_here() else []), ways.PLAIN]
    print(f"load average {os.getloadavg()[0]:.1f}; {SIZE} bytes; microseconds from packet to copy")
    print(f"{'':44}" + "".join(f"{head:>11}" for head in ("median", "p99", "worst")) + f"{'noted':>9} {'lost':>7}")
    with network() as net, generator(net) as sender, recorder(net) as notes:
        for way in compared:
            with way.enter(net):
                measure(way, sender, notes, seconds)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
