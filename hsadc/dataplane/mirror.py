"""The mirror: one object that owns programs and maps, hands out their drivers, and tells how it stands.

    packet --tap--> goes on unchanged
              +---> clone --> helper device of tunnelN --encapsulator--> GRE --> next hop --> analyzer

Make tunnel, rule and tap in this order, and remove them in the opposite one: each refers to what was made before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import RuleCounters, TunnelCounters, encode_index
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.next_hop import Watcher
from hsadc.dataplane.rule import RuleDriver, rules
from hsadc.dataplane.tap import TapDriver
from hsadc.dataplane.tunnel import TunnelDriver, TunnelState, helpers


@dataclass(frozen=True, slots=True)
class MirrorCounters:
    """What was matched by each rule's id, and what became of the copies of each tunnel interface."""

    rules: Mapping[int, RuleCounters]
    tunnels: Mapping[str, TunnelCounters]


class Mirror:
    """The mirror in the network namespace of the thread that makes this object.

    Methods may be called from any thread, also from one that runs an event loop: one socket is opened at first, and used by one
    thread at a time until `stop`. `tunnels.create` needs a thread in the same namespace, where /proc/sys shows the new device.

    Attributes:
        tunnels: driver of GRE tunnels.
        rules: driver of mirror rules.
        taps: driver of taps.
    """

    def __init__(self) -> None:
        """Nothing is touched yet.

        Raises:
            OSError: there is no rtnetlink, or no file descriptor left.
        """
        self._objects = Objects(Netlink())
        self.tunnels = TunnelDriver(self._objects)
        self.rules = RuleDriver(self._objects)
        self.taps = TapDriver(self._objects)
        self._watcher: Watcher | None = None

    def start_watching(self) -> None:
        """Keep next hops right from now on; without it they stay as they were when a tunnel was made."""
        if self._watcher is None:
            self._watcher = Watcher(self.tunnels.refresh)

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
            tunnels = maps["tunnel_counters"]
            by_rule = {rule.id: maps["rule_counters"].get(encode_index(rule.id)) for rule in rules(maps).values()}
            by_tunnel = {name: tunnels.get(encode_index(i)) for name, i in helpers(self._objects.netlink).items()}
        return MirrorCounters(
            {rule: RuleCounters.decode(value) for rule, value in by_rule.items() if value is not None},
            {name: TunnelCounters.decode(value) for name, value in by_tunnel.items() if value is not None},
        )

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        with self._objects.lock:
            maps = self._objects.adopt()
            for name in ("rule_counters", "tunnel_counters") if maps else ():
                for key in list(maps[name].keys()):
                    maps[name].set(key)
