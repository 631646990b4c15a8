"""The mirror: one object that owns programs and maps, hands out their drivers, and tells how it stands.

    packet --tap--> goes on unchanged
              +---> clone --> helper device of tunnelN --encapsulator--> next hop --> analyzer

Make tunnels, access lists, profiles, rules and taps in this order, and remove them in the opposite one: each refers to what was
made before it.
"""

from __future__ import annotations

from hsadc.dataplane.access_list import AccessListDriver
from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import (
    decode_destination_counters,
    decode_index,
    decode_pair,
    decode_source_counters,
)
from hsadc.dataplane.helper_device import helpers
from hsadc.dataplane.mirror_counters import PROBES, DestinationCounters, MirrorCounters
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.next_hop import Watcher
from hsadc.dataplane.probe import send_into
from hsadc.dataplane.profile import ProfileDriver
from hsadc.dataplane.rule import PortMirrorDriver, RuleDriver, ids_in_use
from hsadc.dataplane.tap import TapDriver
from hsadc.dataplane.tunnel import TunnelDriver, TunnelState


class Mirror:
    """The mirror in the network namespace of the thread that makes this object.

    Methods may be called from any thread, also from one that runs an event loop: one socket is opened at first, and used by one
    thread at a time until `stop`. `tunnels.create` needs a thread in the same namespace, where /proc/sys shows the new device.

    Attributes:
        tunnels: driver of tunnels.
        access_lists: driver of access lists.
        profiles: driver of profiles.
        rules: driver of virtual servers' rules.
        port_mirrors: driver of devices' mirrors.
        taps: driver of taps.
    """

    path = "bpf"

    def __init__(self) -> None:
        """Nothing is touched yet.

        Raises:
            OSError: there is no rtnetlink, or no file descriptor left.
        """
        self._objects = Objects(Netlink())
        self.access_lists = AccessListDriver(self._objects)
        self.profiles = ProfileDriver(self._objects)
        self.tunnels = TunnelDriver(self._objects)
        self.rules = RuleDriver(self._objects)
        self.port_mirrors = PortMirrorDriver(self._objects)
        self.taps = TapDriver(self._objects)
        self._watcher: Watcher | None = None

    def start_watching(self) -> None:
        """Keep next hops right from now on; without it they stay as they were when a tunnel was made."""
        if self._watcher is None:
            self._watcher = Watcher(self.refresh)

    def refresh(self) -> float | None:
        """Bring tunnels and profiles up to date with the kernel's routes and neighbours; see `TunnelDriver.refresh`."""
        with self._objects.lock:
            pause_s = self.tunnels.refresh()
            self.profiles.refresh()
        return pause_s

    def stop(self) -> None:
        """Stop watching and let go of everything; the mirror itself stays in force."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        with self._objects.lock:
            self._objects.close()
        self._objects.netlink.close()

    def tunnel_state(self, interface: str) -> TunnelState:
        """How it stands with a tunnel interface.

        Raises:
            KeyError: there is no such tunnel.
        """
        return self.tunnels.state(interface)

    def counters(self) -> MirrorCounters:
        """All counters, since their object was made or they were cleared."""
        with self._objects.lock:
            maps = self._objects.adopt()
            if not maps:
                return MirrorCounters({}, {})
            names = {ifindex: name for name, ifindex in helpers(self._objects.netlink).items()}
            used = ids_in_use(maps)
            counted = {key: v for key, v in maps["source_counters"].items() if key in used}
            sources = {decode_index(key): decode_source_counters(v) for key, v in counted.items()}
            destinations = {decode_pair(key): decode_destination_counters(v) for key, v in maps["copy_counters"].items()}
        return MirrorCounters(sources, {(p, names[helper]): c for (p, helper), c in destinations.items() if helper in names})

    def send_probe(self, interface: str, frame: bytes) -> DestinationCounters:
        """Send a frame by a tunnel's interface as a copy that no source and no profile has made; see `send_into`.

        Returns:
            What has been counted meanwhile: other probes, too.

        Raises:
            ApplyError: there is no such tunnel, or the frame is not taken.
        """
        before = self._probes(interface)
        send_into(interface, frame)
        return self._probes(interface) - before

    def _probes(self, interface: str) -> DestinationCounters:
        return self.counters().destinations.get((PROBES, interface), DestinationCounters())

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        with self._objects.lock:
            maps = self._objects.adopt()
            for name in ("source_counters", "copy_counters") if maps else ():
                for key in list(maps[name].keys()):
                    maps[name].set(key)
