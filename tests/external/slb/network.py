"""The network: clients, hsadc, real servers behind it, and an analyzer behind a router; IPv4 and IPv6 on every cable.

    client1  10.71.0.11  --+                                 +-- rs1  10.73.0.21
    client2  10.71.0.12  --+-- front -- adc -- back ---------+-- rs2  10.73.0.22
    router   10.71.0.254 --+   10.71.0.1   10.73.0.1         +-- rs3  10.73.0.23
       | 10.72.0.1
    analyzer 10.72.0.2

The IPv6 address of each is fd71::, fd72:: or fd73:: with the last part of its IPv4 address, as it is written. The real servers'
default route leads to the ADC.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

from hsadc.dataplane.hop import hop_namespace
from hsadc.lab import namespace

T = TypeVar("T")

CLIENTS = {"client1": "11", "client2": "12"}
SERVERS = {"rs1": "21", "rs2": "22", "rs3": "23"}
NODES = ("front", "back", "adc", "router", "analyzer", *CLIENTS, *SERVERS)

_WINDOW_BYTES = 65536
_numbers = itertools.count()


def address(node: str, family: int = 4) -> str:
    """The address of a node; the ADC's is the one that faces the clients."""
    network, host = {"adc": ("71", "1"), "router": ("71", "254"), "analyzer": ("72", "2")}.get(node) or (
        ("71", CLIENTS[node]) if node in CLIENTS else ("73", SERVERS[node])
    )
    return _address(network, host, family)


BACK = {4: "10.73.0.1", 6: "fd73::1"}
"""The ADC's addresses that face the real servers."""


def _address(network: str, host: str, family: int) -> str:
    return f"10.{network}.0.{host}" if family == 4 else f"fd{network}::{host}"


class Network:
    """The namespaces, joined; whoever made it removes it."""

    def __init__(self) -> None:
        self.prefix = f"hsslb{os.getpid()}n{next(_numbers)}"
        with ExitStack() as made:
            made.callback(self.remove)
            for node in NODES:
                namespace.create(self.name(node))
            self._connect()
            made.pop_all()

    def name(self, node: str) -> str:
        """Name of a node's namespace."""
        return f"{self.prefix}-{node}"

    def inside(self, node: str, action: Callable[[], T]) -> T:
        """What `action` returns, carried out in a node's namespace; sockets that it makes stay there."""
        return namespace.within(self.name(node), action)

    def command(self, node: str, *command: object) -> list[str]:
        """A command that runs another one on a node."""
        return ["nsenter", f"--net=/run/netns/{self.name(node)}", *map(str, command)]

    def run(self, node: str, *command: object, timeout_s: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program on a node to its end."""
        done = subprocess.run(
            self.command(node, *command), capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
        assert not check or done.returncode == 0, f"{node}: {command}: {done.stdout}{done.stderr}"
        return done

    def ip(self, node: str, *commands: str) -> None:
        """Run commands of ip(8) on a node."""
        done = subprocess.run(
            ["ip", "-n", self.name(node), "-batch", "-"], input="\n".join(commands), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{node}: {done.stderr}"

    def set(self, node: str, name: str, value: object) -> None:
        """Set a sysctl below net.ipv4 or net.ipv6, its name with slashes."""
        self.inside(node, lambda: Path(f"/proc/sys/net/{name}").write_text(str(value)))

    def remove(self) -> None:
        """End all that runs in it, and remove it."""
        with suppress(FileNotFoundError):  # a device that is killed leaves its hop behind
            namespace.remove(self.inside("adc", hop_namespace))
        for node in NODES:
            namespace.remove(self.name(node))

    def _connect(self) -> None:
        for switch in ("front", "back"):
            self.ip(switch, "link add br0 type bridge mcast_snooping 0", "link set br0 up")
        self._plug("adc", "eth0", "front")
        self._plug("adc", "eth1", "back")
        for client, host in CLIENTS.items():
            self._plug(client, "eth0", "front", "71", host)
        self._plug("router", "eth0", "front", "71", "254")
        for server, host in SERVERS.items():
            self._plug(server, "eth0", "back", "73", host)
            self.ip(server, f"route add default via {BACK[4]}", f"route add default via {BACK[6]}")
        self.ip("router", f"link add eth1 type veth peer name eth0 netns {self.name('analyzer')}")
        self._configure("router", "eth1", "72", "1")
        self._configure("analyzer", "eth0", "72", "2")
        self.ip("analyzer", "route add default via 10.72.0.1", "route add default via fd72::1")
        self._prepare()

    def _plug(self, node: str, device: str, switch: str, network: str = "", host: str = "") -> None:
        port = f"{node}-{device}"
        self.ip(node, "link set lo up", f"link add {device} type veth peer name {port} netns {self.name(switch)}")
        self.ip(switch, f"link set {port} master br0 up")
        if host:
            self._configure(node, device, network, host)
        else:
            self.ip(node, f"link set {device} up")  # hsadc gives it its addresses

    def _configure(self, node: str, device: str, network: str, host: str) -> None:
        four, six = _address(network, host, 4), _address(network, host, 6)
        self.ip(node, f"addr add {four}/24 dev {device}", f"addr add {six}/64 dev {device} nodad", f"link set {device} up")

    def _prepare(self) -> None:
        self.set("router", "ipv4/ip_forward", 1)
        self.set("router", "ipv6/conf/all/forwarding", 1)
        # The analyzer takes copies and answers none of them: nobody listens to GRE there.
        self.set("analyzer", "ipv4/icmp_ratelimit", 86_400_000)
        self.set("analyzer", "ipv6/icmp/ratelimit", 86_400_000)
        # What the router sends to the analyzer are frames as on a wire, segmented and with their checksums.
        self.run("router", "ethtool", "-K", "eth1", "tso", "off", "gso", "off", "tx", "off", "sg", "off")
        for node in ("adc", *CLIENTS, *SERVERS):
            # A small window: a burst longer than the kernel's backlog of 1000 packets would lose copies between namespaces.
            self.set(node, "ipv4/tcp_rmem", f"4096 {_WINDOW_BYTES} {_WINDOW_BYTES}")
