"""Ctrl-C and SIGTERM, taken where it is safe."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import TracebackType

_POLL_S = 0.05


class Interrupted(KeyboardInterrupt):
    """The operator asked to stop, by whatever signal."""


class Interrupt:
    """Turns signals into `Interrupted`, but only inside `wait`: what is being made or removed meanwhile is finished first.

    A context manager, for the main thread; it gives the signals back to whom they belonged. A signal that whoever started this
    process had it ignore (nohup does so with SIGHUP) stays ignored.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> Interrupt:
        heard = [number for number in self._SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, lambda *_: self._note()) for number in heard}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self) -> None:
        self._asked = True

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds; False when it does not within `timeout_s`.

        Raises:
            Interrupted: the operator asked to stop, now or earlier.
        """
        deadline = time.monotonic() + timeout_s
        while not self._asked:
            if condition():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        raise Interrupted("stopped on request")
