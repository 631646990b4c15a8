"""HAProxy: what it must serve, as the text of its configuration file and the files that this refers to.

A virtual server has backends of its own, because a member of the pool without a port takes the virtual server's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hsadc.intent.haproxy_file import HaproxyFile
from hsadc.intent.haproxy_frontend import Leg, Way, frontends, hop_backend, rates_table
from hsadc.intent.haproxy_pool import ServerProbe, Tiers, backend, page_file, probes
from hsadc.intent.haproxy_tls import tls_files
from hsadc.intent.inventory import Inventory
from hsadc.intent.mirror import RuleIntent
from hsadc.model.config import Config
from hsadc.model.pools import named_pools
from hsadc.model.virtual_server import TLS_TYPES, Listener, VirtualServer


@dataclass(frozen=True, slots=True)
class HaproxyIntent:
    """The one HAProxy that serves all virtual servers but those of type udp.

    Attributes:
        services: the file's text from the first frontend on; what stands before it (paths, user, limits) is the driver's.
        files: what the text refers to.
        probes: the servers that hsadc itself checks.
    """

    services: str
    files: tuple[HaproxyFile, ...] = ()
    probes: tuple[ServerProbe, ...] = ()

    @property
    def key(self) -> str:
        """There is one."""
        return "haproxy"

    def __str__(self) -> str:
        """As an error names it."""
        return "services"


def compile_services(
    config: Config,
    inventory: Inventory,
    served: Iterable[VirtualServer],
    mss: Mapping[str, int],
    rules: Iterable[RuleIntent] = (),
) -> tuple[HaproxyIntent, ...]:
    """Write the frontends and backends.

    A section inherits from the defaults section `http`, `tcp` or `tls`, which the driver provides.

    Args:
        config: its references are not dangling.
        inventory: what certificates and pages hold, and where the hop leads to.
        served: the virtual servers in force: each has an address, and a pool where it needs one. Their order does not matter.
        mss: the largest TCP segment (bytes of payload) that clients may send and are sent, by virtual server's name; without an
            entry it is what fits the path.
        rules: what the mirror copies: those on the hop send their virtual server's clear text across it.

    Returns:
        One, or none when there are no virtual servers: then no HAProxy is needed.
    """
    servers = sorted((v for v in served if v.type != "udp"), key=lambda v: v.id)
    if not servers:
        return ()
    hopped = {r.id: Listener(r.address, r.port) for r in rules if r.hop}
    legs = {v.id: _leg(v, hopped[v.id]) for v in servers if v.id in hopped}
    tiers = {v.id: _tiers(config, v) for v in servers}
    ways = {v.id: Way(inventory.hop_namespace, legs.get(v.id), _kept(v, inventory, hopped.values())) for v in servers}
    blocks = ["\n".join(_blocks(config, v, tiers[v.id], mss.get(v.name), ways[v.id])) for v in servers]
    blocks += ["\n".join(hop_backend(leg)) for leg in {leg.backend: leg for leg in legs.values()}.values()]
    probed = tuple(p for v in servers for tier in tiers[v.id].all() for p in probes(config, v, tier))
    files = tuple(_files(config, inventory, servers, tiers))
    return (HaproxyIntent("\n\n".join(blocks) + "\n", files, probed),)


def _leg(server: VirtualServer, listener: Listener) -> Leg:
    mirror = server.mirror_traffic
    return Leg(listener, mirror is not None and mirror.http2 == "normalise")


def _kept(server: VirtualServer, inventory: Inventory, taken: Collection[Listener]) -> tuple[Listener, ...]:
    """Where a virtual server goes on listening on the hop although nothing new is sent there any more.

    An old worker's clients who are still shaking hands with it will come that way.
    """
    if server.type not in TLS_TYPES or server.ip is None or not inventory.hop_present:
        return ()
    before = inventory.clear_legs.get(server.id, ())
    return tuple(listener for listener in before if listener.address == server.ip.address and listener not in taken)


def _tiers(config: Config, server: VirtualServer) -> Tiers:
    tiers = Tiers(config, server)
    for pool in named_pools(server):
        tiers.chain(pool)
    return tiers


def _blocks(config: Config, server: VirtualServer, tiers: Tiers, mss: int | None, way: Way) -> Iterator[str]:
    yield from frontends(config, server, tiers, mss, way)
    yield from rates_table(server)
    for tier in tiers.all():
        yield from backend(config, server, tier)


def _files(
    config: Config, inventory: Inventory, servers: Iterable[VirtualServer], tiers: Mapping[int, Tiers]
) -> Iterator[HaproxyFile]:
    profiles = {p for v in servers for p in (v.ssl_profile, v.server_ssl_profile) if p is not None}
    yield from tls_files(config, inventory, profiles)
    pages = {tier.sorry_page for t in tiers.values() for tier in t.all() if tier.sorry_page is not None}
    for page in sorted(pages):
        yield HaproxyFile(page_file(page), inventory.pages.get(page, "").encode())
