"""What the client and the servers write down, and the demo reads: JSON files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what became of it.

    Attributes:
        method: `GET` or `POST`.
        path: such as `/bytes/1400`.
        server: the name by which a real server answered; None when none did.
        error: why it failed, None when it was answered as it must be.
    """

    method: str
    path: str
    server: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A TCP connection as its client saw it.

    Attributes:
        port: the client's port; 0 when no connection came about.
        sent: every byte that the client sent, in order.
        received: every byte that it received, in order.
        exchanges: the requests, in order.
    """

    port: int
    sent: bytes
    received: bytes
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a real server saw.

    Attributes:
        name: its name.
        requests: how many it answered, by the address they came from.
    """

    name: str
    requests: Mapping[str, int]


def save_connections(path: Path, connections: Iterable[Connection]) -> None:
    """Write connections to a file."""
    rows = [
        {
            "port": c.port,
            "sent": base64.b64encode(c.sent).decode(),
            "received": base64.b64encode(c.received).decode(),
            "exchanges": [asdict(e) for e in c.exchanges],
        }
        for c in connections
    ]
    path.write_text(json.dumps(rows))


def load_connections(path: Path) -> tuple[Connection, ...]:
    """Read what `save_connections` wrote."""
    return tuple(
        Connection(
            row["port"],
            base64.b64decode(row["sent"]),
            base64.b64decode(row["received"]),
            tuple(Exchange(**e) for e in row["exchanges"]),
        )
        for row in json.loads(path.read_text())
    )


def save_report(path: Path, report: ServerReport) -> None:
    """Write a server's report to a file."""
    path.write_text(json.dumps({"name": report.name, "requests": dict(report.requests)}))


def load_report(path: Path) -> ServerReport:
    """Read what `save_report` wrote."""
    return ServerReport(**json.loads(path.read_text()))
