"""`show slb virtual-server`, `server-pool`, `real-server`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.shown import Shown, shown_table
from hsadc.cli.show.table import Columns, Row, table
from hsadc.errors import ConfigError
from hsadc.intent.compile import reason_not_served
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.haproxy_statistics import Counters, ServerStatistics

_CARRIED = {"Sessions": "sessions", "Total": "sessions_total", "In bytes": "in_bytes", "Out bytes": "out_bytes"}


def do_show_virtual_server(session: Session, name: str | None = None) -> Shown:
    """Virtual servers, whether they are in force, and what they have carried."""
    dataplane = session.device.dataplane
    statistics = dataplane.virtual_servers() if dataplane else {}
    rows = [
        _virtual_server(v, statistics[v.id].clients if v.id in statistics else None)
        for v in _chosen(session, "virtual_server", name)
    ]
    return shown_table("virtual_servers", _VIRTUAL_SERVER, rows, session.width)


def _virtual_server(v: VirtualServer, counters: Counters | None) -> Row:
    mirror = v.mirror_traffic
    reason = reason_not_served(v) or (None if counters else "not served")
    return {
        "name": v.name,
        "id": v.id,
        "type": v.type,
        "address": v.ip.address if v.ip else None,
        "port": v.ip.port if v.ip else None,
        "state": "down" if reason else "up",
        "reason": reason,
        "server_pool": v.server_pool,
        "mirror_interface": mirror.name if mirror and mirror.kind == "interface" else None,
        "mirror_profile": mirror.name if mirror and mirror.kind == "profile" else None,
        **_carried(counters),
    }


_VIRTUAL_SERVER: Columns = {
    "Virtual server": "name",
    "Id": "id",
    "Type": "type",
    "Address": lambda row: f"{row['address']}:{row['port']}" if row["address"] else None,
    "State": lambda row: f"{row['state']} ({row['reason']})" if row["reason"] else row["state"],
    "Pool": "server_pool",
    "Mirror": lambda row: f'profile "{row["mirror_profile"]}"' if row["mirror_profile"] else row["mirror_interface"],
    **_CARRIED,
}


def do_show_server_pool(session: Session, name: str | None = None) -> Shown:
    """Server pools and their members."""
    pools = [
        {
            "name": p.name,
            "load_balance": p.load_balance,
            "members": [{"real_server": m.real_server, "port": m.port, "weight": m.weight} for m in p.members.values()],
        }
        for p in _chosen(session, "server_pool", name)
    ]
    nobody = {"real_server": None, "port": None, "weight": None}
    rows = [{**p, **member} for p in pools for member in p["members"] or (nobody,)]
    return Shown({"server_pools": pools}, table(_SERVER_POOL, rows, session.width))


_SERVER_POOL = {"Pool": "name", "Load balance": "load_balance", "Real server": "real_server", "Port": "port", "Weight": "weight"}


def do_show_real_server(session: Session, name: str | None = None) -> Shown:
    """Real servers, and what each has carried for each virtual server."""
    dataplane = session.device.dataplane
    names = {v.id: v.name for v in session.device.running.virtual_server.values()}
    carried: dict[str, list[Row]] = {}
    for number, statistics in (dataplane.virtual_servers() if dataplane else {}).items():
        for server in statistics.servers:
            carried.setdefault(server.real_server, []).append(_served(names.get(number), server))
    servers = [
        {"name": r.name, "address": r.ip, "port": r.port, "weight": r.weight, "virtual_servers": carried.get(r.name, [])}
        for r in _chosen(session, "real_server", name)
    ]
    rows = [{**server, **for_one} for server in servers for for_one in server["virtual_servers"] or (_served(None, None),)]
    return Shown({"real_servers": servers}, table(_REAL_SERVER, rows, session.width))


def _served(virtual_server: str | None, server: ServerStatistics | None) -> Row:
    check = server.health.state if server else None
    return {"virtual_server": virtual_server, "check": check, **_carried(server.counters if server else None)}


_REAL_SERVER = {
    "Real server": "name",
    "IP address": "address",
    "Port": "port",
    "Weight": "weight",
    "Virtual server": "virtual_server",
    "Check": "check",
    **_CARRIED,
}


def _carried(counters: Counters | None) -> Row:
    return {
        "sessions": counters.sessions_current if counters else None,
        "sessions_total": counters.sessions_total if counters else None,
        "in_bytes": counters.bytes_in if counters else None,
        "out_bytes": counters.bytes_out if counters else None,
    }


def _chosen(session: Session, section: str, name: str | None) -> Iterable[Any]:
    objects: Mapping[str, Any] = getattr(session.device.running, section)
    if name is None:
        return objects.values()
    if name not in objects:
        raise ConfigError(title(section, name), "there is no such object")
    return (objects[name],)
