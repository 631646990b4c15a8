"""How much the mirror without BPF copies: packets a second without a loss, and what each costs.

    python benchmarks/portable_mirror.py            needs root

A generator in a process of its own sends UDP datagrams to a tapped device at rising rates, for some seconds each. The mirror's
own core takes them for a virtual server's and sends them in GRE. A constant core puts the same header in front of every packet:
that is what reading, the loop and sending cost. The highest rate at which all packets were copied is shown, and the CPU time of
the copying thread per packet at that rate. Beside it the same with plain AF_PACKET sockets: `recv` and
`sendto`, one packet at a time. They do less: they know of no VLAN tags, directions and open checksums, and would send large
segments as they are.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from pyroute2 import netns

sys.path.insert(0, str(Path(__file__).parents[1]))
from hsadc.dataplane.mirror_counters import MirrorCounters
from hsadc.dataplane.portable.copier import Copier, Core
from hsadc.dataplane.portable.core import Intents, MirrorCore
from hsadc.dataplane.portable.output import Output, Way
from hsadc.dataplane.portable.state import DestinationTally
from hsadc.dataplane.portable.tap import COPY_MARK, Tap
from hsadc.intent.mirror import ProfileIntent, RuleIntent, TunnelIntent
from hsadc.wire.checksum import internet_checksum
from hsadc.wire.encapsulation import Encapsulation

SIZES = (64, 512, 1400)
RATES = (5_000, 10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 100_000, 120_000, 150_000, 200_000)
SECONDS = 2.0
ATTEMPTS = 3
OUTER = bytes.fromhex("4500000000000000402f00000a0200020a030002") + bytes.fromhex("00000800")
CLIENT, SERVER, PORT = "10.1.0.1", "10.1.0.2", 8087
MAC = bytes.fromhex("020000000002")


class Packet(NamedTuple):
    """What the constant core wants sent."""

    interface: str
    data: bytes


class ConstantCore:
    """Puts the same header in front of all."""

    def __init__(self) -> None:
        self.copied = 0

    def process(self, frame: bytes, device: str, received: bool, now_ns: int) -> Sequence[Packet]:  # noqa: ARG002  see `Core`
        """Copy."""
        self.copied += 1
        return (Packet("tunnel1", OUTER + frame[14:]),)

    def wants(self, frame: bytes, device: str, received: bool) -> bool:  # noqa: ARG002  see `Core`
        """All."""
        return True

    def unsent(self, outgoing: Packet, reason: str) -> None:  # noqa: ARG002  see `Core`
        """Take one back."""
        self.copied -= 1

    def counters(self) -> MirrorCounters:
        """None."""
        return MirrorCounters({}, {})

    def clear_counters(self) -> None:
        """Nothing to clear."""

    def probe(self, interface: str, frame: bytes, now_ns: int) -> tuple[Sequence[Packet], DestinationTally]:  # noqa: ARG002
        """None; see `Core`."""
        return (), DestinationTally()


def own_core() -> MirrorCore:
    """The mirror's own, of a virtual server and one tunnel."""
    e = Encapsulation("gre", IPv4Address("10.2.0.2"), IPv4Address("10.3.0.2"))
    rule = RuleIntent(1, IPv4Address(SERVER), PORT, 17, 1)
    return MirrorCore(Intents((TunnelIntent("tunnel1", "back", e),), (), (ProfileIntent(1, ("tunnel1",)),), (rule,)))


def copied_by(core: Core) -> int:
    """How many packets it had copied."""
    return core.copied if isinstance(core, ConstantCore) else core.counters().destinations[1, "tunnel1"].sent_packets


def datagram(size: int) -> bytes:
    """A frame of that size to the virtual server."""
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size - 14, 1, 0, 64, 17, 0) + IPv4Address(CLIENT).packed + IPv4Address(SERVER).packed
    ip = ip[:10] + internet_checksum(ip).to_bytes(2, "big") + ip[12:]
    return bytes(12) + b"\x08\x00" + ip + struct.pack("!HHHH", 40000, PORT, size - 34, 0) + bytes(size - 42)


@contextmanager
def network() -> Iterator[str]:
    """A namespace: gen === front, back === sink; the calling thread is in it."""
    name = f"hsbench-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for a, b in (("gen", "front"), ("back", "sink")):
            subprocess.run(["ip", "-n", name, "link", "add", a, "type", "veth", "peer", "name", b], check=True)
            for device in (a, b):
                subprocess.run(["ip", "-n", name, "link", "set", device, "arp", "off", "up"], check=True)
        netns.pushns(name)
        try:
            yield name
        finally:
            netns.popns()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def generate(size: int, rate: int, seconds: float) -> None:
    """Send frames of `size` bytes (Ethernet header included) at a rate, evenly in bursts of 1 ms."""
    output = Output(Way(socket.if_nametoindex("gen")))
    output._socket.setsockopt(socket.SOL_SOCKET, 36, 0)  # they are no copies
    burst = [datagram(size)] * (rate // 1000)
    begin = time.monotonic()
    for number in range(int(seconds * 1000)):
        output.send(burst, lambda *_: None)
        time.sleep(max(begin + (number + 1) / 1000 - time.monotonic(), 0))


def by_copier(make_core: Callable[[], Core], run: Callable[[], None]) -> tuple[int, float]:
    """How many packets were copied while `run` ran, and the CPU seconds of it."""
    core = make_core()
    copier = Copier(core)
    copier.start()
    copier.set_outputs({"tunnel1": Output(Way(socket.if_nametoindex("back"), MAC, 0x0800))}, lambda core: core)
    copier.add_tap(Tap("front"))
    clock = time.pthread_getcpuclockid(copier.between_packets(threading.get_ident))
    before = time.clock_gettime(clock)
    run()
    time.sleep(0.3)
    used = time.clock_gettime(clock) - before
    copier.stop()
    return copied_by(core), used


def by_plain_sockets(run: Callable[[], None]) -> tuple[int, float]:
    """The same with one call for each packet in and out."""
    source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    source.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    source.bind(("front", 3))
    source.settimeout(0.2)
    target = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    target.setsockopt(socket.SOL_SOCKET, 36, COPY_MARK)
    address = ("back", 0x0800, 0, 0, MAC)
    copied, used, going = 0, 0.0, True

    def copy() -> None:
        nonlocal copied, used
        while going:
            try:
                frame = source.recv(65536)
            except TimeoutError:
                continue
            target.sendto(OUTER + frame[14:], address)
            copied += 1
        used = time.thread_time()

    thread = threading.Thread(target=copy)
    thread.start()
    run()
    time.sleep(0.3)
    going = False
    thread.join()
    source.close()
    target.close()
    return copied, used


def offer(size: int, rate: int) -> float:
    """Have the generator send at a rate; returns how many seconds it took."""
    process = multiprocessing.get_context("fork").Process(target=generate, args=(size, rate, SECONDS))
    begin = time.monotonic()
    process.start()
    process.join()
    return time.monotonic() - begin


def best(way: Callable[[Callable[[], None]], tuple[int, float]], size: int) -> tuple[int, float]:
    """The highest rate at which nothing was lost, in packets a second, and CPU microseconds per packet at it."""
    found = (0, 0.0)
    for rate in RATES:
        for _ in range(ATTEMPTS):
            took: list[float] = []
            copied, used = way(lambda rate=rate, took=took: took.append(offer(size, rate)))
            if copied >= int(SECONDS * 1000) * (rate // 1000):
                found = (int(copied / took[0]), used / copied * 1e6)
                break
        else:
            break
    return found


def main() -> None:
    """Print the table."""
    ways = {
        "mirror": partial(by_copier, own_core),
        "constant core": partial(by_copier, ConstantCore),
        "recv+send": by_plain_sockets,
    }
    print(" bytes" + "".join(f"{name + ', packets/s':>26} {'us CPU':>7}" for name in ways))
    with network():
        for size in SIZES:
            found = [best(way, size) for way in ways.values()]
            print(f"{size:6}" + "".join(f"{rate:26,} {us:7.1f}" for rate, us in found), flush=True)


if __name__ == "__main__":
    main()
