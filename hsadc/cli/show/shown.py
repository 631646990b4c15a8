"""What a `show` command found: for people as lines, for programs as data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hsadc.cli.show.table import Columns, Row, table


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer in two forms.

    Attributes:
        data: what `| json` prints: an object of objects, lists, strings, numbers, booleans, addresses (which become strings), and
            None for what is not known or not set. Its keys are an interface: they are lower_case, carry units (`sent_bytes`),
            and are never renamed.
        lines: the same as text.
    """

    data: Mapping[str, Any]
    lines: Iterable[str]

    def json(self) -> list[str]:
        """The data as JSON text (RFC 8259)."""
        return json.dumps(self.data, indent=2, ensure_ascii=False, default=str).split("\n")


def timestamp(time: datetime) -> str:
    """A time as data (RFC 3339), in UTC and whole seconds: `2026-11-23T16:45:00Z`."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def shown_table(key: str, columns: Columns, rows: Iterable[Row], width: int) -> Shown:
    """A table whose rows are the data: the list at `key`."""
    found = list(rows)
    return Shown({key: found}, table(columns, found, width))
