"""`show slb monitor`: what is checked, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hsadc.cli.show.shown import Shown
from hsadc.cli.show.slb import chosen, seen_of
from hsadc.cli.show.slb_figures import HEALTH, standing
from hsadc.cli.show.table import Columns, Row, table
from hsadc.model.config import Config
from hsadc.model.monitor import Monitor

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.haproxy_statistics import ServerStatistics


def do_show_slb_monitor(session: Session, name: str | None = None) -> Shown:
    """Monitors, how they check, and how the real servers are that they watch."""
    seen, config = seen_of(session), session.device.running
    names = {v.id: v.name for v in config.virtual_server.values()}
    watched = [(names.get(number), server) for number, found in seen.items() for server in found.servers]
    monitors = [_monitor(config, m, watched) for m in chosen(session, "monitor", name)]
    return Shown({"monitors": monitors}, _lines(monitors, session.width))


def _monitor(config: Config, m: Monitor, watched: list[tuple[str | None, ServerStatistics]]) -> Row:
    mine = [(virtual, s) for virtual, s in watched if _monitor_of(config, s) == m.name]
    return {
        "name": m.name,
        "type": m.type,
        "interval_s": m.interval_s,
        "timeout_s": m.timeout_s,
        "rise": m.rise,
        "fall": m.fall,
        "port": m.port,
        "checks": [
            {"virtual_server": virtual, "server_pool": s.server_pool, "real_server": s.real_server, **standing(s)}
            for virtual, s in mine
        ],
    }


def _monitor_of(config: Config, server: ServerStatistics) -> str | None:
    real, pool = config.real_server.get(server.real_server), config.server_pool.get(server.server_pool)
    own = real.monitor if real is not None else None
    return own or (pool.monitor if pool is not None else None)


def _lines(monitors: list[Row], width: int) -> Iterator[str]:
    yield from table(_MONITOR, monitors, width)
    rows = [{"name": m["name"], **check} for m in monitors for check in m["checks"]]
    if rows:
        yield ""
        yield from table(_CHECK, rows, width)


_MONITOR: Columns = {
    "Monitor": "name",
    "Type": "type",
    "Interval": lambda row: f"{row['interval_s']}s",
    "Timeout": lambda row: f"{row['timeout_s']}s",
    "Rise": "rise",
    "Fall": "fall",
    "Port": "port",
    "Working": lambda row: f"{sum(c['health'] == 'up' for c in row['checks'])} of {len(row['checks'])}",
}
_CHECK: Columns = {
    "Monitor": "name",
    "Real server": "real_server",
    "Virtual server": "virtual_server",
    "Health": HEALTH["Health"],
    "For": HEALTH["For"],
    "Last check": "check",
}
