"""Virtual servers of type udp: flows that the kernel hands to real servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from hsadc.intent.probe import Probe, compile_probe
from hsadc.model.config import Config
from hsadc.model.pools import with_backups
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.virtual_server import Listener, VirtualServer


@dataclass(frozen=True, slots=True)
class DatagramTarget:
    """A real server of a pool.

    Attributes:
        real_server: its name.
        address: of the virtual server's family.
        port: 1 to 65535.
        weight: share of the flows, 1 to 255.
        state: `enable`, `drain` (it keeps the flows that it has) or `disable` (they are forgotten).
        probe: how it is checked; None takes it as working.
    """

    real_server: str
    address: IPv4Address | IPv6Address
    port: int
    weight: int = 1
    state: str = "enable"
    probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class DatagramTier:
    """Targets of one priority of one pool.

    Attributes:
        targets: in the order of the pool.
        minimum: so many must work, else the next tier serves.
        load_balance: `weighted-round-robin`, `round-robin`, `random` or `source-hash`.
    """

    targets: tuple[DatagramTarget, ...]
    minimum: int = 1
    load_balance: str = "weighted-round-robin"


@dataclass(frozen=True, slots=True)
class DatagramIntent:
    """A virtual server of type udp.

    Attributes:
        id: the virtual server's number.
        address: where it listens.
        port: UDP port.
        tiers: the first that has enough working targets serves; when none has, clients get an ICMP error.
        auto_snat: whether real servers see this device's address instead of the client's.
    """

    id: int
    address: IPv4Address | IPv6Address
    port: int
    tiers: tuple[DatagramTier, ...]
    auto_snat: bool

    @property
    def key(self) -> int:
        """One per virtual server."""
        return self.id

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.address} port {self.port}"


def compile_datagrams(config: Config, served: Iterable[VirtualServer]) -> tuple[DatagramIntent, ...]:
    """Those of the virtual servers that are of type udp, by number.

    Real servers without an address, or with one of another family than the virtual server's, are left out.

    Args:
        config: where pools, real servers and monitors are looked up; its references are not dangling.
        served: the virtual servers in force, of all types.
    """
    return tuple(
        DatagramIntent(
            server.id,
            server.ip.address,
            server.ip.port,
            tuple(tier for _, tier in _tiers(config, server, server.ip)),
            server.auto_snat,
        )
        for server in sorted(served, key=lambda v: v.id)
        if server.type == "udp" and server.ip is not None
    )


def pools_of_tiers(config: Config, server: VirtualServer) -> tuple[str, ...]:
    """The names of the pools whose the tiers of a virtual server are, tier by tier."""
    return tuple(pool for pool, _ in _tiers(config, server, server.ip)) if server.ip is not None else ()


def _tiers(config: Config, server: VirtualServer, listener: Listener) -> Iterator[tuple[str, DatagramTier]]:
    for pool in with_backups(config, server.server_pool):
        targets = [(m.priority, t) for m in pool.members.values() if (t := _target(config, listener, pool, m)) is not None]
        bound = pool.persistence is not None and pool.persistence.kind == "source-ip"
        for priority in sorted({p for p, _ in targets}, reverse=True):
            serving = tuple(t for p, t in targets if p == priority)
            balance = "source-hash" if bound else pool.load_balance
            yield pool.name, DatagramTier(serving, pool.minimum_working_servers, balance)


def _target(config: Config, listener: Listener, pool: ServerPool, member: PoolMember) -> DatagramTarget | None:
    real = config.real_server[member.real_server]
    if real.ip is None or real.ip.version != listener.address.version:
        return None
    port = member.port or real.port or listener.port
    monitor = config.monitor.get(real.monitor or pool.monitor or "")
    probe = None if monitor is None else compile_probe(monitor, real.ip, port)
    return DatagramTarget(real.name, real.ip, port, member.weight or real.weight, real.state, probe)
