"""The last records of the device's log, for `show logging`."""

from __future__ import annotations

import logging
from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

RECORDS = 1000
"""As many are kept."""


class Entry(NamedTuple):
    """A record of the log.

    Attributes:
        time: when it was made.
        severity: `INFO`, `WARNING` or `ERROR`.
        source: the module that made it.
        message: one line.
    """

    time: datetime
    severity: str
    source: str
    message: str


class Recent(logging.Handler):
    """Keeps the last records in memory."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._entries: deque[Entry] = deque(maxlen=RECORDS)

    def install(self) -> None:
        """Keep what hsadc logs from now on."""
        logger = logging.getLogger("hsadc")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def entries(self) -> list[Entry]:
        """The records, oldest first."""
        return list(self._entries.copy())  # in one step: other threads go on logging

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; called by logging, with its lock held."""
        error = record.exc_info[1] if record.exc_info else None
        message = " ".join(record.getMessage().split()) + (f": {error!r}" if error else "")
        time = datetime.fromtimestamp(record.created, UTC)
        self._entries.append(Entry(time, record.levelname, record.name.removeprefix("hsadc."), message))


RECENT = Recent()
"""Of this process: there is one log."""
