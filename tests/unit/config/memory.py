"""A dataplane whose machine is in memory: what is applied goes through the real reconciler, and any of its steps can fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface
from pathlib import Path

from hsadc.config.change import Change
from hsadc.config.commit import Device as Adc
from hsadc.config.commit import MakeChange
from hsadc.config.lock import Author
from hsadc.dataplane.ability import YES, Abilities
from hsadc.dataplane.capture import Packet
from hsadc.dataplane.conntrack import Flow
from hsadc.dataplane.datagram_statistics import DatagramSession, DatagramStatistics, statistics_of
from hsadc.dataplane.haproxy_sessions import ServerSession
from hsadc.dataplane.haproxy_statistics import Counters, ServerStatistics, VirtualServerStatistics
from hsadc.dataplane.haproxy_supervisor import HaproxyState
from hsadc.dataplane.haproxy_words import ServerHealth
from hsadc.dataplane.mirror_counters import DestinationCounters, MirrorCounters, SourceCounters
from hsadc.dataplane.neighbour import Neighbour
from hsadc.dataplane.netlink import Address, Link, Route
from hsadc.dataplane.pki import PkiReader
from hsadc.dataplane.prober import ProbeState
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.dataplane.tunnel import TunnelState
from hsadc.dataplane.tunnel_history import Past, Trouble
from hsadc.errors import ConfigError
from hsadc.intent.compile import Intent
from hsadc.intent.inventory import Device, Inventory
from hsadc.intent.material import Material
from hsadc.intent.probe import Probe
from hsadc.model.config import Config
from hsadc.model.trust_domain import TrustDomain
from hsadc.syntax.edit import Editor
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import apply_line

COUNTED = Counters(
    sessions_current=1, sessions_total=20, sessions_peak=3, requests_total=300, bytes_in=4000, bytes_out=50000, responses_5xx=2
)
SEEN = SourceCounters(seen=120, filtered=15, sampled_out=5, matched_packets=100, matched_bytes=64000, copied=99, failed=1)
COPIED = DestinationCounters(copies=99, sent_packets=90, sent_bytes=60000, oversize=9)
REAL = ServerStatistics(
    "pool1.1_p",
    1,
    "p",
    "r",
    ServerHealth("up", True, None, 77, "it answers 200", 3, 9),
    Counters(sessions_current=1, sessions_total=10, sessions_peak=2, requests_total=150, bytes_in=2000, bytes_out=25000),
)


class MemoryDriver:
    """Objects of one kind; `step` is asked before each change, and may raise."""

    def __init__(self, kind: str, step: Callable[[], None]) -> None:
        self.kind = kind
        self.objects: dict = {}
        self._step = step

    def observe(self, wanted):
        return dict(self.objects)

    def prepare(self, wanted):
        self._step()

    def create(self, new):
        self._step()
        assert new.key not in self.objects
        self.objects[new.key] = new

    def change(self, old, new):
        self._step()
        assert self.objects[old.key] == old
        self.objects[new.key] = new

    def delete(self, old):
        self._step()
        assert self.objects.pop(old.key) == old


class MemoryCapture:
    """As `hsadc.dataplane.capture.Capture`; each question for packets is answered with the next list, then with none."""

    def __init__(self, device: str, expression: str, within: str, traffic: list[list[Packet]]) -> None:
        if expression == "wrong":
            raise ConfigError('filter "wrong"', "syntax error")
        self.asked = (device, expression, within)
        self._traffic = iter(traffic)
        self.closed = False

    def packets(self, wait_s: float) -> list[Packet]:
        assert 0 < wait_s <= 0.2
        if (found := next(self._traffic, None)) is None:
            time.sleep(min(wait_s, 0.01))
        return found or []

    def counters(self) -> tuple[int, int]:
        assert not self.closed
        return 9, 3

    def close(self) -> None:
        self.closed = True


class MemoryDataplane:
    """As `hsadc.dataplane.dataplane.Dataplane`.

    Attributes:
        fail_at: the step that fails (from 0) of the next `apply`; None lets it succeed. Undoing never fails.
        steps: how many steps were tried since `apply` began.
        unreachable: tunnel interfaces whose analyzer does not answer.
        probes: interface and frame of what was sent by hand.
        probed: its counters.
        before_apply: called as `apply` begins.
        pki: reads the files of trust domains; without one nobody looks at them.
        pages: the HTML files.
        now: the time.
    """

    def __init__(self, *devices: Device) -> None:
        self._machine = Inventory(devices or (Device("eth0"), Device("eth1"), Device("br0", physical=False)))
        self.drivers = [MemoryDriver(f.name, self._step) for f in fields(Intent)]
        self.fail_at: int | None = None
        self.steps = 0
        self.unreachable: set[str] = set()
        self.before_apply: Callable[[], object] = lambda: None
        self.stopped = False
        self.cleared = 0
        self.probes: list[tuple[str, bytes]] = []
        self.probed: dict[str, DestinationCounters] = {}
        self.traffic: list[list[Packet]] = []
        self.captures: list[MemoryCapture] = []
        self.pki: PkiReader | None = None
        self.left: dict[str, Material] = {}
        self.pages: dict[str, str] = {}
        self.now = NOON
        self._intent = Intent()

    def _step(self) -> None:
        self.steps += 1
        if self.fail_at is not None and self.steps == self.fail_at + 1:
            raise OSError(28, "No space left on device")

    @property
    def objects(self) -> dict:
        """All that is there, by kind."""
        return {d.kind: dict(d.objects) for d in self.drivers}

    def machine(self) -> Inventory:
        return self._machine

    def left_behind(self, domain: TrustDomain) -> Material | None:
        return self.left.get(domain.name)

    def inventory(self, config: Config) -> Inventory:
        files = {} if self.pki is None else self.pki.materials(config.trust_domain.values())
        return replace(self.machine(), materials=files, pages=dict(self.pages), now=self.now)

    def apply(self, intent: Intent) -> Outcome:
        self.before_apply()
        self.steps = 0
        outcome = self._reconcile(intent)
        self._intent = intent
        return outcome

    def repair(self) -> Outcome:
        return self._reconcile(self._intent)

    def stop(self) -> None:
        self._reconcile(Intent())
        self.stopped = True

    def _reconcile(self, intent: Intent) -> Outcome:
        return reconcile([(driver, getattr(intent, driver.kind)) for driver in self.drivers])

    def warnings(self) -> list[str]:
        down = (t for t in self._intent.tunnels if t.interface in self.unreachable)
        return [
            f"interface {t.interface}: {t.encapsulation.destination or t.egress} cannot be reached now: no route" for t in down
        ]

    @property
    def intent(self) -> Intent:
        return self._intent

    mirror_path = "bpf"
    abilities = Abilities("6.18", *(YES for _ in fields(Abilities)[1:]))

    def capture_lost(self) -> dict[str, int]:
        return {} if self.mirror_path == "bpf" else {"eth0": 3, "eth1": 0}

    def network(self) -> tuple[tuple[Link, ...], tuple[Address, ...], tuple[Route, ...]]:
        indices = {d.name: n for n, d in enumerate(self._machine.devices, 2)}
        links = tuple(Link(indices[d.name], d.name, d.mtu_bytes, True, True, True, None) for d in self._machine.devices)
        addresses = tuple(Address(indices[a.device], a.address, False, True) for a in self._intent.addresses)
        routes = [Route(r.destination, r.metric, r.gateway, indices.get(r.device or "", 2), True) for r in self._intent.routes]
        routes += [
            Route(a.interface.network, 0, None, a.index, False) for a in addresses if isinstance(a.interface, IPv4Interface)
        ]
        system = (Address(2, IPv6Interface(a), False, False) for a in ("2001:db8::2/64", "fe80::2/64"))
        return (
            links,
            (*addresses, *system),
            (*routes, Route(IPv4Network("10.99.0.0/16"), 100, IPv4Address("10.0.0.99"), 2, False)),
        )

    def tunnel_state(self, interface: str) -> TunnelState:
        tunnel = next(t for t in self._intent.tunnels if t.interface == interface)
        if interface in self.unreachable:
            past = Past("down", "no route", NOON, Trouble(NOON, "no route"))
            return TunnelState("down", "no route", None, None, None, tunnel.mtu_bytes, "no_route", past)
        past = Past("up", "", NOON)
        if tunnel.encapsulation.kind == "none":
            return TunnelState("up", "", tunnel.egress, None, None, tunnel.mtu_bytes, past=past)
        hop = IPv4Address("10.0.0.254"), "02:00:00:00:00:fe"
        return TunnelState("up", "", tunnel.egress or "eth0", *hop, tunnel.mtu_bytes, past=past)

    def capture(self, device: str, expression: str, within: str = "") -> MemoryCapture:
        self.captures.append(MemoryCapture(device, expression, within, self.traffic))
        return self.captures[-1]

    def mirror_counters(self) -> MirrorCounters:
        sources = {source.id: SEEN for source in (*self._intent.rules, *self._intent.port_mirrors)}
        copied = {(p.number, name): COPIED for p in self._intent.profiles for name in p.destinations}
        probed = {(0, name): count for name, count in self.probed.items()}
        return MirrorCounters(sources, copied | {(0, t.interface): DestinationCounters() for t in self._intent.tunnels} | probed)

    def send_probe(self, interface: str, frame: bytes) -> DestinationCounters:
        self.probes.append((interface, frame))
        if interface in self.unreachable:
            counted = DestinationCounters(copies=1, no_route=1)
        else:
            counted = DestinationCounters(copies=1, sent_packets=1, sent_bytes=len(frame))
        self.probed[interface] = self.probed.get(interface, DestinationCounters()) + counted
        return counted

    def clear_mirror_counters(self) -> None:
        self.cleared += 1

    def ipv6_neighbours(self) -> tuple[Neighbour, ...]:
        return (Neighbour(IPv6Address("2001:db8::9"), "02:00:00:00:00:fe", "eth0", "stale"),)

    def neighbours(self) -> tuple[Neighbour, ...]:
        gateway = Neighbour(IPv4Address("10.0.0.254"), "02:00:00:00:00:fe", "eth0", "reachable")
        return (gateway, Neighbour(IPv4Address("10.1.0.33"), None, "eth1", "failed"))

    def clear_server_counters(self) -> None:
        self.cleared += 10

    def virtual_servers(self) -> dict[int, VirtualServerStatistics]:
        return {r.id: VirtualServerStatistics(r.id, COUNTED, None, COUNTED, (REAL,)) for r in self._intent.rules}

    def datagrams(self) -> dict[int, DatagramStatistics]:
        return {d.id: statistics_of(d, {}, (), self._probed) for d in self._intent.datagrams}

    def _probed(self, probe: Probe) -> ProbeState:
        return ProbeState(probe.type != "icmp", f"{probe} is so", NOON, NOON)

    def datagram_sessions(self) -> Iterator[DatagramSession]:
        for d in self._intent.datagrams:
            flow = Flow(IPv4Address("192.0.2.9"), 4000, d.address, d.port, d.tiers[0].targets[0].address, 53, 30, 1, 80, 1, 300)
            yield DatagramSession(d.id, d.tiers[0].targets[0].real_server, flow)

    def server_sessions(self, most: int, virtual_server: int | None = None) -> tuple[tuple[ServerSession, ...], int]:
        found = [ServerSession("0x1", r.id, "192.0.2.9:4000", "p", "r", NOON, 100, 2000) for r in self._intent.rules]
        chosen = [s for s in found if virtual_server in (None, s.virtual_server)]
        return tuple(chosen[:most]), len(chosen)

    logged = (
        '192.0.2.9:40312 [26/Nov/2026:05:07:11.203] "网站" "p"/"r" 0/0/1/12/13 200 1234 - - ---- 2/2/0/0/0 0/0 "GET / HTTP/1.1"',
        '192.0.2.9:40313 [26/Nov/2026:05:07:12.203] "off" "p"/"r" 1/2/3 77 cD 2/2/0/0/0 0/0',
    )
    server_log_lost = 5

    def server_log(self) -> Iterator[str]:
        return reversed(self.logged)

    def haproxy(self) -> HaproxyState:
        return HaproxyState(7, None, "2.8.25", 2, "exit status 139", 3, 17)


class MemoryAlarm:
    def __init__(self, clock: MemoryClock, seconds: float, call: Callable[[], object]) -> None:
        self._clock, self.due, self.call = clock, clock.seconds + seconds, call

    @property
    def remaining_s(self) -> int:
        return int(max(self.due - self._clock.seconds, 0))

    def cancel(self) -> None:
        self._clock.alarms.discard(self)


class MemoryClock:
    """As `hsadc.config.clock.Clock`; its time passes when `wait` says so, and then its alarms call."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.alarms: set[MemoryAlarm] = set()

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def alarm(self, seconds: float, call: Callable[[], object]) -> MemoryAlarm:
        alarm = MemoryAlarm(self, seconds, call)
        self.alarms.add(alarm)
        return alarm

    def wait(self, seconds: float) -> None:
        end = self.seconds + seconds
        while due := [a for a in self.alarms if a.due <= end]:
            first = min(due, key=lambda a: a.due)
            self.alarms.remove(first)
            self.seconds = max(self.seconds, first.due)
            first.call()
        self.seconds = end


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT = Author("root (console)")


def adc(folder: Path, dataplane: MemoryDataplane | None = None, clock: MemoryClock | None = None) -> Adc:
    """A device with its startup-config and all other files in `folder`."""
    return Adc(load_grammar(), folder / "startup.cfg", folder, dataplane, clock)


def edited(device: Adc, lines: str | Iterable[str]) -> MakeChange:
    """A change that carries out configuration lines."""

    def change(running: Config) -> Change:
        editor = Editor(running)
        for line in lines.splitlines() if isinstance(lines, str) else lines:
            apply_line(device.grammar, editor, line)
        return Change(running, editor.config(), editor.touched)

    return change


def configure(device: Adc, lines: str | Iterable[str]) -> tuple[str, ...]:
    """Commit configuration lines as one transaction; returns its warnings."""
    return device.commit(edited(device, lines), ROOT, "configure").warnings


FULL = """
hostname edge
admin user "root"
  ssh-key ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEYNiQDdVDQzP3ZXm3sylgzjceSFsE1EObd9f4J4rkqI root@box
exit
interface ethernet0/0
  description 上联 uplink
  ip address 10.0.0.1/24
  ip address 10.0.1.1/24 secondary
exit
interface ethernet0/1
  ip address 10.1.0.1/24
  mtu 1400
exit
tunnel gre "隧道"
  description to the analyzer
  source interface ethernet0/0
  destination 10.9.0.2
  interface ethernet0/0
  key 7
exit
tunnel gre "spare"
exit
interface tunnel1
  tunnel gre "隧道"
exit
interface tunnel2
  description not bound
exit
ip route 0.0.0.0/0 10.0.0.254
ip route 10.20.0.0/16 10.77.0.1
app-profile "a" type http
  x-forwarded-for insert
exit
slb real-server "r"
  ip 10.1.0.33
  port 80
exit
slb real-server "服务器二"
  ip 10.1.0.34
  weight 5
exit
slb server-pool "p"
  load-balance least-connection
  real-server "r" port 8080 weight 9
  real-server "服务器二"
exit
slb server-pool "empty"
exit
slb virtual-server "网站" type http id 1
  app-profile "a"
  server-pool "p"
  auto-snat
  ip 10.0.0.1 port 80
  mirror-traffic interface tunnel1
exit
slb virtual-server "off" type tcp id 2
  shutdown
exit
"""
"""Something of everything, on a machine with two ports."""

MIRRORED = """
interface ethernet0/2
  ip address 10.2.0.1/24
exit
tunnel erspan "zeek"
  source interface ethernet0/0
  destination 10.9.0.3
  version 3
  session-id 10
  oversize fragment
exit
tunnel vxlan "cloud"
  source interface ethernet0/0
  destination 10.9.0.4
  vni 42
  oversize truncate
exit
interface tunnel3
  tunnel erspan "zeek"
exit
interface tunnel4
  tunnel vxlan "cloud"
exit
access-list "web"
  deny tcp any any eq 22
  permit tcp any 10.0.0.0/8
exit
mirror-profile "soc"
  destination interface tunnel3
  destination interface tunnel4
  distribute flow-hash
  sampling packet 10
  rate-limit 1000 pps
  access-list "web"
exit
mirror-profile "one in a million"
  destination interface tunnel4
  direction forward
  sampling flow 1000000
  truncate 128
exit
mirror-profile "raw"
  destination interface ethernet0/2
  destination interface tunnel3
exit
interface ethernet0/1
  mirror-traffic profile "soc" access-list "web" direction forward
exit
slb virtual-server "second" type tcp id 3
  server-pool "p"
  auto-snat
  ip 10.0.0.1 port 8080
  mirror-traffic profile "raw"
exit
slb virtual-server "third" type tcp id 4
  server-pool "p"
  auto-snat
  ip 10.0.0.1 port 8081
  mirror-traffic profile "one in a million"
exit
"""
"""More of the mirror, on top of FULL, on a machine with three ports."""

WATCHED = """
slb monitor "alive" type http
exit
slb server-pool "p"
  monitor "alive"
exit
"""
"""More of server load balancing, on top of FULL."""

PORTS = (Device("eth0"), Device("eth1"), Device("eth2"))

UPLINK = IPv4Interface("10.0.0.1/24")
