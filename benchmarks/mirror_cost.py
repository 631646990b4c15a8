"""What a mirrored packet costs: CPU time beyond that of a packet which is received and dropped, all on one CPU.

    python benchmarks/mirror_cost.py [--rounds 3] [--packets 60000]         needs root

The flood passes a device that drops it (see live/network.py) under every way of mirroring in turn, several rounds of it, so
that a busy moment of the machine hits all alike. Counted are the CPU seconds of the sending process, in which the kernel does
its work on the packets, of the kernel's own thread for it, and of the process that copies, where there is one. Taken off is
what the same number of packets at the same rate costs without a mirror in the same round. Shown: the least and the median of
the rounds, in nanoseconds a packet, the median's ratio to cloning (what a mirror in the kernel must do at least), and how
many copies arrived. Ways in user space are measured at a rate they can follow; a slower rate makes a packet dearer, for less
is done at once.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from live import ovs, ways
from live.generator import Generator, generator
from live.network import Network, network

SIZES = (64, 512, 1400)


def kernel_thread(cpu: int) -> int:
    """Process id of the thread in which the kernel does the network's work when there is too much of it."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        if path.read_text().strip() == f"ksoftirqd/{cpu}":
            return int(path.parent.name)
    raise RuntimeError("there is no ksoftirqd")


class Meter:
    """Measures floods on one CPU."""

    def __init__(self, net: Network, sender: Generator, cpu: int, packets: int) -> None:
        self._net, self._sender, self._cpu, self._packets = net, sender, cpu, packets
        self._kernel = kernel_thread(cpu)

    def flood(self, running: ways.Running, size: int, pace_pps: int) -> tuple[float, float]:
        """CPU nanoseconds a packet, and which share of them was copied."""
        packets = min(self._packets, pace_pps) if pace_pps else self._packets
        before, copies = running.cpu_s() + ways.cpu_seconds(self._kernel), self._net.copies()
        sent = self._sender.send(size, packets, pace_pps, self._cpu)
        copies = running.settle(self._net) - copies
        used = sent.cpu_s + running.cpu_s() + ways.cpu_seconds(self._kernel) - before
        return used / packets * 1e9, copies / packets

    def pin(self, running: ways.Running) -> None:
        """The process that copies goes to the same CPU."""
        if isinstance(running.pid, int):
            for thread in Path(f"/proc/{running.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {self._cpu})


Found = dict[tuple[str, int], list[tuple[float, float]]]


def measure(meter: Meter, net: Network, compared: Sequence[ways.Way], rounds: int) -> Found:
    """All ways, round by round."""
    found: Found = defaultdict(list)
    for _ in range(rounds):
        bare: dict[tuple[int, int], float] = {}
        for size in SIZES:
            for pace in {way.pace_pps for way in compared}:
                bare[size, pace], _ = meter.flood(ways.Running(), size, pace)
                if not pace:
                    found[ways.OFF.name, size].append((bare[size, pace], 0))
        for way in compared:
            with way.enter(net) as running:
                meter.pin(running)
                meter.flood(running, SIZES[0], way.pace_pps and 200)  # what is done once is done
                for size in SIZES:
                    ns, share = meter.flood(running, size, way.pace_pps)
                    found[way.name, size].append((ns - bare[size, way.pace_pps], share))
    return found


def show(found: Found, compared: Sequence[ways.Way]) -> None:
    """A table for each size."""
    for size in SIZES:
        clone = statistics.median(ns for ns, _ in found[ways.CLONE.name, size])
        print(f"\n{size} bytes: CPU ns a packet{'':13} {'least':>9} {'median':>9} {'x clone':>8} {'copied':>8}")
        for way in (ways.OFF, *compared):
            times = [ns for ns, _ in found[way.name, size]]
            median, ratio = statistics.median(times), ""
            if way is not ways.OFF:
                ratio = f"{median / clone:8.2f} {statistics.median(s for _, s in found[way.name, size]):8.1%}"
            print(f"{way.name:38} {min(times):9.0f} {median:9.0f} {ratio}")
        ours = statistics.median(ns for ns, _ in found[ways.BPF.name, size])
        others = (way for way in compared if not way.name.startswith("hsadc"))
        ratios = [f"{ours / statistics.median(ns for ns, _ in found[way.name, size]):.2f} x {way.name}" for way in others]
        print(f"{ways.BPF.name}: " + "; ".join(ratios))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="What a mirrored packet costs.")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--packets", type=int, default=60_000)
    asked = options.parse_args()
    compared = [ways.CLONE, ways.NFT, ways.BPF, ways.BPF_ETHERNET, ways.BPF_VXLAN, ways.BPF_SEQUENCE, ways.PORTABLE]
    compared += [ways.OVS_ALONE, ways.OVS] if ovs.is_here() else []
    compared += [ways.PLAIN, ways.SCAPY]
    cpu = max(os.sched_getaffinity(0))
    print(f"on CPU {cpu} of {os.cpu_count()}; load average at the beginning {os.getloadavg()[0]:.1f}, ", end="", flush=True)
    with network() as net, generator(net) as sender:
        os.sched_setaffinity(0, {cpu})
        found = measure(Meter(net, sender, cpu, asked.packets), net, compared, asked.rounds)
    print(f"at the end {os.getloadavg()[0]:.1f}")
    if not ovs.is_here():
        print("Open vSwitch is not installed")
    show(found, compared)


if __name__ == "__main__":
    main()
