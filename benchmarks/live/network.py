"""Three namespaces, for what is measured with packets that really flow.

    generator 10.1.0.1 --- front 10.1.0.2 [adc] back 10.2.0.2 --- 10.2.0.1 analyzer

The flood goes to a UDP port of the adc. It is counted and dropped behind the place where every way of mirroring sees it, so
that receiving and dropping is the same for all. What reaches the analyzer is counted by its device and dropped at once.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyroute2 import netns

from hsadc.dataplane.bpf import clsact, syscall
from hsadc.dataplane.netlink import Netlink

GENERATOR, SERVER, SOURCE, ANALYZER = "10.1.0.1", "10.1.0.2", "10.2.0.2", "10.2.0.1"
FLOOD_PORT = 8087
TABLE = """
table netdev bench {{
  chain mirror {{ type filter hook ingress device "front" priority 0; policy accept; {mirror}; }}
  chain sink {{ type filter hook ingress device "front" priority 10; policy accept; udp dport {port} counter drop; }}
}}
"""


@dataclass(frozen=True)
class Network:
    """The namespaces' names by their role, and the hardware addresses by device: generator, front, back, analyzer."""

    names: Mapping[str, str]
    macs: Mapping[str, bytes]

    def run(self, role: str, *command: str, text: str | None = None) -> str:
        """A command's output; nsenter and not `ip netns exec`, for that has a /sys of its own."""
        place = f"--net=/run/netns/{self.names[role]}"
        done = subprocess.run(["nsenter", place, *command], capture_output=True, text=True, check=False, input=text)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    @contextmanager
    def inside(self, role: str) -> Iterator[None]:
        """The calling thread's network is that of the role."""
        netns.pushns(self.names[role])
        try:
            yield
        finally:
            netns.popns()

    def set_filter(self, mirror: str = "") -> None:
        """What nftables does at the front device: count and drop the flood, and before that `mirror`; the count begins at 0."""
        rule = f"udp dport {FLOOD_PORT} {mirror}" if mirror else ""
        self.run(
            "adc",
            "nft",
            "-f",
            "-",
            text="table netdev bench\ndelete table netdev bench\n" + TABLE.format(mirror=rule, port=FLOOD_PORT),
        )

    def received(self) -> int:
        """Packets of the flood that the adc has received."""
        ruleset = json.loads(self.run("adc", "nft", "-j", "list", "chain", "netdev", "bench", "sink"))
        (rule,) = (item["rule"] for item in ruleset["nftables"] if "rule" in item)
        return next(int(part["counter"]["packets"]) for part in rule["expr"] if "counter" in part)

    def copies(self) -> int:
        """Packets that the analyzer's device has received."""
        return int(device(self, "analyzer", "analyzer")["stats64"]["rx"]["packets"])


def device(network: Network, role: str, name: str) -> dict[str, Any]:
    """What `ip` says of a device."""
    (found,) = json.loads(network.run(role, "ip", "-s", "-j", "link", "show", name))
    return dict(found)


def program(*instructions: tuple[int, int, int, int, int]) -> int:
    """Load a traffic-control program; instructions are code, destination, source, offset, immediate (RFC 9669).

    Returns:
        Its descriptor, which the caller owns.
    """
    code = b"".join(
        struct.pack("<BBhi", code, source << 4 | to, offset, value) for code, to, source, offset, value in instructions
    )
    return syscall.load_program("bench", code, "GPL")


MOVE, CALL, EXIT = 0xB7, 0x85, (0x95, 0, 0, 0, 0)
CLONE_REDIRECT, SHOT, UNSPEC = 13, 2, -1


def clone_program(ifindex: int) -> int:
    """Clones every packet to a device: what any mirror of this kind must do at least."""
    to_device = (MOVE, 2, 0, 0, ifindex), (MOVE, 3, 0, 0, 0), (CALL, 0, 0, 0, CLONE_REDIRECT)
    return program(*to_device, (MOVE, 0, 0, 0, UNSPEC), EXIT)


def attach(network: Network, role: str, name: str, fd: int) -> None:
    """At the device's ingress, until its namespace is removed or it is detached; the descriptor is closed."""
    with network.inside(role):
        netlink = Netlink()
    try:
        clsact.attach(netlink, netlink.link(name).index, "hsadc_tap_in", fd)
    finally:
        netlink.close()
        os.close(fd)


def detach(network: Network, role: str, name: str) -> None:
    """What `attach` has attached."""
    with network.inside(role):
        netlink = Netlink()
    clsact.detach(netlink, netlink.link(name).index, "hsadc_tap_in")
    netlink.close()


@contextmanager
def network() -> Iterator[Network]:
    """The namespaces, gone when the context ends."""
    names = {role: f"hsbench-{os.getpid()}-{role}" for role in ("generator", "adc", "analyzer")}
    made: list[str] = []
    try:
        for name in names.values():
            command("ip", "netns", "add", name)
            made.append(name)
            command("ip", "-n", name, "link", "set", "lo", "up")
        cable(names["generator"], "generator", GENERATOR, names["adc"], "front", SERVER)
        cable(names["adc"], "back", SOURCE, names["analyzer"], "analyzer", ANALYZER)
        yield _prepared(names)
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _prepared(names: Mapping[str, str]) -> Network:
    places = {"generator": "generator", "front": "adc", "back": "adc", "analyzer": "analyzer"}
    bare = Network(names, {})
    macs = {name: bytes.fromhex(device(bare, role, name)["address"].replace(":", "")) for name, role in places.items()}
    made = Network(names, macs)
    neighbours = (
        ("generator", SERVER, "generator", "front"),
        ("adc", GENERATOR, "front", "generator"),
        ("adc", ANALYZER, "back", "analyzer"),
    )
    for role, address, local, remote in neighbours:
        made.run(role, "ip", "neigh", "replace", address, "lladdr", macs[remote].hex(":"), "dev", local, "nud", "permanent")
    made.set_filter()
    attach(made, "analyzer", "analyzer", program((MOVE, 0, 0, 0, SHOT), EXIT))
    return made


def cable(a: str, device_a: str, address_a: str, b: str, device_b: str, address_b: str) -> None:
    """Between two namespaces, with an IPv4 network of 24 bits."""
    command("ip", "link", "add", device_a, "netns", a, "type", "veth", "peer", "name", device_b, "netns", b)
    for place, name, address in ((a, device_a, address_a), (b, device_b, address_b)):
        command("ip", "-n", place, "addr", "add", f"{address}/24", "dev", name)
        command("ip", "-n", place, "link", "set", name, "up")
        command("nsenter", f"--net=/run/netns/{place}", "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")


def command(*words: str) -> None:
    """Run it; its error is shown when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
