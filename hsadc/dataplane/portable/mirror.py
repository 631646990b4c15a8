"""The mirror without BPF: it has the shape of `hsadc.dataplane.mirror.Mirror`, and copies in this process.

Unlike that one it ends with the process, it sees packets after the kernel has copied them to a ring, and when they come faster
than they can be copied it loses some: they are counted as lost, and the traffic itself goes on undisturbed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hsadc.dataplane import next_hop
from hsadc.dataplane.mirror_counters import DestinationCounters, MirrorCounters
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.next_hop import Watcher
from hsadc.dataplane.portable.copier import Copier, Core
from hsadc.dataplane.portable.core import Intents, MirrorCore, TunnelStatus
from hsadc.dataplane.portable.output import Output, Way
from hsadc.dataplane.portable.path import NO_NEIGHBOUR, UP, Path, find_path
from hsadc.dataplane.portable.predecessor import remove_programs
from hsadc.dataplane.portable.table import Table
from hsadc.dataplane.portable.tap_driver import TapDriver
from hsadc.dataplane.tunnel import TunnelState
from hsadc.dataplane.tunnel_history import TunnelHistory
from hsadc.errors import ApplyError
from hsadc.intent.mirror import AccessListIntent, PortMirrorIntent, ProfileIntent, RuleIntent, TunnelIntent


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a core is made from, all of one moment.

    Attributes:
        paths: of each tunnel's interface.
    """

    tunnels: tuple[TunnelIntent, ...] = ()
    access_lists: tuple[AccessListIntent, ...] = ()
    profiles: tuple[ProfileIntent, ...] = ()
    rules: tuple[RuleIntent, ...] = ()
    port_mirrors: tuple[PortMirrorIntent, ...] = ()
    paths: Mapping[str, Path] = field(default_factory=dict)


MakeCore = Callable[["Wanted", Any], Core]
"""Makes a core of what is wanted; what the one before (None for the first) has counted and numbered goes on."""


def make_core(wanted: Wanted, before: MirrorCore | None) -> MirrorCore:
    """The core that the mirror uses unless it is given another one."""
    intents = Intents(wanted.tunnels, wanted.access_lists, wanted.profiles, wanted.rules, wanted.port_mirrors)
    statuses = {interface: TunnelStatus(path.state, path.mtu_bytes) for interface, path in wanted.paths.items()}
    return MirrorCore(intents, statuses, before.state if before else None)


class PortableMirror:
    """The mirror in the network namespace of the thread that makes this object, whose threads are in the same.

    Methods may be called from any thread.

    Attributes:
        tunnels, access_lists, profiles, rules, port_mirrors, taps: the drivers, in the order of dependence.
    """

    path = "portable"

    def __init__(self, make_core: MakeCore = make_core) -> None:
        """Nothing is seen or sent yet.

        Raises:
            Unsupported: the process may not read or send packets; says which capability is missing.
            OSError: there is no rtnetlink, or no file descriptor left.
        """
        Output(Way(0)).close()  # what is not allowed shows now
        self._make_core = make_core
        self._lock = threading.RLock()
        self._netlink = Netlink()
        self._copier = Copier(make_core(Wanted(), None))
        self._watcher: Watcher | None = None
        self._paths: dict[str, tuple[TunnelIntent, Path]] = {}
        self._verify_at = 0.0
        self._history = TunnelHistory()
        self.tunnels: Table[TunnelIntent] = Table("tunnel", self._find_new_paths)
        self.access_lists: Table[AccessListIntent] = Table("access-list", self._renew)
        self.profiles: Table[ProfileIntent] = Table("mirror profile", self._renew, self._missing_to_profile)
        self.rules: Table[RuleIntent] = Table("mirror rule", self._renew, self._missing_to_rule)
        self.port_mirrors: Table[PortMirrorIntent] = Table("port mirror", self._renew, self._missing_to_port_mirror)
        self.taps = TapDriver(self._copier)

    def start_watching(self) -> None:
        """Copy, and keep next hops right, from now on; what BPF programs of an earlier run still copied ends here.

        Raises:
            NetlinkError, OSError: the kernel refuses.
        """
        if self._watcher is None:
            with self._lock:
                remove_programs(self._netlink)
            self._copier.start()
            self._watcher = Watcher(self.refresh)

    def stop(self) -> None:
        """End the mirror, and let go of everything."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        self._copier.stop()
        self._netlink.close()

    def tunnel_state(self, interface: str) -> TunnelState:
        """How it stands with a tunnel's interface.

        Raises:
            KeyError: there is no such tunnel.
        """
        with self._lock:
            tunnel = self.tunnels.observe({})[interface]
            path = find_path(self._netlink, tunnel)
        state = _state(path, tunnel.mtu_bytes)
        return replace(state, past=self._history.note(interface, state.state, state.reason))

    def counters(self) -> MirrorCounters:
        """All counters, since their object was made or they were cleared."""
        return self._copier.counters()

    def send_probe(self, interface: str, frame: bytes) -> DestinationCounters:
        """Send a frame by a tunnel's interface as a copy that no source and no profile has made.

        Returns:
            What was counted.

        Raises:
            ApplyError: there is no such tunnel.
        """
        try:
            return self._copier.probe(interface, frame)
        except KeyError:
            raise ApplyError(f"send a probe by {interface}", "there is no such tunnel") from None

    def clear_counters(self) -> None:
        """Set all counters to zero, those of lost packets, too."""
        self._copier.clear_counters()

    def capture_lost(self) -> Mapping[str, int]:
        """Packets that passed a tapped device and were not seen, by device, since the tap was made or counters were cleared."""
        return self._copier.lost()

    def refresh(self) -> float | None:
        """Bring all tunnels up to date with the kernel's routes and neighbours; see `TunnelDriver.refresh` of the BPF path.

        Returns:
            In how many seconds this is to be done again even when nothing is heard of a change; None without tunnels.
        """
        with self._lock:
            now = time.monotonic()
            self._set_paths({t.interface: (t, find_path(self._netlink, t)) for t in self.tunnels.all()})
            paths = [path for _, path in self._paths.values()]
            if now >= self._verify_at:
                self._verify_at = now + next_hop.VERIFY_INTERVAL_S
                for path in paths:
                    if path.hop is not None:
                        next_hop.verify(self._netlink, path.hop)
        if any(path.state == NO_NEIGHBOUR for path in paths):
            return next_hop.PROBE_INTERVAL_S
        return max(self._verify_at - now, 0) if paths else None

    def _find_new_paths(self) -> None:
        """After a change of the tunnels: look up those that have changed alone."""
        with self._lock:
            known = self._paths
            self._set_paths(
                {
                    t.interface: known[t.interface]
                    if t.interface in known and known[t.interface][0] == t
                    else (t, find_path(self._netlink, t))
                    for t in self.tunnels.all()
                }
            )

    def _set_paths(self, paths: dict[str, tuple[TunnelIntent, Path]]) -> None:
        """Ask for next hops that are not known, and put what has changed into force."""
        self._history.keep(paths)
        for interface, (tunnel, path) in paths.items():
            state = _state(path, tunnel.mtu_bytes)
            self._history.note(interface, state.state, state.reason)
            if path.state == NO_NEIGHBOUR and path.hop is not None:
                next_hop.probe(self._netlink, path.hop)
        if _in_force(self._paths) == _in_force(paths):
            self._paths = paths
            return
        ways = self._copier.ways()
        wanted = {interface: path.way for interface, (_, path) in paths.items() if path.way is not None}
        new = {interface: Output(way) for interface, way in wanted.items() if way != ways.get(interface)}
        self._paths = paths
        self._copier.set_outputs({**dict.fromkeys(ways.keys() - wanted.keys()), **new}, self._maker())

    def _renew(self) -> None:
        """Have the next packets decided by what is in the tables now."""
        with self._lock:
            self._copier.renew_core(self._maker())

    def _maker(self) -> Callable[[Any], Core]:
        """Makes the core of what is in the tables now."""
        wanted = Wanted(
            self.tunnels.all(),
            self.access_lists.all(),
            self.profiles.all(),
            self.rules.all(),
            self.port_mirrors.all(),
            {interface: path for interface, (_, path) in self._paths.items()},
        )
        return lambda before: self._make_core(wanted, before)

    def _missing_to_profile(self, profile: ProfileIntent) -> Iterator[str]:
        yield from (name for name in profile.destinations if name not in self.tunnels)
        yield from self._missing_list(profile.access_list)

    def _missing_to_rule(self, rule: RuleIntent) -> Iterator[str]:
        if rule.profile not in self.profiles:
            yield f"mirror profile {rule.profile}"

    def _missing_to_port_mirror(self, mirror: PortMirrorIntent) -> Iterator[str]:
        if mirror.profile not in self.profiles:
            yield f"mirror profile {mirror.profile}"
        yield from self._missing_list(mirror.access_list)

    def _missing_list(self, number: int) -> Iterator[str]:
        if number and number not in self.access_lists:
            yield f"access-list {number}"


def _state(path: Path, mtu_bytes: int) -> TunnelState:
    mtu = min(mtu_bytes, path.mtu_bytes or mtu_bytes)
    address, mac = (None, None) if path.hop is None else (path.hop.address, path.hop.mac)
    if path.state != UP:
        return TunnelState("down", path.reason, path.device, address, mac, mtu, path.state)
    if mtu < mtu_bytes:
        reason = f"{path.device} takes packets of {mtu} bytes, not {mtu_bytes}"
        return TunnelState("degraded", reason, path.device, address, mac, mtu)
    return TunnelState("up", "", path.device, address, mac, mtu)


def _in_force(paths: Mapping[str, tuple[TunnelIntent, Path]]) -> Mapping[str, object]:
    """What core and outputs are made from."""
    return {name: (tunnel, path.state, path.mtu_bytes, path.way) for name, (tunnel, path) in paths.items()}
