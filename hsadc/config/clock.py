"""The time, and calls at a later time; tests have a clock of their own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Alarm:
    """A call, in a thread of its own, after some seconds unless it is cancelled before."""

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._due = time.monotonic() + seconds  # the day's time may be set meanwhile
        self._timer = threading.Timer(seconds, call)
        self._timer.daemon = True  # a process that ends does not wait for it
        self._timer.start()

    @property
    def remaining_s(self) -> int:
        """Whole seconds until the call, 0 when it is due."""
        return max(math.ceil(self._due - time.monotonic()), 0)

    def cancel(self) -> None:
        """Do not call, unless it has begun."""
        self._timer.cancel()


class Clock:
    """This machine's clock."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def alarm(self, seconds: float, call: Callable[[], object]) -> Alarm:
        """Call in so many seconds."""
        return Alarm(seconds, call)
