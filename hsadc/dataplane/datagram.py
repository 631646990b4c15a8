"""The driver of virtual servers of type udp: nftables hands flows to those real servers that work.

    change of the configuration: create, change, delete --.
                                                           +--> the table, in one transaction --> flows that must not go on
    a real server went up or down: refresh ---------------'                                       are forgotten

Flows are conntrack's: a change of the table leaves them alone, and so does a restart of the daemon.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from hsadc.dataplane import nft
from hsadc.dataplane.conntrack import Conntrack, Listener
from hsadc.dataplane.datagram_flows import KeptFlows, end_flows
from hsadc.dataplane.datagram_kernel import DatagramKernel
from hsadc.dataplane.datagram_rules import (
    Endpoint,
    ServerRules,
    endpoint,
    kept,
    listener_of,
    presumed_down,
    render,
    serving,
    targets,
)
from hsadc.dataplane.datagram_statistics import DatagramSession, DatagramStatistics, sessions_of, statistics_of
from hsadc.dataplane.datagram_table import TABLE
from hsadc.dataplane.forwarding import Forwarding
from hsadc.dataplane.prober import Prober
from hsadc.intent.datagram import DatagramIntent, DatagramTarget
from hsadc.intent.probe import Probe

OWNER = "datagram"
"""Of what the prober checks."""
_NOBODY = 0


@dataclass(frozen=True, slots=True)
class _Found(DatagramIntent):
    """What is there but is not as anybody wants it. To put it back is to leave things as they are."""


class DatagramDriver:
    """The driver of `DatagramIntent`. Safe for use by several threads.

    Attributes:
        kind: the driver's name in errors.
    """

    kind = "udp virtual server"

    def __init__(self, prober: Prober, forwarding: Forwarding) -> None:
        """Nothing is touched yet.

        Args:
            prober: checks the real servers; the caller's, who starts and stops it.
            forwarding: of this network namespace.
        """
        self._lock = threading.RLock()
        self._prober = prober
        self._kernel = DatagramKernel(forwarding)
        self._servers: dict[int, DatagramIntent] = {}  # in force
        self._flows = KeptFlows()
        self._presumed_down: frozenset[Probe] = frozenset()
        self._looked = False
        self._wanted: Mapping[int, DatagramIntent] = {}  # by the transaction that is going on
        self._coming: Mapping[int, DatagramIntent] = {}

    def observe(self, wanted: Mapping[Hashable, DatagramIntent]) -> Mapping[Hashable, DatagramIntent]:
        """The virtual servers in the table; one that an earlier daemon made, and that is as it is wanted, is adopted."""
        with self._lock:
            if not wanted and ((self._looked and self._kernel.untouched) or not nft.installed()):
                return {}
            written = self._kernel.servers
            table = self._kernel.read()
            self._looked = True
            live = {} if table is None else table.live
            found = {n: self._observed(n, wanted.get(n), written.get(n), live.get(n, frozenset())) for n in self._kernel.servers}
            self._servers = {n: server for n, server in found.items() if not isinstance(server, _Found)}
            self._want()
            if not found and not wanted and not self._kernel.untouched:
                return {_NOBODY: _found(_NOBODY, None)}
            return {number: server for number, server in found.items()}  # noqa: C416 the keys are of a wider type

    def prepare(self, wanted: Mapping[Hashable, DatagramIntent]) -> None:
        """Ask for what is needed.

        Raises:
            Unsupported: the program nft is not there.
        """
        if wanted:
            nft.require()
        with self._lock:
            self._wanted = self._coming = {server.id: server for server in wanted.values()}

    def create(self, new: DatagramIntent) -> None:
        """Serve it, and all others that are wanted with it: the kernel goes from one configuration to the other at once.

        Raises:
            ApplyError, OSError: the system refuses; all is as before.
        """
        with self._lock:
            coming, self._coming = {**self._coming, new.id: new}, {}
            if differing := {n: server for n, server in coming.items() if not self._in_force(server)}:
                self._put(differing)

    def change(self, old: DatagramIntent, new: DatagramIntent) -> None:  # noqa: ARG002 what is in force is known
        """Serve it otherwise, as `create`; flows go on, but those that cannot.

        Raises:
            ApplyError, OSError: the system refuses; all is as before.
        """
        if not isinstance(new, _Found):
            self.create(new)

    def delete(self, old: DatagramIntent) -> None:
        """Serve it no more, nor others that are not wanted; its flows end.

        Raises:
            ApplyError, OSError: the system refuses; all is as before.
        """
        with self._lock:
            surplus = self._kernel.servers.keys() - self._wanted.keys() if old.id not in self._wanted else set()
            if old.id == _NOBODY or old.id in self._servers or old.id in self._kernel.servers:
                self._put(dict.fromkeys({old.id, *surplus}))

    def refresh(self, probes: Collection[Probe]) -> None:
        """Have flows go to what works now, after these probes went up or down.

        Raises:
            ApplyError, OSError: the system refuses.
        """
        with self._lock:
            self._presumed_down -= {probe for probe in probes if self._prober.state(probe).known}
            if changed := self._checked_by(probes):
                self._put(changed)

    def sweep(self, probes: Collection[Probe]) -> None:
        """Forget the flows to real servers that these probes say are down.

        A packet that was on its way when the table changed may have begun one after flows were forgotten.
        """
        with self._lock:
            servers = self._checked_by(probes).values()
            end_flows({(server.address, server.port): kept(server, self._works) for server in servers})

    def statistics(self) -> Mapping[int, DatagramStatistics]:
        """What was counted of each virtual server in force, by its number.

        Raises:
            ApplyError: the system refuses.
        """
        with self._lock:
            counted = nft.counters(TABLE) if self._servers else {}
            return {n: self._statistics(server, counted) for n, server in self._servers.items()}

    def clear_counters(self) -> None:
        """Set all counters to zero.

        Raises:
            ApplyError: the system refuses.
        """
        with self._lock:
            if self._servers:
                nft.reset_counters(TABLE)

    def sessions(self) -> Iterator[DatagramSession]:
        """The flows of the virtual servers in force.

        Raises:
            NetlinkError, OSError: the kernel refuses.
        """
        with self._lock:
            servers = list(self._servers.values())
        with Conntrack() as conntrack:
            yield from sessions_of(servers, conntrack.flows((server.address, server.port) for server in servers))

    def _observed(
        self, number: int, wanted: DatagramIntent | None, written: ServerRules | None, live: frozenset[Endpoint]
    ) -> DatagramIntent:
        """What a virtual server's part of the table is."""
        there, server = self._kernel.servers[number], self._servers.get(number)
        if server is None and wanted is not None:
            self._presumed_down |= presumed_down(wanted, live)
            server, written = wanted, render(wanted, self._works)
        right = server is not None and there == written and self._kernel.right and self._kernel.forwards(server.address.version)
        if server is None or written is None or not right:
            return _found(number, there)
        # With the rule's text, which the kernel does not tell.
        self._kernel.servers[number] = replace(written, branch=there.branch)
        return server

    def _in_force(self, server: DatagramIntent) -> bool:
        return self._servers.get(server.id) == server and server.id in self._kernel.servers

    def _put(self, changed: Mapping[int, DatagramIntent | None]) -> None:
        """Serve some virtual servers otherwise, all at once; None serves one no more. The lock is held."""
        after = {n: server for n, server in {**self._servers, **changed}.items() if server is not None}
        rules = {n: None if server is None else render(server, self._works) for n, server in changed.items()}
        aside, back = self._displaced(changed, after)
        left = [listener for n in changed if (listener := listener_of(self._kernel.servers.get(n))) is not None]
        self._kernel.write({**aside, **rules, **back}, frozenset(s.address.version for s in after.values()))
        before, self._servers = self._servers, after
        self._want()
        served = {(server.address, server.port) for server in after.values()}
        ending: dict[Listener, Collection[Endpoint]] = {listener: () for listener in left if listener not in served}
        for number, new in changed.items():
            ending |= self._flows.change(number, before.get(number), new, self._works)
        end_flows(ending)

    def _displaced(
        self, changed: Mapping[int, DatagramIntent | None], after: Mapping[int, DatagramIntent]
    ) -> tuple[dict[int, ServerRules | None], dict[int, ServerRules | None]]:
        """The parts of those that must step aside, and of those that may come back.

        A virtual server may get the address and port of another whose turn to go is still to come: what is no longer wanted goes
        last.
        """
        others = {n: server for n, server in after.items() if n not in changed}
        new = {(server.address, server.port) for server in changed.values() if server is not None}
        aside = [n for n, server in others.items() if (server.address, server.port) in new]
        back = [n for n in others if n not in self._kernel.servers and n not in aside]
        return dict.fromkeys(aside), {n: render(others[n], self._works) for n in back}

    def _checked_by(self, probes: Collection[Probe]) -> dict[int, DatagramIntent]:
        return {n: server for n, server in self._servers.items() if any(t.probe in probes for t in targets(server))}

    def _want(self) -> None:
        every = (t for server in self._servers.values() for t in targets(server))
        self._prober.want(OWNER, {t.probe for t in every if t.probe is not None and t.state != "disable"})

    def _works(self, target: DatagramTarget) -> bool:
        if target.probe is None:
            return True
        state = self._prober.state(target.probe)
        return state.up if state.known else target.probe not in self._presumed_down

    def _statistics(self, server: DatagramIntent, counted: Mapping[str, tuple[int, int]]) -> DatagramStatistics:
        _, taking = serving(server, self._works) or ("", ())
        return statistics_of(server, counted, {endpoint(t) for t in taking}, self._prober.state)


def _found(number: int, rules: ServerRules | None) -> _Found:
    """What is there of a virtual server; port 0 when it is not to be seen where it listens."""
    address, port = listener_of(rules) or (IPv4Address(0), 0)
    return _Found(number, address, port, (), False)
