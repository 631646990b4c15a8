"""`show slb virtual-server`, `server-pool`, `real-server`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.shown import Shown
from hsadc.cli.show.slb_datagram import of_datagrams
from hsadc.cli.show.slb_figures import COUNTERS, HEALTH, figures, figures_of_virtual_server, standing
from hsadc.cli.show.table import Columns, Row, counters_table, table
from hsadc.errors import ConfigError
from hsadc.intent.compile import reason_not_served
from hsadc.model.config import Config
from hsadc.model.pools import named_pools, with_backups
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.haproxy_statistics import ServerStatistics, VirtualServerStatistics

Seen = Mapping[int, "VirtualServerStatistics"]


def do_show_virtual_server(session: Session, name: str | None = None) -> Shown:
    """Virtual servers, whether they serve, and what they have carried; with a name also how its real servers are."""
    seen, config = seen_of(session), session.device.running
    rows = [_virtual_server(config, v, seen.get(v.id)) for v in chosen(session, "virtual_server", name)]
    return Shown({"virtual_servers": rows}, _virtual_server_lines(rows, name is not None, session.width))


def _virtual_server(config: Config, v: VirtualServer, seen: VirtualServerStatistics | None) -> Row:
    mirror = v.mirror_traffic
    servers = seen.servers if seen is not None else ()
    reason = reason_not_served(v) or ("not served" if seen is None else _nothing_works(config, v, seen))
    return {
        "name": v.name,
        "id": v.id,
        "type": v.type,
        "address": v.ip.address if v.ip else None,
        "port": v.ip.port if v.ip else None,
        "state": "down" if reason else "up",
        "reason": reason,
        "server_pool": v.server_pool,
        "serving_pool": _serving(config, v.server_pool, servers) if v.server_pool is not None else None,
        "working_servers": len({s.real_server for s in servers if _works(s)}),
        "mirror_interface": mirror.name if mirror and mirror.kind == "interface" else None,
        "mirror_profile": mirror.name if mirror and mirror.kind == "profile" else None,
        **figures_of_virtual_server(seen, v.type == "udp"),
        "real_servers": [{"real_server": s.real_server, "server_pool": s.server_pool, **_served(s)} for s in servers],
    }


def _nothing_works(config: Config, v: VirtualServer, seen: VirtualServerStatistics) -> str | None:
    pools = named_pools(v)
    if not pools or any(_serving(config, pool, seen.servers) is not None for pool in pools):
        return None
    return "too few real servers work"


def _serving(config: Config, pool: str | None, servers: Iterable[ServerStatistics]) -> str | None:
    """The pool that serves in fact: that one, the one that stands in for it, or none."""
    working: dict[tuple[str, int], int] = {}
    for server in servers:
        working[server.server_pool, server.tier] = working.get((server.server_pool, server.tier), 0) + _works(server)
    tried = with_backups(config, pool)
    enough = (p.name for p in tried if any(name == p.name and n >= p.minimum_working_servers for (name, _), n in working.items()))
    return next(enough, None)


def _works(server: ServerStatistics) -> bool:
    return server.health.works and server.health.weight > 0


def _virtual_server_lines(rows: Sequence[Row], named: bool, width: int) -> Iterator[str]:
    yield from table(_VIRTUAL_SERVER, rows, width)
    counting = [row for row in rows if row["sessions_total"] is not None]
    if counting:
        yield ""
        yield from counters_table({"Virtual server": "name"}, COUNTERS, counting, width)
    servers = [server for row in rows for server in row["real_servers"]]
    if named and servers:
        yield ""
        yield from table({"Real server": "real_server", "Pool": "server_pool", **HEALTH}, servers, width)
        yield ""
        yield from counters_table({"Real server": "real_server", "Pool": "server_pool"}, COUNTERS, servers, width)


_VIRTUAL_SERVER: Columns = {
    "Virtual server": "name",
    "Id": "id",
    "Type": "type",
    "Address": lambda row: _endpoint(row["address"], row["port"]),
    "Pool": "server_pool",
    "Mirror": lambda row: f'profile "{row["mirror_profile"]}"' if row["mirror_profile"] else row["mirror_interface"],
    "State": lambda row: _state_text(row),
}


def _endpoint(address: Any, port: int | None) -> str | None:
    if address is None:
        return None
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _state_text(row: Row) -> str:
    if row["reason"]:
        return f"{row['state']} ({row['reason']})"
    serving = row["serving_pool"]
    return f"{row['state']} (by {serving})" if serving not in (None, row["server_pool"]) else row["state"]


def do_show_server_pool(session: Session, name: str | None = None) -> Shown:
    """Server pools, whether enough of their real servers work, and how each of them is."""
    seen, config = seen_of(session), session.device.running
    pools = [_pool(config, p, seen) for p in chosen(session, "server_pool", name)]
    return Shown({"server_pools": pools}, _pool_lines(pools, session.width))


def _pool(config: Config, pool: ServerPool, seen: Seen) -> Row:
    members = [_member(config, pool, m, seen) for m in pool.members.values()]
    return {
        "name": pool.name,
        "load_balance": pool.load_balance,
        "monitor": pool.monitor,
        "working_servers": sum(m["working"] for m in members),
        "minimum_working_servers": pool.minimum_working_servers,
        "backup_pool": pool.backup_pool,
        "members": members,
    }


def _member(config: Config, pool: ServerPool, member: PoolMember, seen: Seen) -> Row:
    real = config.real_server[member.real_server]
    serving = [
        (v, server)
        for v in seen.values()
        for server in v.servers
        if (server.server_pool, server.real_server) == (pool.name, real.name)
    ]
    names = {v.id: v.name for v in config.virtual_server.values()}
    return {
        "real_server": member.real_server,
        "port": member.port,
        "weight": member.weight,
        "priority": member.priority,
        "state": real.state,
        "working": bool(serving) and all(_works(server) for _, server in serving),
        "virtual_servers": [{"virtual_server": names.get(v.id), **standing(server)} for v, server in serving],
    }


def _pool_lines(pools: Sequence[Row], width: int) -> Iterator[str]:
    yield from table(_SERVER_POOL, pools, width)
    rows = [
        {"name": pool["name"], **member, **_worst(member["virtual_servers"]), "configured_weight": member["weight"]}
        for pool in pools
        for member in pool["members"]
    ]
    if rows:
        yield ""
        yield from table(_MEMBER, rows, width)


def _worst(standings: Iterable[Row]) -> Row:
    """Of one real server's standings for several virtual servers the one to worry about."""
    order = {"down": 0, "disabled": 1, "up": 2}
    return min(standings, key=lambda s: order[s["health"]], default=standing(None))


_SERVER_POOL: Columns = {
    "Pool": "name",
    "Load balance": "load_balance",
    "Monitor": "monitor",
    "Working": lambda row: f"{row['working_servers']} of {len(row['members'])}",
    "Minimum": "minimum_working_servers",
    "Backup pool": "backup_pool",
}
_MEMBER: Columns = {
    "Pool": "name",
    "Real server": "real_server",
    "Port": "port",
    "Weight": "configured_weight",
    "Priority": "priority",
    "State": "state",
    "Health": HEALTH["Health"],
    "For": HEALTH["For"],
    "Last check": "check",
}


def do_show_real_server(session: Session, name: str | None = None) -> Shown:
    """Real servers, and for each virtual server how they are and what they have carried."""
    names = {v.id: v.name for v in session.device.running.virtual_server.values()}
    carried: dict[str, list[Row]] = {}
    for number, statistics in seen_of(session).items():
        for s in statistics.servers:
            row = {"virtual_server": names.get(number), "server_pool": s.server_pool, **_served(s)}
            carried.setdefault(s.real_server, []).append(row)
    servers = [
        {
            "name": r.name,
            "address": r.ip,
            "port": r.port,
            "weight": r.weight,
            "state": r.state,
            "monitor": r.monitor,
            "max_connection": r.max_connection,
            "virtual_servers": carried.get(r.name, []),
        }
        for r in chosen(session, "real_server", name)
    ]
    return Shown({"real_servers": servers}, _real_server_lines(servers, session.width))


def _served(server: ServerStatistics) -> Row:
    return {**standing(server), **figures(server.counters, datagrams=not server.backend)}


def _real_server_lines(servers: Sequence[Row], width: int) -> Iterator[str]:
    yield from table(_REAL_SERVER, servers, width)
    rows = [{"name": server["name"], **served} for server in servers for served in server["virtual_servers"]]
    if rows:
        yield ""
        yield from table({**_SERVED, **HEALTH}, rows, width)
        yield ""
        yield from counters_table(_SERVED, COUNTERS, rows, width)


_REAL_SERVER: Columns = {
    "Real server": "name",
    "IP address": "address",
    "Port": "port",
    "Weight": "weight",
    "State": "state",
    "Monitor": "monitor",
}
_SERVED: Columns = {"Real server": "name", "Virtual server": "virtual_server"}


def seen_of(session: Session) -> Seen:
    """What was counted of the virtual servers in force, by number."""
    dataplane, config = session.device.dataplane, session.device.running
    return {**dataplane.virtual_servers(), **of_datagrams(config, dataplane.datagrams())} if dataplane else {}


def chosen(session: Session, section: str, name: str | None) -> Iterable[Any]:
    """The objects of a section, or the one of that name.

    Raises:
        ConfigError: there is none of that name.
    """
    objects: Mapping[str, Any] = getattr(session.device.running, section)
    if name is None:
        return objects.values()
    if name not in objects:
        raise ConfigError(title(section, name), "there is no such object")
    return (objects[name],)
