"""Four namespaces around a proxy.

    client 10.1.0.1 --- front 10.1.0.2 [adc] back 10.2.0.1 --- 10.2.0.2 server
                                       [adc] mon  10.3.0.1 --- 10.3.0.2 analyzer

What reaches the analyzer is counted by its device and dropped at once.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from hsadc.dataplane.hop import hop_namespace
from hsadc.lab import namespace

CLIENT, FRONT, BACK, SERVER, MON, ANALYZER = "10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2", "10.3.0.1", "10.3.0.2"
ROLES = ("client", "adc", "server", "analyzer")
_SINK = """
table netdev sink {
  chain received { type filter hook ingress device "analyzer" priority 0; ether type arp accept; counter drop; }
}
"""
_WATCH = """
table netdev watch {{
  chain received {{ type filter hook ingress device "{device}" priority -500; meta l4proto tcp counter; }}
  chain sent {{ type filter hook egress device "{device}" priority -500; meta l4proto tcp counter; }}
}}
"""


@dataclass(frozen=True)
class Network:
    """The namespaces' names by their role."""

    names: Mapping[str, str]

    def command(self, role: str, *words: str) -> list[str]:
        """A command in the namespace of a role; nsenter and not `ip netns exec`, whose mounts are its own."""
        return ["nsenter", f"--net=/run/netns/{self.names[role]}", *words]

    def run(self, role: str, *words: str, text: str | None = None) -> str:
        """Its output."""
        return command(*self.command(role, *words), text=text)

    def listens(self, role: str, port: int) -> bool:
        """Whether there is a TCP listener."""
        return bool(self.run(role, "ss", "-Htnl", f"sport = :{port}"))

    def copies(self) -> int:
        """Packets that the analyzer has received."""
        return self._counted("analyzer", "sink")

    @contextmanager
    def watched(self, device: str) -> Iterator[Callable[[], int]]:
        """What it gives tells how many TCP packets have passed a device of the adc since, in and out."""
        self.run("adc", "nft", "-f", "-", text=_WATCH.format(device=device))
        try:
            yield lambda: self._counted("adc", "watch")
        finally:
            self.run("adc", "nft", "delete", "table", "netdev", "watch")

    def _counted(self, role: str, table: str) -> int:
        ruleset = json.loads(self.run(role, "nft", "-j", "list", "table", "netdev", table))
        rules = (item["rule"] for item in ruleset["nftables"] if "rule" in item)
        return sum(int(part["counter"]["packets"]) for rule in rules for part in rule["expr"] if "counter" in part)


@contextmanager
def network() -> Iterator[Network]:
    """The namespaces, gone when the context ends."""
    names = {role: f"hsbench-{os.getpid()}-{role}" for role in ROLES}
    made = Network(names)
    try:
        for name in names.values():
            namespace.create(name)
            command("ip", "-n", name, "link", "set", "lo", "up")
        _cable(made, "client", "client", CLIENT, "front", FRONT)
        _cable(made, "server", "server", SERVER, "back", BACK)
        _cable(made, "analyzer", "analyzer", ANALYZER, "mon", MON)
        for role, gateway in (("client", FRONT), ("server", BACK), ("analyzer", MON)):
            made.run(role, "ip", "route", "add", "default", "via", gateway)
        for role in ("client", "adc", "server"):
            # A connection for each request: a port must be free again before its minute of TIME-WAIT is over.
            made.run(role, "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1")
        made.run("analyzer", "nft", "-f", "-", text=_SINK)
        yield made
    finally:
        _remove(names)


def _remove(names: Mapping[str, str]) -> None:
    left = list(names.values())
    with suppress(FileNotFoundError):
        left.append(namespace.within(names["adc"], hop_namespace))  # a daemon that was killed leaves it
    for name in left:
        namespace.remove(name)


def _cable(network: Network, role: str, device: str, address: str, adc_device: str, adc_address: str) -> None:
    near, far = network.names[role], network.names["adc"]
    command("ip", "link", "add", device, "netns", near, "type", "veth", "peer", "name", adc_device, "netns", far)
    for place, name, of in ((near, device, address), (far, adc_device, adc_address)):
        command("ip", "-n", place, "addr", "add", f"{of}/24", "dev", name)
        command("nsenter", f"--net=/run/netns/{place}", "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        command("ip", "-n", place, "link", "set", name, "up")


def command(*words: str, text: str | None = None) -> str:
    """Its output; its error ends the program when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, input=text)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
