"""The driver of virtual servers of type udp: nftables hands flows to those real servers that work.

    change of the configuration: create, change, delete --.
                                                           +--> the table, in one transaction --> flows that must not go on
    a real server went up or down: refresh ---------------'                                       are forgotten

Flows are conntrack's: a change of the table leaves them alone, and so does a restart of the daemon.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane import nft
from hsadc.dataplane.conntrack import Conntrack
from hsadc.dataplane.datagram_kernel import DatagramKernel
from hsadc.dataplane.datagram_rules import Endpoint, ServerRules, endpoint, kept, presumed_down, render, serving, targets
from hsadc.dataplane.datagram_statistics import DatagramSession, DatagramStatistics, sessions_of, statistics_of
from hsadc.dataplane.datagram_table import TABLE
from hsadc.dataplane.forwarding import Forwarding
from hsadc.dataplane.prober import Prober
from hsadc.intent.datagram import DatagramIntent, DatagramTarget
from hsadc.intent.probe import Probe

OWNER = "datagram"
"""Of what the prober checks."""
_log = logging.getLogger(__name__)
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
        self._presumed_down: frozenset[Probe] = frozenset()
        self._looked = False

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
                return {_NOBODY: _found(_NOBODY, ())}
            return {number: server for number, server in found.items()}  # noqa: C416 the keys are of a wider type

    def prepare(self, wanted: Mapping[Hashable, DatagramIntent]) -> None:
        """Ask for what is needed.

        Raises:
            Unsupported: the program nft is not there.
        """
        if wanted:
            nft.require()

    def create(self, new: DatagramIntent) -> None:
        """Serve it.

        Raises:
            ApplyError, OSError: the system refuses; all is as before.
        """
        self._put({new.id: new})

    def change(self, old: DatagramIntent, new: DatagramIntent) -> None:  # noqa: ARG002 what is in force is known
        """Serve it otherwise; flows go on, but those that cannot.

        Raises:
            ApplyError, OSError: the system refuses; all is as before.
        """
        if not isinstance(new, _Found):
            self._put({new.id: new})

    def delete(self, old: DatagramIntent) -> None:
        """Serve it no more; its flows end.

        Raises:
            ApplyError, OSError: the system refuses; all is as before.
        """
        with self._lock:
            gone = self._servers.get(old.id, old)
            self._put({old.id: None})
            self._forget_listener(gone)

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
            for server in self._checked_by(probes).values():
                self._forget(server, kept(server, self._works))

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
            for server in servers:
                yield from sessions_of(server, conntrack.flows(server.address, server.port))

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
            return _found(number, there.elements)
        self._kernel.servers[number] = written  # which has the rule's text
        return server

    def _put(self, changed: Mapping[int, DatagramIntent | None]) -> None:
        with self._lock:
            after = {n: server for n, server in {**self._servers, **changed}.items() if server is not None}
            rules = {n: None if server is None else render(server, self._works) for n, server in changed.items()}
            aside, back = self._displaced(changed, after)
            self._kernel.write({**aside, **rules, **back}, frozenset(s.address.version for s in after.values()))
            before, self._servers = self._servers, after
            self._want()
            for number, server in changed.items():
                if server is not None:
                    self._end_flows(before.get(number), server)

    def _displaced(
        self, changed: Mapping[int, DatagramIntent | None], after: Mapping[int, DatagramIntent]
    ) -> tuple[dict[int, ServerRules | None], dict[int, ServerRules | None]]:
        """The parts of those that must step aside, and of those that may come back.

        While a configuration is put in force step by step, one virtual server may get the address and port of another, whose turn
        to change is still to come.
        """
        others = {n: server for n, server in after.items() if n not in changed}
        new = {_listener(server) for server in changed.values() if server is not None}
        aside = [n for n, server in others.items() if _listener(server) in new]
        back = [n for n in others if n not in self._kernel.servers and n not in aside]
        return dict.fromkeys(aside), {n: render(others[n], self._works) for n in back}

    def _end_flows(self, old: DatagramIntent | None, new: DatagramIntent) -> None:
        if old is not None and _listener(old) != _listener(new):
            self._forget_listener(old)
        same_source = old is None or old.auto_snat == new.auto_snat
        self._forget(new, kept(new, self._works) if same_source else ())

    def _forget_listener(self, old: DatagramIntent) -> None:
        """Forget all flows to where a virtual server listened, unless another one listens there now."""
        if old.port and not any(_listener(s) == _listener(old) for s in self._servers.values()):
            self._forget(old, ())

    def _forget(self, server: DatagramIntent, but: Collection[Endpoint]) -> None:
        """Forget a virtual server's flows but those to some targets; their next packets begin new ones."""
        try:
            with Conntrack() as conntrack:
                flows = conntrack.flows(server.address, server.port)
                conntrack.forget([flow for flow in flows if (str(flow.target), flow.target_port) not in but])
        except (NetlinkError, OSError):
            _log.exception("flows to %s go on that should not", server)

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


def _listener(server: DatagramIntent) -> tuple[object, int]:
    return server.address, server.port


def _found(number: int, elements: Iterable[tuple[str, str]]) -> _Found:
    """Where a virtual server listens by the table; port 0 when that is not to be seen."""
    listener = next((key for name, key in elements if name.startswith("listeners")), "0.0.0.0 . 0")
    address, _, port = listener.partition(" . ")
    return _Found(number, ip_address(address), int(port), (), False)
