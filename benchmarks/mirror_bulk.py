"""Bulk TCP through a device: without a mirror, with one of other traffic, with one, and with one that treats packets one by one.

    python benchmarks/mirror_bulk.py [--seconds 2] [--rounds 5]         needs root

Large segments stay whole on the direct way to the tunnel. With sequence numbers the kernel cuts them first, as the wire will
carry them. Rounds are interleaved; shown are the median and the best of them, and the CPU seconds of the whole machine for
each gigabyte, in which other work is counted, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from live import ways
from live.network import network
from live.production import own_cpu_s, production

COMPARED = (ways.OFF, ways.CLONE, ways.BPF_NO_MATCH, ways.BPF, ways.BPF_SEQUENCE)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="Bulk TCP through a mirrored device.")
    options.add_argument("--seconds", type=float, default=2, help="of each transfer")
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    speeds, costs, lost = defaultdict(list), defaultdict(list), dict.fromkeys((way.name for way in COMPARED), 0)
    print(f"load average {os.getloadavg()[0]:.1f}")
    with network() as net, production(net) as client:
        for _ in range(asked.rounds):
            for way in COMPARED:
                with way.enter(net) as running:
                    before = own_cpu_s()
                    speed = client.bulk_gbps(asked.seconds)
                    used = own_cpu_s() - before
                    counted = running.counted()
                    lost[way.name] += counted.dropped
                speeds[way.name].append(speed)
                costs[way.name].append(used / (speed * asked.seconds / 8))
    print(f"{'one TCP connection':32} {'Gb/s':>7} {'best':>7} {'ratio':>6} {'CPU s/GB':>9} {'least':>7} {'dropped':>8}")
    bare = statistics.median(speeds[ways.OFF.name])
    for name, found in speeds.items():
        median, cost = statistics.median(found), statistics.median(costs[name])
        print(
            f"{name:32} {median:7.2f} {max(found):7.2f} {median / bare:6.2f} {cost:9.2f} {min(costs[name]):7.2f} {lost[name]:8,}"
        )
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
