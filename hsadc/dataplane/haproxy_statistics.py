"""HAProxy's counters (`show stat`, management.txt section 9.1), in the operator's terms; pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce

from hsadc.dataplane.haproxy_words import ServerHealth, health_of
from hsadc.intent.haproxy_word import decode_name


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted where clients connect, or towards real servers; what one of both does not have is 0.

    Attributes:
        sessions_current: open now.
        queue_current: requests that wait for a real server now.
        sessions_rate: opened in the last second.
        requests_rate: HTTP requests in the last second.
        sessions_peak: the most that were open at once.
        sessions_rate_peak: the most that were opened in a second.
        requests_rate_peak: the most HTTP requests in a second.
        sessions_total: opened in all.
        requests_total: HTTP requests; 0 for TCP.
        bytes_in: from the client.
        bytes_out: to the client.
        responses_4xx: HTTP answers of status 400 to 499, also those that HAProxy made itself.
        responses_5xx: the same of status 500 to 599.
        requests_denied: requests, connections and sessions of clients that were refused by a limit or a rule.
        responses_denied: answers that were refused.
        request_errors: requests that broke off or are no HTTP.
        connect_errors: connections to real servers that failed.
        response_errors: answers of real servers that broke off or are no HTTP.
        retries: connections to a real server that were tried again.
        redispatches: requests that went to another real server than the first one.
        handshake_failures: TLS handshakes that failed.
    """

    sessions_current: int = 0
    queue_current: int = 0
    sessions_rate: int = 0
    requests_rate: int = 0
    sessions_peak: int = 0
    sessions_rate_peak: int = 0
    requests_rate_peak: int = 0
    sessions_total: int = 0
    requests_total: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    responses_4xx: int = 0
    responses_5xx: int = 0
    requests_denied: int = 0
    responses_denied: int = 0
    request_errors: int = 0
    connect_errors: int = 0
    response_errors: int = 0
    retries: int = 0
    redispatches: int = 0
    handshake_failures: int = 0

    def __add__(self, other: Counters) -> Counters:
        """Of two places together; their peaks may have been at different times, the higher one is taken."""
        return self._with(other, set())

    def after(self, earlier: Counters) -> Counters:
        """Of this worker and those before it together."""
        return self._with(earlier, _NOW)

    def _with(self, other: Counters, own: set[str]) -> Counters:
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Counters(**{name: a if name in own else max(a, b) if name.endswith("_peak") else a + b for name, a, b in pairs})


_NOW = {"sessions_current", "queue_current", "sessions_rate", "requests_rate"}
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sessions_current": ("scur",),
    "queue_current": ("qcur",),
    "sessions_rate": ("rate",),
    "requests_rate": ("req_rate",),
    "sessions_peak": ("smax",),
    "sessions_rate_peak": ("rate_max",),
    "requests_rate_peak": ("req_rate_max",),
    "sessions_total": ("stot",),
    "requests_total": ("req_tot",),
    "bytes_in": ("bin",),
    "bytes_out": ("bout",),
    "responses_4xx": ("hrsp_4xx",),
    "responses_5xx": ("hrsp_5xx",),
    "requests_denied": ("dreq", "dcon", "dses"),
    "responses_denied": ("dresp",),
    "request_errors": ("ereq",),
    "connect_errors": ("econ",),
    "response_errors": ("eresp",),
    "retries": ("wretr",),
    "redispatches": ("wredis",),
    "handshake_failures": ("ssl_failed_handshake",),
}

Place = tuple[str, str]
"""HAProxy's name of a frontend or backend, and that of a server; `FRONTEND` or `BACKEND` stands for all of it."""


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A real server as it serves for one virtual server.

    Attributes:
        backend: HAProxy's name of the tier that it is in; empty where HAProxy has no part in it.
        tier: the tier's number.
        server_pool: whose member it is.
        real_server: its name.
        health: how it is.
        counters: what it has carried.
    """

    backend: str
    tier: int
    server_pool: str
    real_server: str
    health: ServerHealth
    counters: Counters


@dataclass(frozen=True, slots=True)
class VirtualServerStatistics:
    """A virtual server's counters.

    Attributes:
        id: its number.
        clients: on the clients' side; of one whose clear text crosses the hop, behind it.
        tls: where clients speak TLS, of one whose clear text crosses the hop; None for others.
        pool: on the real servers' side, all tiers together.
        servers: the real servers, by tier.
    """

    id: int
    clients: Counters
    tls: Counters | None
    pool: Counters
    servers: tuple[ServerStatistics, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The answer of one worker, by place.

    Attributes:
        counters: as counted by this worker, or with what others counted before it.
        health: of servers.
        dropped_logs: lines of the log that found no room; counted like the counters.
    """

    counters: Mapping[Place, Counters]
    health: Mapping[Place, ServerHealth]
    dropped_logs: int = 0

    def with_checks(self, words: Mapping[Place, str]) -> Statistics:
        """The same, with what checks of ours came to where HAProxy has none of its own."""
        checked = {p: replace(h, checked=True, check=words[p]) if p in words else h for p, h in self.health.items()}
        return replace(self, health=checked)

    def virtual_servers(self) -> Mapping[int, VirtualServerStatistics]:
        """The virtual servers by number."""
        found = {}
        for (proxy, _), clients in self.counters.items():
            if (match := re.match(r"vs(\d+)_", proxy)) is not None:
                number = int(match[1])
                found[number] = self._virtual_server(number, clients)
        return found

    def _virtual_server(self, number: int, clients: Counters) -> VirtualServerStatistics:
        tiers = self._of(rf"pool{number}\.(\d+)_(.*)")
        servers = [
            ServerStatistics(place[0], int(m[1]), decode_name(m[2]), decode_name(place[1]), self.health[place], counters)
            for place, m, counters in tiers
            if place[1] != "BACKEND"
        ]
        pool = sum_of(c for place, _, c in tiers if place[1] == "BACKEND")
        tls = next((c for _, _, c in self._of(rf"tls{number}_.*")), None)
        in_order = sorted(servers, key=lambda server: server.tier)
        return VirtualServerStatistics(number, clients, tls, pool, tuple(in_order))

    def _of(self, pattern: str) -> list[tuple[Place, re.Match[str], Counters]]:
        return [(place, m, c) for place, c in self.counters.items() if (m := re.fullmatch(pattern, place[0])) is not None]


def parse_statistics(text: str) -> Statistics:
    """The answer to `show info; show stat`, or to the latter: CSV, its first line names the columns."""
    info, _, table = text.rpartition("# pxname")
    rows = {(row["pxname"], row["svname"]): row for row in csv.DictReader(f"pxname{table}".splitlines())}
    servers = {place: row for place, row in rows.items() if place[1] not in ("FRONTEND", "BACKEND")}
    return Statistics(
        {place: _counters(row) for place, row in rows.items()},
        {place: health_of(row) for place, row in servers.items()},
        int(found[1]) if (found := re.search(r"^DroppedLogs: (\d+)$", info, re.MULTILINE)) is not None else 0,
    )


def _counters(row: Mapping[str, str]) -> Counters:
    return Counters(**{name: sum(int(row.get(c) or 0) for c in columns) for name, columns in _COLUMNS.items()})


class Totals:
    """Counters of all workers since the daemon started, or since they were set to zero.

    A worker's counters start anew. Its last ones that were seen are kept; what an old worker still counts while it finishes its
    connections, after it was looked at for the last time, is in no sum.
    """

    def __init__(self) -> None:
        self._worker = ""
        self._last: Mapping[Place, Counters] = {}
        self._past: Mapping[Place, Counters] = {}
        self._last_dropped = self._past_dropped = 0

    def see(self, worker: str, seen: Statistics) -> Statistics:
        """Add what earlier workers counted to what this one tells.

        Args:
            worker: its process's number.
            seen: its own.
        """
        if worker != self._worker:
            # Places that are gone do not come back with old figures.
            self._past = {place: self._sum(place, self._last) for place in seen.counters}
            self._past_dropped += self._last_dropped
            self._worker = worker
        self._last, self._last_dropped = seen.counters, seen.dropped_logs
        counters = {place: self._sum(place, seen.counters) for place in seen.counters}
        return replace(seen, counters=counters, dropped_logs=seen.dropped_logs + self._past_dropped)

    def clear(self) -> None:
        """Begin at zero; the worker was told to do so, too."""
        self._last, self._past = {}, {}

    def _sum(self, place: Place, own: Mapping[Place, Counters]) -> Counters:
        return own.get(place, Counters()).after(self._past.get(place, Counters()))


def sum_of(counters: Iterable[Counters]) -> Counters:
    """Of several places together."""
    return reduce(Counters.__add__, counters, Counters())
