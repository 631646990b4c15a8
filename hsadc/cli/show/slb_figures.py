"""What virtual servers, pools and real servers have carried, and how real servers are: as data, and as columns of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsadc.cli.show.table import Columns, Row

if TYPE_CHECKING:
    from hsadc.dataplane.haproxy_statistics import Counters, ServerStatistics, VirtualServerStatistics

COUNTERS = {
    "Sessions": "sessions",
    "Peak": "sessions_peak",
    "Total": "sessions_total",
    "New/s": "sessions_per_s",
    "Requests": "requests_total",
    "Req/s": "requests_per_s",
    "In bytes": "in_bytes",
    "Out bytes": "out_bytes",
    "Waiting": "queue",
    "4xx": "responses_4xx",
    "5xx": "responses_5xx",
    "Denied": "requests_denied",
    "Bad requests": "request_errors",
    "TLS errors": "tls_errors",
    "Connect errors": "connect_errors",
    "Response errors": "response_errors",
    "Retries": "retries",
    "Moved": "redispatches",
}
"""Head and key of each counter that tables have; a table leaves out those that are 0 everywhere."""

HEALTH: Columns = {
    "Health": lambda row: health_text(row),
    "For": lambda row: duration(row["since_s"]),
    "Weight": "weight",
    "Last check": "check",
}


NOT_OF_DATAGRAMS = frozenset(
    {"sessions", "sessions_peak", "sessions_per_s", "sessions_per_s_peak", "requests_per_s", "requests_per_s_peak", "queue"}
)
"""What is not counted of virtual servers of type udp, whose sessions are flows."""


def figures(counters: Counters | None, datagrams: bool = False) -> Row:
    """Counters as data; null where nothing counts."""
    values = {
        "sessions": "sessions_current",
        "sessions_peak": "sessions_peak",
        "sessions_total": "sessions_total",
        "sessions_per_s": "sessions_rate",
        "sessions_per_s_peak": "sessions_rate_peak",
        "requests_total": "requests_total",
        "requests_per_s": "requests_rate",
        "requests_per_s_peak": "requests_rate_peak",
        "in_bytes": "bytes_in",
        "out_bytes": "bytes_out",
        "queue": "queue_current",
        "responses_4xx": "responses_4xx",
        "responses_5xx": "responses_5xx",
        "requests_denied": "requests_denied",
        "responses_denied": "responses_denied",
        "request_errors": "request_errors",
        "tls_errors": "handshake_failures",
        "connect_errors": "connect_errors",
        "response_errors": "response_errors",
        "retries": "retries",
        "redispatches": "redispatches",
    }
    uncounted = NOT_OF_DATAGRAMS if datagrams else ()
    return {
        key: getattr(counters, name) if counters is not None and key not in uncounted else None for key, name in values.items()
    }


def figures_of_virtual_server(seen: VirtualServerStatistics | None, datagrams: bool = False) -> Row:
    """What its clients and its pools have to do with: errors of both sides."""
    if seen is None:
        return figures(None)
    clients, pool = figures(seen.clients, datagrams), figures(seen.pool, datagrams)
    of_pool = ("queue", "connect_errors", "response_errors", "retries", "redispatches")
    row = {key: pool[key] if key in of_pool else value for key, value in clients.items()}
    if seen.tls is not None:
        tls = figures(seen.tls)
        row |= {key: row[key] + tls[key] for key in ("requests_denied", "tls_errors")}
    return row


def standing(server: ServerStatistics | None) -> Row:
    """How a real server is, for one virtual server; null where it does not serve one."""
    health = server.health if server is not None else None
    return {
        "health": health.state if health else None,
        "checked": health.checked if health else None,
        "changing": health.changing if health else None,
        "since_s": health.since_s if health else None,
        "check": health.check if health else None,
        "check_ms": health.check_ms if health else None,
        "weight": health.weight if health else None,
    }


def health_text(row: Row) -> str | None:
    """`up`, `down`, `disabled`; `up (1/3)` when checks begin to say otherwise, `not checked` when nobody looks."""
    if row["health"] == "up" and not row["checked"]:
        return "not checked"
    return f"{row['health']} ({row['changing']})" if row["changing"] else row["health"]


def duration(seconds: int | None) -> str | None:
    """`45s`, `3m20s`, `5h12m`, `17d4h`: the two largest units."""
    if seconds is None:
        return None
    units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    index = next((n for n, (size, _) in enumerate(units) if seconds >= size), 3)
    parts = ""
    for size, unit in units[index : index + 2]:
        parts += f"{seconds // size}{unit}"
        seconds %= size
    return parts
