"""HAProxy's backends: real servers, their monitors, and which of them serve when others do not.

The members of one priority of a pool are a *tier*, a backend of its own. A virtual server goes through the tiers of its pool,
the highest priority first, then through those of the backup pool, and serves from the first that has enough working servers;
behind the last one stands a tier without servers, which says that nothing serves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from hsadc.intent.haproxy_tls import server_words
from hsadc.intent.haproxy_word import encode_name, endpoint, file_name, path, quote
from hsadc.intent.probe import Probe, compile_probe
from hsadc.model.app_profile import AppProfile
from hsadc.model.config import Config
from hsadc.model.monitor import Monitor
from hsadc.model.pools import with_backups
from hsadc.model.real_server import RealServer
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.virtual_server import HTTP_TYPES, VirtualServer

_BALANCE = {
    "weighted-round-robin": ("balance roundrobin",),
    "round-robin": ("balance roundrobin",),
    "least-connection": ("balance leastconn",),
    # Consistent: when a server comes or goes, only its own clients move.
    "source-hash": ("balance source", "hash-type consistent"),
    "uri-hash": ("balance uri", "hash-type consistent"),
    "random": ("balance random",),
}
_TABLE_SIZE = "200k"
PEERS = "hsadc"
"""The section of the driver's by which a worker hands its stick tables to the next one."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A backend.

    Attributes:
        backend: its name.
        pool: whose servers it has.
        members: those; none in the last tier, which says that nothing serves.
        minimum: so many must work, else the next tier serves.
        sorry_page: file that clients are shown when it cannot serve; None shows HAProxy's own words.
    """

    backend: str
    pool: ServerPool
    members: tuple[tuple[PoolMember, RealServer], ...]
    minimum: int
    sorry_page: str | None


@dataclass(frozen=True, slots=True)
class ServerProbe:
    """A server of a backend that hsadc itself checks.

    Attributes:
        backend: HAProxy's name of the backend.
        server: HAProxy's name of the server.
        probe: how it is checked.
    """

    backend: str
    server: str
    probe: Probe


class Tiers:
    """The tiers of one virtual server: of its pool, and of those that its rules name."""

    def __init__(self, config: Config, server: VirtualServer) -> None:
        self._config = config
        self._server = server
        self._chains: dict[str, list[Tier]] = {}

    def chain(self, pool: str) -> list[Tier]:
        """The tiers by which a pool's traffic is served, in order."""
        if pool not in self._chains:
            self._chains[pool] = list(self._chain(pool, sum(map(len, self._chains.values()))))
        return self._chains[pool]

    def all(self) -> Iterator[Tier]:
        """Those of all pools that were asked for."""
        for chain in self._chains.values():
            yield from chain

    def _chain(self, name: str, number: int) -> Iterator[Tier]:
        pools = list(with_backups(self._config, name))
        sorry = next((p.sorry_page for p in pools if p.sorry_page), None)
        first, tiers = pools[0], [tier for pool in pools for tier in self._tiers(pool)]
        if len(tiers) != 1 or tiers[0][1] > 1:
            tiers.append((first, 0, ()))
        for pool, minimum, members in tiers:
            number += 1
            backend = f"pool{self._server.id}.{number}_{encode_name(pool.name)}"
            yield Tier(backend, pool, members, minimum, sorry)

    def _tiers(self, pool: ServerPool) -> Iterator[tuple[ServerPool, int, tuple[tuple[PoolMember, RealServer], ...]]]:
        members = [(m, self._config.real_server[m.real_server]) for m in pool.members.values()]
        usable = [(m, r) for m, r in members if r.ip is not None and self._can_reach(r)]
        for priority in sorted({m.priority for m, _ in usable}, reverse=True):
            yield pool, pool.minimum_working_servers, tuple((m, r) for m, r in usable if m.priority == priority)

    def _can_reach(self, real: RealServer) -> bool:
        """From the client's own address only a server of the same family can be reached."""
        listener = self._server.ip
        return self._server.auto_snat or (
            listener is not None and real.ip is not None and real.ip.version == listener.address.version
        )


def backend(config: Config, server: VirtualServer, tier: Tier) -> Iterator[str]:
    """The lines of a tier's backend."""
    http = server.type in HTTP_TYPES
    yield f"# {path('virtual_server', server.name)}, {path('server_pool', tier.pool.name)}"
    yield f"backend {tier.backend} from {'http' if http else 'tcp'}"
    yield from (f"  {line}" for line in _settings(config, server, tier.pool) if tier.members)
    if http and tier.sorry_page is not None:
        yield f"  http-error status 503 content-type 'text/html; charset=utf-8' file {page_file(tier.sorry_page)}"
    for member, real in tier.members:
        yield f"  server {' '.join(_server(config, server, tier.pool, member, real))}"


def page_file(page: str) -> str:
    """Where the driver puts an HTML file."""
    return file_name("pages", page, "")


def _settings(config: Config, server: VirtualServer, pool: ServerPool) -> Iterator[str]:
    yield from _BALANCE[pool.load_balance]
    if not server.auto_snat:
        # With `source` alone or none the kernel takes the address of the interface that leads to the server: auto-snat.
        yield "source 0.0.0.0 usesrc clientip"
    yield from _persistence(server, pool)
    profile = config.app_profile.get(server.app_profile or "")
    yield from _timeouts(profile) if profile is not None else ()
    monitor = config.monitor.get(pool.monitor or "")
    if monitor is not None and _checked_by_haproxy(monitor):
        yield f"timeout check {min(monitor.timeout_s, monitor.interval_s)}s"
        yield from _http_check(monitor) if monitor.type in HTTP_TYPES else ()


def _persistence(server: VirtualServer, pool: ServerPool) -> Iterator[str]:
    if pool.persistence is None:
        return
    if pool.persistence.kind == "cookie":
        secure = " secure" if server.type == "https" else ""
        yield f"cookie {pool.persistence.cookie} insert indirect nocache httponly{secure}"
        return
    assert server.ip is not None  # noqa: S101 it is in force
    kind = "ipv6" if server.ip.address.version == 6 else "ip"
    yield f"stick-table type {kind} size {_TABLE_SIZE} expire {pool.persistence.timeout_min}m peers {PEERS}"
    yield "stick on src"


def _timeouts(profile: AppProfile) -> Iterator[str]:
    for kind in ("connect", "server", "queue"):
        if kind in profile.timeouts:
            yield f"timeout {kind} {profile.timeouts[kind].seconds}s"


def _http_check(monitor: Monitor) -> Iterator[str]:
    yield "option httpchk"
    version = f"HTTP/1.1 hdr Host {monitor.http_host}" if monitor.http_host else "HTTP/1.0"
    yield f"http-check send meth GET uri {quote(monitor.http_get)} ver {version}"
    yield f"http-check expect {'rstatus ^[23]' if monitor.http_expect is None else f'status {monitor.http_expect}'}"


def _checked_by_haproxy(monitor: Monitor) -> bool:
    return monitor.type in ("tcp", *HTTP_TYPES)


def _server(config: Config, server: VirtualServer, pool: ServerPool, member: PoolMember, real: RealServer) -> Iterator[str]:
    """A server line's words: what a worker keeps for good, then what the driver can change while it runs."""
    assert real.ip is not None  # noqa: S101 others are no members of a tier
    yield encode_name(real.name)
    yield endpoint(real.ip, _port(server, member, real))
    if pool.persistence is not None and pool.persistence.kind == "cookie":
        yield f"cookie {crc32(real.name.encode()):08x}"  # no stranger needs to know what the server is called
    yield from server_words(config, server)
    monitor = _monitor(config, pool, real)
    if monitor is not None:
        yield "on-marked-down shutdown-sessions"
        if monitor is config.monitor.get(pool.monitor or "") and _checked_by_haproxy(monitor):
            yield from _check(config, server, monitor)
    if pool.slow_start_s is not None:
        yield f"slowstart {pool.slow_start_s}s"
    weight = 1 if pool.load_balance == "round-robin" else member.weight or real.weight
    yield f"weight {0 if real.state == 'drain' else weight}"
    if real.max_connection is not None:
        yield f"maxconn {real.max_connection}"
    if real.state == "disable":
        yield "disabled"


def _check(config: Config, server: VirtualServer, monitor: Monitor) -> Iterator[str]:
    yield f"check inter {monitor.interval_s}s rise {monitor.rise} fall {monitor.fall}"
    if monitor.port is not None:
        yield f"port {monitor.port}"
    profile = config.ssl_profile.get(server.server_ssl_profile or "")
    if monitor.type == "https" and profile is None:
        yield "check-ssl verify none"
    if monitor.type != "https" and profile is not None:
        yield "no-check-ssl"
    name = monitor.http_host or (profile.server_name if profile is not None else None)
    if monitor.type == "https" and name is not None:
        yield f"check-sni {name}"


def _port(server: VirtualServer, member: PoolMember, real: RealServer) -> int:
    assert server.ip is not None  # noqa: S101 it is in force
    return member.port or real.port or server.ip.port


def _monitor(config: Config, pool: ServerPool, real: RealServer) -> Monitor | None:
    return config.monitor.get(real.monitor or pool.monitor or "")


def probes(config: Config, server: VirtualServer, tier: Tier) -> Iterator[ServerProbe]:
    """The servers of a tier that hsadc checks: HAProxy knows no ICMP and no UDP, and one way of checking for a whole backend."""
    for member, real in tier.members:
        monitor = _monitor(config, tier.pool, real)
        own = monitor is not None and monitor is config.monitor.get(tier.pool.monitor or "") and _checked_by_haproxy(monitor)
        if monitor is not None and real.ip is not None and not own:
            yield ServerProbe(tier.backend, encode_name(real.name), compile_probe(monitor, real.ip, _port(server, member, real)))
