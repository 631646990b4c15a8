"""Server pools: what is in them fits the virtual servers that they serve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict
from hsadc.config.validate.virtual_server import ALL_BUT_UDP, listed
from hsadc.model.config import Config
from hsadc.model.pools import named_pools, pools_of, with_backups
from hsadc.model.server_pool import Persistence, ServerPool
from hsadc.model.title import title
from hsadc.model.virtual_server import HTTP_TYPES, VirtualServer


def pools(change: Change) -> Iterator[Found]:
    """Each is right by itself, and none stands in for itself."""
    for name, pool in change.changed("server_pool").items():
        persistence = pool.persistence
        if (
            persistence is not None
            and persistence.kind == "cookie"
            and persistence.timeout_min != Persistence("cookie").timeout_min
        ):
            yield conflict("server_pool", name, "persistence cookie has no timeout: the cookie lasts as long as the browser")
        if persistence is not None and persistence.kind == "source-ip" and persistence.cookie != Persistence("source-ip").cookie:
            yield conflict("server_pool", name, "persistence source-ip has no name: names are for cookies")
        if _stands_in_for_itself(change.after, pool):
            why = f"its backup pools lead back to it: {title('server_pool', pool.backup_pool or '')} cannot be its backup-pool"
            yield conflict("server_pool", name, why)


def _stands_in_for_itself(config: Config, pool: ServerPool) -> bool:
    return any(other.name == pool.name for other in with_backups(config, pool.backup_pool))


_FITS: Sequence[tuple[Callable[[ServerPool], object], frozenset[str], str]] = (
    (lambda p: p.persistence and p.persistence.kind == "cookie", HTTP_TYPES, "persistence cookie"),
    (lambda p: p.load_balance == "uri-hash", HTTP_TYPES, "load-balance uri-hash"),
    (lambda p: p.load_balance == "least-connection", ALL_BUT_UDP, "load-balance least-connection"),
    (lambda p: p.sorry_page, HTTP_TYPES, "sorry-page"),
    (lambda p: p.slow_start_s, ALL_BUT_UDP, "slow-start"),
)
"""What is set, the types of virtual servers that it is for, and what it is called."""


def pools_fit(change: Change) -> Iterator[Found]:
    """Each pool of a virtual server in force has servers for it, and what it sets can be done for its type."""
    for name, server in served_otherwise(change).items():
        if server.shutdown or server.ip is None:
            continue
        whys = (why for pool in pools_of(change.after, server) for why in _misfits(change.after, server, pool))
        if why := next(whys, None):
            yield conflict("virtual_server", name, why)


def served_otherwise(change: Change) -> dict[str, VirtualServer]:
    """The virtual servers that changed, or a pool of theirs did, or a real server of such a pool."""
    config, reals = change.after, set(change.differing("real_server"))
    changed = set(change.differing("server_pool"))
    if reals:
        changed |= {name for name, pool in config.server_pool.items() if not reals.isdisjoint(pool.members)}
    backed = (name for name, pool in config.server_pool.items() if changed and pool.backup_pool is not None)
    changed |= {name for name in backed if any(pool.name in changed for pool in with_backups(config, name))}
    servers = config.virtual_server.items() if changed else ()
    users = {n: s for n, s in servers if s.server_pool in changed or not changed.isdisjoint(named_pools(s))}
    return {**users, **change.changed("virtual_server")}


def _misfits(config: Config, server: VirtualServer, pool: ServerPool) -> Iterator[str]:
    path = title("server_pool", pool.name)
    for is_set, types, words in _FITS:
        if is_set(pool) and server.type not in types:
            yield f"{words} of its {path} is for type {listed(types)}, and this one is of type {server.type}"
    family = None if server.ip is None or (server.auto_snat and server.type != "udp") else server.ip.address.version
    members = [config.real_server.get(m) for m in pool.members]
    # One that does not exist is told of as such.
    if not any(r is None or (r.ip is not None and family in (None, r.ip.version)) for r in members):
        kind = "" if family is None else f" of IPv{family}, which it needs"
        how = " without auto-snat" if family is not None and server.type != "udp" else ""
        yield f"its {path} has no real-server with an ip{kind}{how}"
