"""Since when a tunnel stands as it does, and when it last did not work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """A time when copies were not sent, or not as configured.

    Attributes:
        at: when this reason began.
        reason: why.
    """

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of a tunnel.

    Attributes:
        state: as it was last seen.
        reason: the same.
        since: when that began, or when this process saw the tunnel first.
        trouble: the last time that it was not up, or is not now; None when it always was.
    """

    state: str
    reason: str
    since: datetime
    trouble: Trouble | None = None


class TunnelHistory:
    """Remembers while the process runs; used by any thread."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._past: dict[str, Past] = {}

    def note(self, interface: str, state: str, reason: str) -> Past:
        """Tell how a tunnel's interface stands now; returns what is remembered of it."""
        with self._lock:
            old = self._past.get(interface)
            if old is not None and (old.state, old.reason) == (state, reason):
                return old
            now = self._now()
            since = old.since if old is not None and old.state == state else now
            trouble = Trouble(now, reason) if state != "up" else old.trouble if old is not None else None
            self._past[interface] = Past(state, reason, since, trouble)
            return self._past[interface]

    def keep(self, interfaces: Container[str]) -> None:
        """Forget all others: one that is made again begins anew."""
        with self._lock:
            self._past = {name: past for name, past in self._past.items() if name in interfaces}
