"""The thread that has flows go elsewhere when a real server goes up or down; the prober must not wait for that."""

from __future__ import annotations

import logging
import threading
import time

from hsadc.dataplane.datagram import OWNER, DatagramDriver
from hsadc.dataplane.prober import Prober
from hsadc.errors import ApplyError
from hsadc.intent.probe import Probe

_log = logging.getLogger(__name__)

_GATHER_S = 0.02
"""When a switch fails, many go down at once: one transaction is enough for them."""
_SWEEP_S = 1.0
_RETRY_S = 1.0


class DatagramWatch:
    """Hears from the prober, and has the driver refresh."""

    def __init__(self, driver: DatagramDriver, prober: Prober) -> None:
        """Nothing runs before `start`; both are the caller's."""
        self._driver = driver
        self._changed = threading.Condition()
        self._probes: set[Probe] = set()
        self._to_sweep: set[Probe] = set()
        self._thread: threading.Thread | None = None
        self._stopping = False
        prober.listen(OWNER, self._notice)

    def start(self) -> None:
        """Begin; nothing when it has begun. Call it in the network namespace of the driver."""
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="datagram-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Refresh no more; returns when the thread has ended."""
        if self._thread is None:
            return
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        self._thread = None

    def _notice(self, probe: Probe) -> None:
        with self._changed:
            self._probes.add(probe)
            self._changed.notify()

    def _run(self) -> None:
        while self._sleep():
            if self._probes:
                self._refresh()
            else:
                self._driver.sweep(self._to_sweep)
                self._to_sweep = set()

    def _sleep(self) -> bool:
        """Until there is something to do; False when it is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._probes or self._stopping, _SWEEP_S if self._to_sweep else None)
            return not self._stopping

    def _refresh(self) -> None:
        time.sleep(_GATHER_S)
        with self._changed:
            probes, self._probes = self._probes, set()
        try:
            self._driver.refresh(probes)
        except (ApplyError, OSError):
            _log.exception("flows go to real servers as before, though some have gone up or down")
            time.sleep(_RETRY_S)
            with self._changed:
                self._probes |= probes
        else:
            self._to_sweep |= probes
