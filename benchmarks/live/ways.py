"""The ways of mirroring that are compared: each is a context in which the flood is copied to the analyzer."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from live import ovs, sockets
from live.network import ANALYZER, FLOOD_PORT, SERVER, SOURCE, Network, attach, clone_program, detach, device

from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.mirror_counters import DestinationCounters
from hsadc.dataplane.portable.mirror import PortableMirror
from hsadc.dataplane.reconcile import reconcile
from hsadc.intent.mirror import TCP, ProfileIntent, RuleIntent, TapIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation

UDP = 17
BULK_PORT = 5201
GRE = Encapsulation("gre", IPv4Address(SOURCE), IPv4Address(ANALYZER))
TUNNEL = TunnelIntent("tunnel1", "back", GRE)
PROFILE = ProfileIntent(1, (TUNNEL.interface,))
RULES = tuple(RuleIntent(n, IPv4Address(SERVER), port, kind, 1) for n, port, kind in ((7, FLOOD_PORT, UDP), (8, BULK_PORT, TCP)))
_PATIENCE_S, _QUIET_S = 20, 0.2


@dataclass
class Running:
    """A way at work.

    Attributes:
        pid: the process that copies, None when the kernel does; "self" when it is threads of this one.
        mirror: hsadc's.
    """

    pid: int | str | None = None
    mirror: Any = None

    def cpu_s(self) -> float:
        """CPU seconds that the process has had, all its threads."""
        return cpu_seconds(self.pid) if self.pid else 0.0

    def settle(self, network: Network) -> int:
        """Wait until no more copies arrive; returns how many have arrived at the analyzer since it was made."""
        copies = network.copies()
        while self.pid:
            time.sleep(_QUIET_S)
            if (now := network.copies()) == copies:
                break
            copies = now
        return copies

    def counted(self) -> DestinationCounters:
        """What hsadc has counted for its tunnel."""
        return self.mirror.counters().tunnel(TUNNEL.interface) if self.mirror else DestinationCounters()


def cpu_seconds(pid: int | str) -> float:
    """CPU seconds of a process, threads that have ended left out (proc(5), schedstat: in ns); of "self" not its first one."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        if pid == "self" and thread.name == str(os.getpid()):
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


@dataclass(frozen=True)
class Way:
    """How the flood is mirrored.

    Attributes:
        name: for the tables.
        enter: makes it so in a network.
        pace_pps: packets a second at which its cost is measured, below what it can copy; 0 is as fast as can be sent.
        number_at: where a packet's number stands in the analyzer's frame.
    """

    name: str
    enter: Callable[[Network], contextlib.AbstractContextManager[Running]] = field(repr=False)
    pace_pps: int = 0
    number_at: int = 42


@contextmanager
def _nothing(network: Network) -> Iterator[Running]:  # noqa: ARG001  as the others
    yield Running()


@contextmanager
def _clone(network: Network) -> Iterator[Running]:
    attach(network, "adc", "front", clone_program(device(network, "adc", "back")["ifindex"]))
    try:
        yield Running()
    finally:
        detach(network, "adc", "front")


@contextmanager
def _nft(network: Network) -> Iterator[Running]:
    network.set_filter('dup to "back"')
    try:
        yield Running()
    finally:
        network.set_filter()


@contextmanager
def _ovs(network: Network, mirror: bool) -> Iterator[Running]:
    with ovs.switch(network, mirror) as pid:
        yield Running(pid)


@contextmanager
def _loop(network: Network, loop: Callable[[Mapping[str, bytes]], None], pause_s: float) -> Iterator[Running]:
    with sockets.looping(network, loop, pause_s) as pid:
        yield Running(pid)


def bring(mirror: Any, **wanted: Any) -> None:
    """Make the mirror so, as a transaction does: `tunnels`, `lists`, `profiles`, `rules`, `taps`; none of what is not given."""
    names = (("tunnels", "tunnels"), ("access_lists", "lists"), ("profiles", "profiles"), ("rules", "rules"), ("taps", "taps"))
    reconcile([(getattr(mirror, driver), wanted.get(name, ())) for driver, name in names])


@contextmanager
def hsadc(
    network: Network, make: Callable[[], Any] = Mirror, encapsulation: Encapsulation = GRE, **profile: Any
) -> Iterator[Running]:
    """The mirror of hsadc, with `lists` and `rules`, which are those for the flood and for TCP unless given."""
    tunnel = replace(TUNNEL, encapsulation=encapsulation)
    lists, rules = profile.pop("lists", ()), profile.pop("rules", RULES)
    with network.inside("adc"):
        mirror = make()
        mirror.start_watching()
        try:
            bring(
                mirror,
                tunnels=[tunnel],
                lists=lists,
                profiles=[replace(PROFILE, **profile)],
                rules=rules,
                taps=[TapIntent("front")],
            )
            _wait_until_up(mirror)
            yield Running("self" if make is PortableMirror else None, mirror)
        finally:
            bring(mirror)
            mirror.stop()


def _wait_until_up(mirror: Any) -> None:
    end = time.monotonic() + _PATIENCE_S
    while (state := mirror.tunnel_state(TUNNEL.interface)).state != "up":
        if time.monotonic() > end:
            raise RuntimeError(f"the tunnel does not come up: {state}")
        time.sleep(0.05)
    mirror.refresh()


FRAME_AT = 14
"""What a frame as payload has in front of its IP packet."""
VXLAN = replace(GRE, kind="vxlan", payload="ethernet", vni=5)
OFF = Way("receive and drop", _nothing)
CLONE = Way("BPF clone, no encapsulation", _clone)
NFT = Way("nft dup, no encapsulation", _nft)
OVS_ALONE = Way("Open vSwitch, no mirror", partial(_ovs, mirror=False), 15_000)
OVS = Way("Open vSwitch, GRE Ethernet", partial(_ovs, mirror=True), 15_000, 42 + 24 + FRAME_AT)
PLAIN = Way("Python AF_PACKET loop, GRE", partial(_loop, loop=sockets.plain_loop, pause_s=0.2), 15_000, 42 + 24)
SCAPY = Way("Scapy sniff and send, GRE", partial(_loop, loop=sockets.scapy_loop, pause_s=3), 100, 42 + 24)
BPF = Way("hsadc, GRE", hsadc, 0, 42 + 24)
BPF_NO_MATCH = Way("hsadc, traffic of no rule", partial(hsadc, rules=RULES[:1]))
BPF_ETHERNET = Way("hsadc, GRE Ethernet", partial(hsadc, encapsulation=replace(GRE, payload="ethernet")), 0, 42 + 24 + FRAME_AT)
BPF_VXLAN = Way("hsadc, VXLAN", partial(hsadc, encapsulation=VXLAN), 0, 42 + 36 + FRAME_AT)
BPF_SEQUENCE = Way("hsadc, GRE with sequence", partial(hsadc, encapsulation=replace(GRE, sequence=True)), 0, 42 + 28)
PORTABLE = Way("hsadc portable, GRE", partial(hsadc, make=PortableMirror), 5_000, 42 + 24)
