"""What hsadc itself finds out of servers' health, told to HAProxy, which knows no ICMP and no UDP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from hsadc.dataplane.haproxy_socket import ask, batches
from hsadc.dataplane.haproxy_statistics import Place
from hsadc.intent.haproxy_pool import ServerProbe
from hsadc.intent.probe import Probe

log = logging.getLogger(__name__)
_OWNER = "haproxy"


class State(Protocol):
    """How a probe is."""

    @property
    def up(self) -> bool:
        """Whether what is probed counts as working."""
        ...

    @property
    def known(self) -> bool:
        """Whether a check has decided yet."""
        ...

    @property
    def words(self) -> str:
        """What came of the last check."""
        ...


class Prober(Protocol):
    """What carries out probes."""

    def want(self, owner: str, probes: Iterable[Probe]) -> None:
        """Carry out these for an owner, instead of those that it wanted before."""
        ...

    def state(self, probe: Probe) -> State:
        """How a probe is."""
        ...

    def listen(self, owner: str, listener: Callable[[Probe], None]) -> None:
        """Have a function called when a probe of an owner changes, or is decided for the first time."""
        ...


class Health:
    """Tells workers how probed servers are. Safe for threads: what is told last is what the prober says then."""

    def __init__(self, socket: Path, prober: Prober | None) -> None:
        """Nothing is asked or told yet.

        Args:
            socket: HAProxy's, for commands.
            prober: None leaves all servers as they are.
        """
        self._lock = threading.Lock()
        self._socket = socket
        self._prober = prober
        self._servers: Collection[ServerProbe] = ()
        # The prober checks nothing while it waits for us, and a worker that starts can take its time to answer.
        self._telling = ThreadPoolExecutor(1, "haproxy-health")
        if prober is not None:
            prober.listen(_OWNER, self._changed)

    def want(self, servers: Collection[ServerProbe], there: Collection[str]) -> None:
        """From now on these are probed; those that are no more are taken as working.

        Args:
            servers: to be probed.
            there: the paths (`backend/server`) of all servers of the worker that serves.
        """
        released = paths_of(self._servers) - paths_of(servers)
        self._servers = servers
        if self._prober is not None:
            self._prober.want(_OWNER, {server.probe for server in servers})
        with self._lock:
            self._send(f"set server {path} health up" for path in sorted(released & set(there)))

    def words(self) -> Mapping[Place, str]:
        """What came of the last checks, by backend and server."""
        if self._prober is None:
            return {}
        return {(server.backend, server.server): self._prober.state(server.probe).words for server in self._servers}

    def tell(self, changed: Probe | None = None) -> None:
        """Tell the worker that serves now how its servers are; those of one probe, or all. Right also when none serves."""
        with self._lock:
            self._send(self._commands(changed))

    def _send(self, commands: Iterable[str]) -> None:
        for line in batches(commands):
            try:
                answer = ask(self._socket, line).strip()
            except OSError as e:
                log.info("haproxy was not told of its servers' health, it is when it serves again: %s", e)
                return
            if answer:
                log.warning("haproxy does not take what it is told of its servers' health: %s", answer)

    def _changed(self, probe: Probe) -> None:
        self._telling.submit(self.tell, probe)

    def _commands(self, changed: Probe | None) -> Iterator[str]:
        for server in self._servers:
            if self._prober is None or changed not in (None, server.probe):
                continue
            state = self._prober.state(server.probe)
            if state.known:
                yield f"set server {server.backend}/{server.server} health {'up' if state.up else 'down'}"


def paths_of(servers: Iterable[ServerProbe]) -> frozenset[str]:
    """Probed servers, as HAProxy calls them (`backend/server`)."""
    return frozenset(f"{server.backend}/{server.server}" for server in servers)
