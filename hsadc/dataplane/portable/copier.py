"""The thread that copies: it reads the taps, asks the core what becomes of each packet, and sends.

    tap --> packets as the kernel has them --> frames as a wire has them --> core --> outer packets --> output

One thread owns taps, core and outputs. What others want of them it does between two packets, so no packet sees half a change.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from hsadc.dataplane.mirror_counters import PROBES, DestinationCounters, MirrorCounters
from hsadc.dataplane.portable.output import OTHER_REASON, REASONS, Output, Way
from hsadc.dataplane.portable.ring import Captured
from hsadc.dataplane.portable.segment import Offload, segments
from hsadc.dataplane.portable.tap import Tap

_log = logging.getLogger(__name__)
T = TypeVar("T")

_PART = 64
"""So many packets are dealt with before somebody else gets a turn, and are sent together."""
_PAUSE_S = 0.1
"""After an error that nobody thought of, so that one that stays does not take all the CPU."""


class Outgoing(Protocol):
    """What the core wants sent."""

    @property
    def interface(self) -> str:
        """The tunnel's interface."""
        ...

    @property
    def data(self) -> bytes:
        """An outer IP packet, or a frame."""
        ...


class Core(Protocol):
    """What decides and encapsulates; it counts what it returns as sent."""

    def process(self, frame: bytes, device: str, received: bool, now_ns: int) -> Sequence[Outgoing]:
        """Mirror a packet."""
        ...

    def wants(self, frame: bytes, device: str, received: bool) -> bool:
        """Whether `process` would count any frame of this packet, which may be a large segment; counts nothing."""
        ...

    def unsent(self, outgoing: Any, reason: str) -> None:
        """Take back one of the packets that `process` returned: it was not sent after all; count it under the reason."""
        ...

    def counters(self) -> MirrorCounters:
        """All counters as they stand."""
        ...

    def clear_counters(self) -> None:
        """Set all of them to zero."""
        ...

    def probe(self, interface: str, frame: bytes, now_ns: int) -> Sequence[Outgoing]:
        """What sends a frame by a tunnel's interface as a copy, counted under PROBES; KeyError without such a tunnel."""
        ...


class Copier:
    """Copies from `start` to `stop`; what is asked of it may be asked by any thread, also before and after.

    Args:
        core: the first one.

    Raises:
        OSError: no file descriptor is left.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._renew: Callable[[Core], Core] | None = None
        self._taps: dict[int, Tap] = {}
        self._outputs: dict[str, Output] = {}
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._errands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin; nothing when it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hsadc-copier", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End, and close taps and outputs; the packets that wait are not copied."""
        if self._thread is not None:
            self.between_packets(self._end)
            self._thread.join()
            with self._gate:
                self._thread = None
            self._run_errands()
        for tap in list(self._taps.values()):
            self.remove_tap(tap)
        for output in self._outputs.values():
            output.close()
        self._outputs.clear()
        self._epoll.close()
        os.close(self._wake)

    def between_packets(self, action: Callable[[], T]) -> T:
        """Have something done while no packet is being dealt with, and wait for it; its exceptions are raised here."""
        done: Future[T] = Future()

        def errand() -> None:
            try:
                done.set_result(action())
            except BaseException as e:
                done.set_exception(e)

        with self._gate:
            running = self._thread is not None and self._thread is not threading.current_thread()
            if running:
                self._errands.put(errand)
        if not running:
            return action()
        os.eventfd_write(self._wake, 1)
        return done.result()

    def renew_core(self, make: Callable[[Any], Core]) -> None:
        """From the next packet on another core decides.

        It is made when that packet comes, so that of many changes in a row the last one alone costs anything.

        Args:
            make: makes it out of the one before.
        """
        self._renew = make

    def core(self) -> Core:
        """The core that decides now; for actions between packets."""
        make, self._renew = self._renew, None
        if make is not None:
            try:
                self._core = make(self._core)
            except Exception:
                _log.exception("the mirror goes on as before: its new configuration cannot be put into force")
        return self._core

    def counters(self) -> MirrorCounters:
        """All counters as they stand."""
        return self.between_packets(lambda: self.core().counters())

    def clear_counters(self) -> None:
        """Set all counters to zero, those of lost packets, too."""

        def clear() -> None:
            self.core().clear_counters()
            for tap in self._taps.values():
                tap.clear_lost()

        self.between_packets(clear)

    def probe(self, interface: str, frame: bytes) -> DestinationCounters:
        """Send a frame by a tunnel's interface as a copy, and tell what was counted.

        Raises:
            KeyError: there is no such tunnel.
        """

        def send() -> DestinationCounters:
            before = self._probes(interface)
            self._send(interface, self._core.probe(interface, frame, time.monotonic_ns()))
            return self._probes(interface) - before

        return self.between_packets(send)

    def _probes(self, interface: str) -> DestinationCounters:
        return self.core().counters().destinations.get((PROBES, interface), DestinationCounters())

    def add_tap(self, tap: Tap) -> None:
        """Copy from a tap, too, and own it."""

        def add() -> None:
            self._taps[tap.fileno()] = tap
            self._epoll.register(tap.fileno(), select.EPOLLIN)

        self.between_packets(add)

    def remove_tap(self, tap: Tap) -> None:
        """Copy from it no more, and close it."""

        def remove() -> None:
            # Not left to `close`: the ring's memory holds the socket for a moment longer.
            self._epoll.unregister(tap.fileno())
            del self._taps[tap.fileno()]
            tap.close()

        self.between_packets(remove)

    def taps(self) -> Mapping[str, Tap]:
        """By device."""
        return self.between_packets(lambda: {tap.device: tap for tap in self._taps.values()})

    def lost(self) -> Mapping[str, int]:
        """Packets of each tap's device that were not seen, since the tap was made or the counters were cleared."""
        return self.between_packets(lambda: {tap.device: tap.lost() for tap in self._taps.values()})

    def ways(self) -> Mapping[str, Way]:
        """How the packets of each tunnel's interface leave now."""
        return self.between_packets(lambda: {interface: output.way for interface, output in self._outputs.items()})

    def set_outputs(self, outputs: Mapping[str, Output | None], make: Callable[[Any], Core]) -> None:
        """Send tunnels' packets there from now on, as a core decides that knows of it.

        Args:
            outputs: by the tunnel's interface, owned from now on; None sends none.
            make: as `renew_core` has it.
        """

        def replace() -> None:
            self._renew = make
            for interface, output in outputs.items():
                old = self._outputs.pop(interface, None)
                if old is not None:
                    old.close()
                if output is not None:
                    self._outputs[interface] = output

        self.between_packets(replace)

    def _end(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._wait_and_serve()
            except Exception:
                _log.exception("the mirror goes on after an error")
                time.sleep(_PAUSE_S)

    def _wait_and_serve(self) -> None:
        for fd, event in self._epoll.poll():
            if fd == self._wake:
                os.eventfd_read(self._wake)
                self._run_errands()
            elif (tap := self._taps.get(fd)) is not None:
                self._serve(tap, event)

    def _run_errands(self) -> None:
        while not self._errands.empty():
            self._errands.get()()

    def _serve(self, tap: Tap, event: int) -> None:
        """Copy the packets of one block."""
        if event & select.EPOLLERR and (code := tap.take_error()):
            _log.warning("tap %s: %s", tap.device, os.strerror(code))  # it goes on when the device comes up again
        packets = tap.read()
        for start in range(0, len(packets), _PART):
            self._copy(tap, packets[start : start + _PART])
            self._run_errands()
            if tap not in self._taps.values():
                return

    def _copy(self, tap: Tap, packets: Sequence[Captured]) -> None:
        # The core's clock must not jump, the kernel's time of day may: both are looked at while the packets are fresh.
        skew_ns = time.monotonic_ns() - time.time_ns()
        waiting: dict[str, list[Outgoing]] = defaultdict(list)
        core, device = self.core(), tap.device
        process = core.process
        for packet in packets:
            try:
                found: Sequence[bytes] = (packet.frame,)
                if packet.offload or packet.tag:
                    if not core.wants(packet.frame, device, packet.received):
                        continue  # to cut it would cost more than all else
                    found = frames(packet)
                    if not found:
                        tap.lose(1)
                for frame in found:
                    for outgoing in process(frame, device, packet.received, packet.time_ns + skew_ns):
                        waiting[outgoing.interface].append(outgoing)
            except Exception:
                # A packet that nobody thought of must not end the mirror.
                tap.lose(1)
                _log.exception("tap %s: a packet could not be copied", device)
        for interface, outgoing_packets in waiting.items():
            self._send(interface, outgoing_packets)

    def _send(self, interface: str, packets: Sequence[Outgoing]) -> None:
        def refused(place: int, code: int) -> None:
            self._core.unsent(packets[place], REASONS.get(code, OTHER_REASON))

        output = self._outputs.get(interface)
        if output is not None:
            output.send([packet.data for packet in packets], refused)
        else:  # the core was told that it is up, and it is not
            for packet in packets:
                self._core.unsent(packet, OTHER_REASON)


def frames(packet: Captured) -> Sequence[bytes]:
    """The frames of a packet as a wire carries them, its VLAN tag put back; none when it cannot be cut into frames."""
    found = segments(packet.frame, Offload.decode(packet.offload)) if packet.offload else [packet.frame]
    if packet.tag:
        return [frame[:12] + packet.tag + frame[12:] for frame in found]
    return found
