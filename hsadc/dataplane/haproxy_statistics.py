"""HAProxy's counters (`show stat`), in the operator's terms; pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hsadc.intent.haproxy_word import decode_name


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted since the worker started: a reload starts anew.

    Attributes:
        status: HAProxy's word: `OPEN` for where clients connect, `UP`, `DOWN` or `no check` for servers.
        sessions_current: open now.
        sessions_total: opened in all.
        sessions_peak: the most that were open at once.
        requests_total: HTTP requests; 0 for TCP.
        bytes_in: from the client.
        bytes_out: to the client.
        responses_5xx: HTTP answers of status 500 to 599, also those that HAProxy made itself.
        connect_errors: connections to real servers that failed; 0 where clients connect.
        response_errors: answers of real servers that broke off; 0 where clients connect.
    """

    status: str
    sessions_current: int
    sessions_total: int
    sessions_peak: int
    requests_total: int
    bytes_in: int
    bytes_out: int
    responses_5xx: int
    connect_errors: int
    response_errors: int


@dataclass(frozen=True, slots=True)
class VirtualServerStatistics:
    """A virtual server's counters.

    Attributes:
        id: the virtual server's number.
        clients: on the clients' side.
        pool: on the real servers' side, all together.
        real_servers: each real server's, by name as the operator wrote it.
    """

    id: int
    clients: Counters
    pool: Counters
    real_servers: Mapping[str, Counters]


def parse_statistics(text: str) -> Mapping[int, VirtualServerStatistics]:
    """The virtual servers in the answer to `show stat` (CSV, its first line names the columns), by number."""
    rows: dict[tuple[str, int], dict[str, Counters]] = {}
    for row in csv.DictReader(text.removeprefix("# ").splitlines()):
        match = re.match(r"(vs|pool)(\d+)_", row["pxname"] or "")
        if match is not None:
            rows.setdefault((match[1], int(match[2])), {})[row["svname"]] = _counters(row)
    return {number: _virtual_server(number, rows) for side, number in rows if side == "vs"}


def _virtual_server(number: int, rows: Mapping[tuple[str, int], Mapping[str, Counters]]) -> VirtualServerStatistics:
    pool = rows["pool", number]
    servers = {decode_name(name): counters for name, counters in pool.items() if name != "BACKEND"}
    return VirtualServerStatistics(number, rows["vs", number]["FRONTEND"], pool["BACKEND"], servers)


def _counters(row: Mapping[str, str]) -> Counters:
    def count(column: str) -> int:
        return int(row.get(column) or 0)

    return Counters(
        status=row["status"],
        sessions_current=count("scur"),
        sessions_total=count("stot"),
        sessions_peak=count("smax"),
        requests_total=count("req_tot"),
        bytes_in=count("bin"),
        bytes_out=count("bout"),
        responses_5xx=count("hrsp_5xx"),
        connect_errors=count("econ"),
        response_errors=count("eresp"),
    )
