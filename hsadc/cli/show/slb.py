"""`show slb virtual-server`, `server-pool`, `real-server`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.table import table
from hsadc.errors import ConfigError
from hsadc.intent.compile import reason_not_served
from hsadc.model.title import title

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_virtual_server(session: Session, name: str | None = None) -> Iterable[str]:
    """Virtual servers, whether they are in force, and what they have carried."""
    dataplane = session.device.dataplane
    statistics = dataplane.virtual_servers() if dataplane else {}
    rows = []
    for v in _chosen(session, "virtual_server", name):
        c = statistics[v.id].clients if v.id in statistics else None
        counted = (c.sessions_current, c.sessions_total, c.bytes_in, c.bytes_out) if c else (None,) * 4
        address = f"{v.ip.address}:{v.ip.port}" if v.ip else None
        reason = reason_not_served(v)
        state = "up" if c and not reason else f"down ({reason or 'not served'})"
        rows.append((v.name, v.id, v.type, address, state, v.server_pool, v.mirror_traffic, *counted))
    head = ("Virtual server", "Id", "Type", "Address", "State", "Pool", "Mirror", "Sessions", "Total", "In bytes", "Out bytes")
    return table(head, rows)


def do_show_server_pool(session: Session, name: str | None = None) -> Iterable[str]:
    """Server pools and their members."""
    rows = [
        (p.name, p.load_balance, m.real_server, m.port, m.weight)
        for p in _chosen(session, "server_pool", name)
        for m in p.members.values() or (None,)
        if m is not None
    ]
    return table(("Pool", "Load balance", "Real server", "Port", "Weight"), rows)


def do_show_real_server(session: Session, name: str | None = None) -> Iterable[str]:
    """Real servers, and what each has carried for each virtual server."""
    dataplane = session.device.dataplane
    servers = {v.id: v.name for v in session.device.running.virtual_server.values()}
    carried: dict[str, list[tuple[str | None, Any]]] = {}
    for number, statistics in (dataplane.virtual_servers() if dataplane else {}).items():
        for real, counters in statistics.real_servers.items():
            carried.setdefault(real, []).append((servers.get(number), counters))
    rows: list[tuple[object, ...]] = []
    for r in _chosen(session, "real_server", name):
        for server, c in carried.get(r.name, [(None, None)]):
            counted = (c.status, c.sessions_current, c.sessions_total, c.bytes_in, c.bytes_out) if c else (None,) * 5
            rows.append((r.name, r.ip, r.port, r.weight, server, *counted))
    head = (
        "Real server",
        "IP address",
        "Port",
        "Weight",
        "Virtual server",
        "Check",
        "Sessions",
        "Total",
        "In bytes",
        "Out bytes",
    )
    return table(head, rows)


def _chosen(session: Session, section: str, name: str | None) -> Iterable[Any]:
    objects: Mapping[str, Any] = getattr(session.device.running, section)
    if name is None:
        return objects.values()
    if name not in objects:
        raise ConfigError(title(section, name), "there is no such object")
    return (objects[name],)
