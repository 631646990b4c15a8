"""The dataplane as a whole: its drivers, what watches over them, and what `show` asks of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hsadc.dataplane.ability import Abilities, abilities
from hsadc.dataplane.address import AddressDriver
from hsadc.dataplane.capture import Capture
from hsadc.dataplane.datagram import DatagramDriver
from hsadc.dataplane.datagram_statistics import DatagramSession, DatagramStatistics
from hsadc.dataplane.datagram_watch import DatagramWatch
from hsadc.dataplane.driver import Driver
from hsadc.dataplane.forwarding import Forwarding
from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_log import LogReceiver
from hsadc.dataplane.haproxy_sessions import ServerSession
from hsadc.dataplane.haproxy_statistics import VirtualServerStatistics
from hsadc.dataplane.haproxy_supervisor import HaproxyState, Supervisor
from hsadc.dataplane.hop import HopDriver
from hsadc.dataplane.inventory import observe_inventory
from hsadc.dataplane.link import LinkDriver
from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.mirror_counters import DestinationCounters, MirrorCounters
from hsadc.dataplane.neighbour import Neighbour, observe_neighbours
from hsadc.dataplane.netlink import Address, Link, Netlink, Route
from hsadc.dataplane.originals import Originals, kernel_identity
from hsadc.dataplane.page import read_pages
from hsadc.dataplane.pki import PkiReader
from hsadc.dataplane.portable.mirror import PortableMirror
from hsadc.dataplane.prober import Prober
from hsadc.dataplane.reconcile import Outcome, asking, reconcile
from hsadc.dataplane.route import RouteDriver
from hsadc.dataplane.transparent import TransparentDriver
from hsadc.dataplane.tunnel import TunnelState, broken
from hsadc.errors import Unsupported
from hsadc.intent.compile import Intent
from hsadc.intent.inventory import Inventory
from hsadc.intent.material import Material
from hsadc.model.config import Config
from hsadc.model.trust_domain import TrustDomain

_KINDS = tuple(f.name for f in fields(Intent))


class Dataplane:
    """Brings the machine to an intent and keeps it there.

    Safe for use by several threads, but only one at a time may call `apply` or `stop`. The machine is the network namespace of
    the process: all its threads are in it. What only asks raises ApplyError, too, when the system refuses.

    Attributes:
        abilities: what this machine can.
    """

    def __init__(self, state_dir: Path, path: str = "auto") -> None:
        """Nothing is touched yet.

        Args:
            state_dir: where what was changed on the machine is remembered; exists.
            path: how packets are copied: `bpf`, `portable`, or `auto`: by BPF programs where this machine can.

        Raises:
            Unsupported: not root.
            ApplyError: the system refuses.
        """
        if os.geteuid() != 0:
            raise Unsupported(
                "start the dataplane", "root is needed; `--dataplane none` keeps configurations without applying them"
            )
        with asking("start the dataplane"):
            self._originals = Originals(state_dir / "originals.json", kernel_identity())
            self.abilities = abilities()
            bpf = choose_path(path, self.abilities) == "bpf"
            self._mirror: Mirror | PortableMirror = Mirror() if bpf else PortableMirror()
        self._prober = Prober()
        self._datagrams = DatagramDriver(self._prober, Forwarding(self._originals))
        self._datagram_watch = DatagramWatch(self._datagrams, self._prober)
        self._pki = PkiReader(state_dir / "pki")
        self._files = state_dir / "files"
        self._haproxy = HaproxyDriver(state_dir, self._prober)
        self._supervisor = Supervisor(self._haproxy)
        self._server_log = LogReceiver(state_dir)
        self._intent = Intent()
        self._applied = False  # until then nobody knows what an earlier run left behind

    def machine(self) -> Inventory:
        """The machine's Ethernet devices, as they would be without hsadc; no file is looked at."""
        with asking("read the kernel's devices"), Netlink() as netlink:
            return observe_inventory(netlink, self._originals)

    def inventory(self, config: Config) -> Inventory:
        """The machine as `machine` gives it, what the files hold that a configuration names, and the time."""
        names = {pool.sorry_page for pool in config.server_pool.values() if pool.sorry_page is not None}
        pages = read_pages(self._files, sorted(names))
        return replace(
            self.machine(),
            materials=self._pki.materials(config.trust_domain.values()),
            pages=pages.texts,
            page_problems=pages.problems,
            clear_legs=self._haproxy.clear_legs(),
            now=datetime.now(UTC),
        )

    def left_behind(self, domain: TrustDomain) -> Material | None:
        """What HAProxy was last given of a trust domain, maybe by an earlier run; None when that is not known.

        Authorities are not known: HAProxy has those of several trust domains in one file.
        """
        if domain.ca_certificate is not None:
            return None
        given = replace(domain, certificate=str(self._haproxy.file_of(domain.name)), key=None)
        return PkiReader(Path()).materials([given])[domain.name]

    def apply(self, intent: Intent) -> Outcome:
        """Make the machine so, and watch over it; what an earlier run left behind is adopted, repaired or removed.

        What is in force already costs little, so that pasted lines take effect at the speed of pasting: only those kinds of
        objects are looked at that the intent changes, or that may depend on what it changes. `repair` looks at all.

        Raises:
            ApplyError: a step failed, and the machine is as before.
        """
        if self._applied and intent == self._intent:
            return Outcome()
        # First those that watch: a next hop may be found, and HAProxy may end, while the rest is still being made.
        with asking("start to watch"):
            self._mirror.start_watching()
            self._server_log.start()
            self._supervisor.start()
            self._prober.start()
            self._datagram_watch.start()
        kinds = touched(self._intent, intent) if self._applied else _KINDS
        self._applied = False  # should it fail half way, the next one looks at everything
        outcome = self._reconcile(intent, kinds)
        self._intent, self._applied = intent, True
        return outcome

    def repair(self) -> Outcome:
        """Make again what somebody has taken apart by hand.

        Raises:
            ApplyError: a step failed.
        """
        return self._reconcile(self._intent)

    def stop(self) -> None:
        """Remove everything that hsadc made, and put back what it changed; nothing can be applied afterwards.

        Raises:
            ApplyError: something could not be removed.
        """
        try:
            self._reconcile(Intent())
        finally:
            self._datagram_watch.stop()
            self._prober.stop()
            self._supervisor.stop()
            self._server_log.stop()
            self._mirror.stop()

    def _reconcile(self, intent: Intent, kinds: Sequence[str] = _KINDS) -> Outcome:
        with asking("open a netlink socket"):
            netlink = Netlink()
        with netlink:
            drivers: Mapping[str, Driver[Any]] = {
                "links": LinkDriver(netlink, self._originals),
                "addresses": AddressDriver(netlink),
                "routes": RouteDriver(netlink),
                "tunnels": self._mirror.tunnels,
                "access_lists": self._mirror.access_lists,
                "profiles": self._mirror.profiles,
                "rules": self._mirror.rules,
                "port_mirrors": self._mirror.port_mirrors,
                "hops": HopDriver(netlink, self._originals),
                "transparents": TransparentDriver(netlink),
                "taps": self._mirror.taps,
                "datagrams": self._datagrams,
                "haproxy": self._haproxy,
            }
            return reconcile([(drivers[kind], getattr(intent, kind)) for kind in kinds])

    def warnings(self) -> list[str]:
        """What is in force but does not work now, a line each."""
        states = ((t, self.tunnel_state(t.interface)) for t in self._intent.tunnels)
        down = ((t, s) for t, s in states if s.state == "down")
        return [
            f"interface {t.interface}: {t.encapsulation.destination or t.egress} cannot be reached now: {s.reason}"
            for t, s in down
        ]

    @property
    def mirror_path(self) -> str:
        """What copies packets: `bpf`, or `portable` where the kernel cannot."""
        return self._mirror.path

    @property
    def intent(self) -> Intent:
        """What is in force."""
        return self._intent

    def network(self) -> tuple[tuple[Link, ...], tuple[Address, ...], tuple[Route, ...]]:
        """The kernel's links, addresses and routes now."""
        with asking("read the kernel's routes"), Netlink() as netlink:
            return netlink.links(), netlink.addresses(), netlink.routes()

    def capture(self, device: str, expression: str, within: str = "") -> Capture:
        """Begin to capture packets of a device; see Capture."""
        return Capture(device, expression, within)

    def tunnel_state(self, interface: str) -> TunnelState:
        """Whether copies can leave by a tunnel interface that is in force, and why not."""
        with asking(f"read the state of {interface}"):
            try:
                state = self._mirror.tunnel_state(interface)
            except KeyError:
                intended = next(t for t in self._intent.tunnels if t.interface == interface)
                return broken(intended.mtu_bytes, "helper device")
            if state.egress is None:
                return state
            with Netlink() as netlink:
                return replace(state, egress_dropped=netlink.dropped(state.egress))

    def mirror_counters(self) -> MirrorCounters:
        """What was copied, sent and dropped."""
        with asking("read the mirror's counters"):
            return self._mirror.counters()

    def capture_lost(self) -> Mapping[str, int]:
        """Packets that passed a device too fast for the portable path and were not seen, by device; BPF programs see all."""
        return self._mirror.capture_lost() if isinstance(self._mirror, PortableMirror) else {}

    def send_probe(self, interface: str, frame: bytes) -> DestinationCounters:
        """Send a frame by a tunnel interface that is in force, as if it were a copy, and tell what was counted.

        Raises:
            ApplyError: it is not taken.
        """
        with asking(f"send a probe by {interface}"):
            return self._mirror.send_probe(interface, frame)

    def clear_mirror_counters(self) -> None:
        """Set the mirror's counters to zero."""
        with asking("clear the mirror's counters"):
            self._mirror.clear_counters()

    def neighbours(self) -> tuple[Neighbour, ...]:
        """The kernel's IPv4 neighbours now."""
        with asking("read the kernel's neighbours"), Netlink() as netlink:
            return observe_neighbours(netlink)

    def ipv6_neighbours(self) -> tuple[Neighbour, ...]:
        """The kernel's IPv6 neighbours now."""
        with asking("read the kernel's neighbours"), Netlink() as netlink:
            return observe_neighbours(netlink, socket.AF_INET6)

    def clear_server_counters(self) -> None:
        """Set the virtual servers' counters to zero."""
        with asking("clear HAProxy's counters"):
            self._haproxy.clear_statistics()
        with asking("clear the counters of virtual servers of type udp"):
            self._datagrams.clear_counters()

    def virtual_servers(self) -> Mapping[int, VirtualServerStatistics]:
        """HAProxy's counters of each virtual server, by its number."""
        return self._haproxy.statistics()

    def datagrams(self) -> Mapping[int, DatagramStatistics]:
        """The counters of each virtual server of type udp, by its number."""
        with asking("read the counters of virtual servers of type udp"):
            return self._datagrams.statistics()

    def datagram_sessions(self) -> Iterator[DatagramSession]:
        """The flows that virtual servers of type udp have now, read while they are asked for: there may be very many."""
        with asking("read the flows of virtual servers of type udp"):
            yield from self._datagrams.sessions()

    def server_sessions(self, most: int, virtual_server: int | None = None) -> tuple[tuple[ServerSession, ...], int]:
        """Connections and requests that go on through HAProxy.

        Args:
            most: as many are returned.
            virtual_server: number of the one whose they are; None for all.

        Returns:
            Those, as HAProxy lists them, and how many there are.
        """
        return self._haproxy.sessions(most, virtual_server)

    def server_log(self) -> Iterator[str]:
        """What virtual servers with `log enable` have logged, from the last line backwards."""
        return self._server_log.lines()

    @property
    def server_log_lost(self) -> int:
        """Lines of that log which found no room on their way or on the disk, since the daemon started."""
        return self._server_log.lost + self._haproxy.dropped_logs()

    def haproxy(self) -> HaproxyState:
        """How HAProxy is now."""
        return self._supervisor.state()


def choose_path(path: str, able: Abilities) -> str:
    """The path that copies packets: `bpf` or `portable`.

    Raises:
        Unsupported: this machine cannot; says what is missing.
    """
    if path != "portable" and (missing := able.missing_for_bpf) is None:
        return "bpf"
    if path == "bpf":
        raise Unsupported("start the dataplane", f"{missing}; `--dataplane portable` does without BPF")
    if (missing := able.missing_for_portable) is not None:
        raise Unsupported("start the dataplane", missing)
    return "portable"


def touched(before: Intent, after: Intent) -> Sequence[str]:
    """The kinds of objects that differ, and those that may depend on them: all later ones."""
    changed = [kind for kind in _KINDS if getattr(before, kind) != getattr(after, kind)]
    first = next((kind for kind in changed if kind != "routes"), None)  # on routes nothing depends
    later = _KINDS[_KINDS.index(first) :] if first is not None else ()
    return [kind for kind in _KINDS if kind in changed or kind in later]
