"""What the tap costs when the kernel runs it over one packet again and again (BPF_PROG_TEST_RUN), without a network's noise.

    python benchmarks/mirror_program.py [--repeat 20000]         needs root

First with growing numbers of virtual servers, of which the packet is to none or to one, then with an access list. A run that
copies does all of the copy's way: helper device, encapsulation, the cable and its drop at the analyzer; so does the clone
that it is compared with, which does without the first two. Shown is the least of several runs, in nanoseconds a packet.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from live import ways
from live.generator import frame
from live.network import FLOOD_PORT, Network, clone_program, device, network

from hsadc.dataplane.bpf import syscall
from hsadc.dataplane.bpf.records import Source, encode_rule_key
from hsadc.dataplane.rule import put_source
from hsadc.intent.mirror import AccessListIntent, AccessRule

RULES = (1, 100, 10_000)
ENTRIES = 64
SIZE = 64
ATTEMPTS = 12
UDP = 17


def duration_ns(program: int, packet: bytes, ifindex: int, repeat: int) -> int:
    """Average nanoseconds of a run (include/uapi/linux/bpf.h, union bpf_attr, `test`); `ifindex` is the device it came by."""
    data, context = ctypes.create_string_buffer(packet, len(packet)), ctypes.create_string_buffer(192)
    struct.pack_into("=I", context, 40, ifindex)
    pointers = syscall.address(data), 0
    head = struct.pack("=IIIIQQ", program, 0, len(packet), 0, *pointers)
    _, result = syscall.bpf(syscall.PROG_TEST_RUN, head + struct.pack("=IIIIQQ", repeat, 0, 192, 0, syscall.address(context), 0))
    return int(struct.unpack_from("=I", result, 36)[0])


class Runs:
    """Runs programs in the adc."""

    def __init__(self, net: Network, repeat: int) -> None:
        self._net, self._repeat = net, repeat
        self._front, self.back = (device(net, "adc", name)["ifindex"] for name in ("front", "back"))
        self.hit, self.miss = (frame(net, SIZE, port) for port in (FLOOD_PORT, FLOOD_PORT + 1))

    def least(self, programs: Iterable[tuple[int, bytes]]) -> list[int]:
        """Of several attempts, the programs in turn in each."""
        with self._net.inside("adc"):
            chosen = list(programs)
            rows = [[duration_ns(p, packet, self._front, self._repeat) for p, packet in chosen] for _ in range(ATTEMPTS)]
        return [min(times) for times in zip(*rows, strict=True)]


def add_rules(mirror: Any, first: int, last: int) -> None:
    """Rules for other addresses, as their driver writes them."""
    maps = mirror._objects.maps  # ten thousand transactions would take longer than what is measured
    for n in range(first, last):
        put_source(maps, "rules", encode_rule_key(IPv4Address("10.9.0.0") + n, 80, 6), Source(n % 60_000 + 100, 1))


def access_list() -> AccessListIntent:
    """Its last entry alone permits the packet."""
    denied = [AccessRule(False, UDP, IPv4Network(f"10.77.{n}.0/24"), (n, n + 9), None, (53, 53 + n)) for n in range(ENTRIES - 1)]
    return AccessListIntent(1, (*denied, AccessRule(True, UDP, IPv4Network("10.1.0.0/24"), destination_ports=(8000, 8100))))


def show(name: str, runs: Runs, tap: int) -> None:
    """A row."""
    clone = clone_program(runs.back)
    least, miss, hit = runs.least([(clone, runs.hit), (tap, runs.miss), (tap, runs.hit)])
    os.close(clone)
    print(f"{name:38} {least:9} {miss:9} {hit:9} {hit / least:8.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="What the tap costs.")
    options.add_argument("--repeat", type=int, default=20_000)
    repeat = options.parse_args().repeat
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"load average {os.getloadavg()[0]:.1f}; {SIZE} bytes")
    print(f"{'ns a packet':38} {'clone':>9} {'no match':>9} {'mirrored':>9} {'x clone':>8}")
    with network() as net:
        runs = Runs(net, repeat)
        with ways.BPF.enter(net) as running:
            for before, rules in zip((1, *RULES[:-1]), RULES, strict=True):
                add_rules(running.mirror, before, rules)
                show(f"GRE, {rules:,} virtual servers", runs, tap_of(running))
        with ExitStack() as stack:
            listed = stack.enter_context(ways.hsadc(net, lists=(access_list(),), access_list=1))
            show(f"GRE, access list of {ENTRIES} entries", runs, tap_of(listed))
        for way in (ways.BPF_ETHERNET, ways.BPF_VXLAN, ways.BPF_SEQUENCE):
            with way.enter(net) as running:
                show(way.name, runs, tap_of(running))


def tap_of(running: ways.Running) -> int:
    """The descriptor of the program that looks at received packets."""
    return int(running.mirror._objects._programs["hsadc_tap_in"])


if __name__ == "__main__":
    main()
