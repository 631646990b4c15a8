"""The prober: a thread that checks real servers and tells when one goes up or down.

The first check of a probe decides at once; from then on it takes `rise` good ones in a row to go up, and `fall` bad ones to go
down. Time is the monotonic clock's: setting the machine's clock changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import resource
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hsadc.dataplane.prober_check import Attempt, Verdict, check
from hsadc.dataplane.prober_datagram import DatagramAttempt
from hsadc.dataplane.prober_ping import EchoAttempt, Pinger
from hsadc.dataplane.prober_stream import HttpAttempt, TcpAttempt
from hsadc.intent.probe import Probe

_log = logging.getLogger(__name__)

_PACE_S = 0.002
"""Between the first checks of probes that are wanted at once; each goes on at its own time afterwards."""
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class ProbeState:
    """How a probe is.

    Attributes:
        up: whether the real server counts as working: yes until the first check has said otherwise.
        words: what came of the last check.
        since: when it became so, or, when it was never checked, was first wanted.
        checked: when the last check ended; None before the first one has.
    """

    up: bool
    words: str
    since: datetime
    checked: datetime | None

    @property
    def known(self) -> bool:
        """Whether a check has decided yet."""
        return self.checked is not None


@dataclass(frozen=True, slots=True)
class _Count:
    """What is known of a probe; moments are of time.monotonic().

    Attributes:
        up: None until a check has decided.
        words: of the last check.
        since_s: when `up` became so.
        checked_s: when the last check ended.
        streak: checks in a row that ended otherwise than `up`.
    """

    up: bool | None
    words: str
    since_s: float
    checked_s: float | None = None
    streak: int = 0


def counted(probe: Probe, before: _Count, verdict: Verdict, now_s: float) -> _Count:
    """What is known after one more check."""
    if verdict.good is None:
        return replace(before, words=verdict.words)
    if before.up is None:
        return _Count(verdict.good, verdict.words, now_s, now_s)
    streak = 0 if verdict.good == before.up else before.streak + 1
    if streak >= (probe.rise if verdict.good else probe.fall):
        return _Count(verdict.good, verdict.words, now_s, now_s)
    return replace(before, words=verdict.words, checked_s=now_s, streak=streak)


class Prober:
    """Checks what its owners want to have checked; any thread may call it.

    The checks are made in the network namespace of the thread that starts it.
    """

    def __init__(self) -> None:
        """Nothing is checked before `start`."""
        self._lock = threading.Lock()
        self._wanted: dict[str, frozenset[Probe]] = {}
        self._listeners: dict[str, Callable[[Probe], None]] = {}
        self._counts: dict[Probe, _Count] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._stopping = False

    def start(self) -> None:
        """Begin to check; nothing when it does already.

        Raises:
            OSError: no file descriptor is left.
        """
        with self._lock:
            if self._thread is None:
                self._loop, self._changed, self._stopping = asyncio.SelectorEventLoop(), asyncio.Event(), False
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="prober", daemon=True)
                self._thread.start()
                self._wake()

    def stop(self) -> None:
        """Check no more. Returns when the thread has ended; what is wanted stays so for the next start."""
        with self._lock:
            thread, self._stopping = self._thread, True
            self._wake()
        if thread is not None:
            thread.join(_STOP_S)
        with self._lock:
            self._thread = None

    def listen(self, owner: str, listener: Callable[[Probe], None]) -> None:
        """Have a function called when a probe of an owner goes up or down, and when its first check has decided.

        It is called in the prober's thread, which checks nothing until it returns: it must be quick.
        """
        with self._lock:
            self._listeners[owner] = listener

    def want(self, owner: str, probes: Iterable[Probe]) -> None:
        """Check these for an owner and no others. One that several want is checked once; what is known of it stays."""
        with self._lock:
            self._wanted[owner] = frozenset(probes)
            wanted = frozenset[Probe]().union(*self._wanted.values())
            now_s = time.monotonic()
            self._counts = {p: self._counts.get(p) or _Count(None, "not checked yet", now_s) for p in wanted}
            self._wake()

    def state(self, probe: Probe) -> ProbeState:
        """How a probe is; one that nobody wants was never checked."""
        now_s, now = time.monotonic(), datetime.now(UTC)
        count = self._counts.get(probe) or _Count(None, "not checked", now_s)

        def moment(at_s: float) -> datetime:
            return now - timedelta(seconds=now_s - at_s)

        checked = None if count.up is None or count.checked_s is None else moment(count.checked_s)
        return ProbeState(count.up is not False, count.words, moment(count.since_s), checked)

    def _wake(self) -> None:
        """Have the thread look at what is wanted. The lock is held."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        _allow_many_files()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        pinger, tasks = Pinger(), dict[Probe, asyncio.Task[None]]()
        try:
            while not self._stopping:
                await self._changed.wait()
                self._changed.clear()
                self._settle(tasks, pinger)
        finally:
            with self._lock:
                self._loop = None
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            pinger.close()

    def _settle(self, tasks: dict[Probe, asyncio.Task[None]], pinger: Pinger) -> None:
        """Have a task for each probe that is wanted, and no other."""
        with self._lock:
            wanted = () if self._stopping else tuple(self._counts)
        for probe in tasks.keys() - frozenset(wanted):
            tasks.pop(probe).cancel()
        new = [probe for probe in wanted if probe not in tasks]
        for number, probe in enumerate(new):
            tasks[probe] = asyncio.create_task(self._watch(probe, _attempt(probe, pinger), number * _PACE_S))

    async def _watch(self, probe: Probe, attempt: Attempt, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
            due_s = time.monotonic()
            while True:
                self._note(probe, await check(attempt, probe.timeout_s))
                # On the beat of the first one; a beat that a check took longer than is left out.
                late_s = time.monotonic() - due_s
                due_s += probe.interval_s * max(1, math.ceil(late_s / probe.interval_s))
                await asyncio.sleep(due_s - time.monotonic())
        finally:
            attempt.close()

    def _note(self, probe: Probe, verdict: Verdict) -> None:
        with self._lock:
            if (before := self._counts.get(probe)) is None:
                return
            after = self._counts[probe] = counted(probe, before, verdict, time.monotonic())
            if after.up == before.up:
                return
            listeners = [listener for owner, listener in self._listeners.items() if probe in self._wanted.get(owner, ())]
        _log.log(logging.INFO if after.up else logging.WARNING, "%s is %s: %s", probe, "up" if after.up else "down", after.words)
        for listener in listeners:
            try:
                listener(probe)
            except Exception:  # one owner's mistake must not end the checks
                _log.exception("what listens to %s failed", probe)


def _attempt(probe: Probe, pinger: Pinger) -> Attempt:
    if probe.type == "icmp":
        return EchoAttempt(probe, pinger)
    kinds: Mapping[str, type[TcpAttempt | HttpAttempt | DatagramAttempt]] = {
        "tcp": TcpAttempt,
        "http": HttpAttempt,
        "https": HttpAttempt,
        "udp": DatagramAttempt,
    }
    return kinds[probe.type](probe)


def _allow_many_files() -> None:
    """A check that waits holds a descriptor; the usual soft limit of 1024 is for programs that use select(2), which we do not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
