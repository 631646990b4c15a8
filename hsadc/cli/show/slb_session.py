"""`show slb session`, `show slb log`: what goes on, and what has been, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from hsadc.cli.show.shown import Shown, timestamp
from hsadc.cli.show.slb import chosen
from hsadc.cli.show.slb_datagram import flow_row
from hsadc.cli.show.slb_figures import duration
from hsadc.cli.show.table import Columns, Row, table

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.haproxy_log_line import LogLine
    from hsadc.dataplane.haproxy_sessions import ServerSession

_MOST_SESSIONS = 200
"""More are not asked for: HAProxy has better things to do, and nobody reads them."""
_LINES = 100


def do_show_slb_session(session: Session, name: str | None = None) -> Shown:
    """What goes on, some of it when there is much: clients' connections; requests where they speak HTTP, flows where UDP."""
    dataplane, running = session.device.dataplane, session.device.running
    numbers = [v.id for v in chosen(session, "virtual_server", name)]
    names = {v.id: v.name for v in running.virtual_server.values()}
    number = numbers[0] if name is not None else None
    found, total = dataplane.server_sessions(_MOST_SESSIONS, number) if dataplane else ((), 0)
    rows = [_session(s, names) for s in found]
    for flow in dataplane.datagram_sessions() if dataplane else ():
        if number in (None, flow.virtual_server):
            total += 1
            if len(rows) < _MOST_SESSIONS:
                rows.append(flow_row(flow, names))
    return Shown({"sessions": rows, "sessions_total": total}, _session_lines(rows, total, session.width))


def _session(s: ServerSession, names: dict[int, str]) -> Row:
    age_s = max(int((datetime.now(UTC) - s.since).total_seconds()), 0) if s.since is not None else None
    return {
        "client": s.client,
        "virtual_server": names.get(s.virtual_server),
        "server_pool": s.server_pool,
        "real_server": s.real_server,
        "age_s": age_s,
        "in_bytes": s.bytes_in,
        "out_bytes": s.bytes_out,
    }


def _session_lines(rows: list[Row], total: int, width: int) -> Iterator[str]:
    yield from table(_SESSION, rows, width)
    if total > len(rows):
        yield f"{total} in all, {len(rows)} of them are shown"


_SESSION: Columns = {
    "Client": "client",
    "Virtual server": "virtual_server",
    "Real server": "real_server",
    "Age": lambda row: duration(row["age_s"]),
    "In bytes": "in_bytes",
    "Out bytes": "out_bytes",
}


def do_show_slb_log(session: Session, name: str | None = None, last: int | None = None) -> Shown:
    """The last lines that virtual servers with `log enable` have logged."""
    from hsadc.dataplane.haproxy_log_line import parse_line

    dataplane = session.device.dataplane
    lines = dataplane.server_log() if dataplane else iter(())
    parsed = ((line, parse_line(line)) for line in lines)
    fitting = ((line, found) for line, found in parsed if name is None or (found is not None and found.virtual_server == name))
    newest = list(islice(fitting, last or _LINES))[::-1]
    records = [{**_record(found), "line": line} for line, found in newest]
    lost = dataplane.server_log_lost if dataplane else 0
    return Shown({"records": records, "lost_records": lost}, (line for line, _ in newest))


def _record(found: LogLine | None) -> Row:
    return {
        "time": timestamp(found.time) if found else None,
        "client": found.client if found else None,
        "virtual_server": found.virtual_server if found else None,
        "server_pool": found.server_pool if found else None,
        "real_server": found.real_server if found else None,
        "total_ms": found.total_ms if found else None,
        "status": found.status if found else None,
        "sent_bytes": found.sent_bytes if found else None,
        "ended": found.ended if found else None,
        "request": found.request if found else None,
        "error": found.error if found else None,
    }
