"""`capture`: the packets of an interface, decoded as they pass or recorded in a file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

from hsadc import __version__
from hsadc.cli.live import Lines, Live
from hsadc.config.store import refusal
from hsadc.errors import ConfigError
from hsadc.intent.capture import copies_filter
from hsadc.intent.ports import resolve_ports
from hsadc.model.title import number_of, title
from hsadc.syntax.words import unquote
from hsadc.wire import pcapng
from hsadc.wire.summary import VXLAN_PORTS, summarise

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.config.upload import Upload
    from hsadc.dataplane.capture import Capture, Packet
    from hsadc.dataplane.dataplane import Dataplane

_SHOWN, _RECORDED = 10, 10_000
_DURATION_S = 60
_WAIT_S = 0.2

_log = logging.getLogger(__name__)


def do_capture(
    session: Session,
    interface: str,
    expression: str | None = None,
    count: int | None = None,
    file: str | None = None,
    duration: int | None = None,
) -> Live:
    """Packets of an interface, or copies that leave by a tunnel interface, until so many have come or the time is over."""
    dataplane = session.device.dataplane
    if dataplane is None:
        raise ConfigError("capture", "no packets pass this device, it runs with `--dataplane none`")
    device, within = _where(session, dataplane, interface)
    chosen, packets = unquote(expression or "").strip(), count or (_RECORDED if file else _SHOWN)
    recording = session.device.files.begin(file) if file else None
    try:
        capture = dataplane.capture(device, chosen, within)
    except BaseException:
        if recording is not None:
            recording.discard()
        raise
    what = f"the copies of {interface} on {device}" if within else f"{interface} ({device})"
    _log.info("%s captures %s", session.login, what)
    seconds = duration or _DURATION_S
    ends = "" if session.login.batch else "; any key ends it"
    head = f"Capturing {what}: {number_of(packets, 'packet')} or {number_of(seconds, 'second')} at most{ends}"
    stop = Event()
    if recording is None:
        ports = VXLAN_PORTS | {t.port for t in session.device.running.vxlan_tunnel.values()}
        return Live(_shown(capture, head, _Limit(packets, seconds, stop), ports), stop)
    passing = " and ".join(f"({part})" for part in (within, chosen) if part)
    return Live(_recorded(capture, head, _Limit(packets, seconds, stop), _Recording(recording, device, passing)), stop)


def _where(session: Session, dataplane: Dataplane, interface: str) -> tuple[str, str]:
    """The Linux device that is listened at, and the filter for what is meant; empty for all."""
    if not interface.startswith("tunnel"):
        ports = resolve_ports(session.device.running, dataplane.machine())
        if interface not in ports.by_name:
            raise ConfigError(title("ethernet", interface), "there is no such interface")
        return ports[interface].device.name, ""
    path = title("tunnel_interface", interface)
    tunnel = next((t for t in dataplane.intent.tunnels if t.interface == interface), None)
    if tunnel is None:
        raise ConfigError(path, "no copies leave by it: it does not exist, is shut down, or nothing is mirrored to it")
    state = dataplane.tunnel_state(interface)
    if not state.egress:
        raise ConfigError(path, f"no copies leave by it now: {state.reason}")
    return state.egress, copies_filter(tunnel.encapsulation)


class _Limit:
    """When a capture is over.

    Attributes:
        packets: how many may still come.
    """

    def __init__(self, packets: int, seconds: float, stop: Event) -> None:
        self.packets = packets
        self._until = time.monotonic() + seconds
        self._stop = stop

    @property
    def wait_s(self) -> float:
        """How long the next packet may be waited for; 0 when it is over."""
        if self._stop.is_set() or self.packets == 0:
            return 0
        return max(min(self._until - time.monotonic(), _WAIT_S), 0)


def _pass_on(capture: Capture, limit: _Limit, take: Callable[[Packet], str | None]) -> Lines:
    """Hand over packets, and what is to be printed of them, until it is over."""
    while (wait_s := limit.wait_s) > 0:
        for packet in capture.packets(wait_s):
            line = take(packet)
            limit.packets -= 1
            if line is not None:
                yield line
            if limit.packets == 0:
                break
        yield None


def _shown(capture: Capture, head: str, limit: _Limit, vxlan_ports: frozenset[int]) -> Lines:
    wanted = limit.packets
    with closing(capture):
        yield head
        yield None
        yield from _pass_on(capture, limit, lambda p: _line(p, vxlan_ports))
        yield _total(wanted - limit.packets, capture)


def _recorded(capture: Capture, head: str, limit: _Limit, recording: _Recording) -> Lines:
    """What has been recorded is kept, whatever ends it."""
    with closing(capture), closing(recording):
        yield head
        yield None
        for tick in _pass_on(capture, limit, recording.add):
            recording.flush()
            if recording.full:
                break
            yield tick
        recording.finish(*capture.counters())
        full = f", it is as large as it may be ({recording.size} bytes)" if recording.full else f" ({recording.size} bytes)"
        yield f'{_total(recording.packets, capture)}; in file "{recording.name}"{full}'


def _total(packets: int, capture: Capture) -> str:
    return f"{number_of(packets, 'packet')} captured, {capture.counters()[1]} dropped by the kernel"


def _line(packet: Packet, vxlan_ports: frozenset[int]) -> str:
    time_text = f"{datetime.fromtimestamp(packet.time_ns // 10**9, UTC):%H:%M:%S}.{packet.time_ns // 1000 % 10**6:06}"
    direction = "out" if packet.outgoing else "in "
    return f"{time_text} {direction} {packet.length:>5} bytes  {summarise(packet.frame, vxlan_ports)}"


class _Recording:
    """A capture file that is being written.

    Attributes:
        name: the file's.
        size: its bytes so far.
        packets: how many are in it.
        full: True when the next packet would have made it too large.
    """

    def __init__(self, file: Upload, device: str, expression: str) -> None:
        self.name = file.target.name
        self.size = self.packets = 0
        self.full = False
        self._file = file
        self._blocks = [pcapng.header(device, expression, f"hsadc {__version__}")]
        self._waiting = len(self._blocks[0])

    def add(self, packet: Packet) -> None:
        """Take a packet, which is written by `flush`."""
        block = pcapng.packet(packet.time_ns, packet.frame, packet.length, outgoing=packet.outgoing)
        self.full = self.full or self.size + self._waiting + len(block) + pcapng.STATISTICS_BYTES > self._file.limit_bytes
        if not self.full:
            self._blocks.append(block)
            self._waiting += len(block)
            self.packets += 1

    def flush(self) -> None:
        """Write what was taken.

        Raises:
            ApplyError: the disk refused; there is no file then.
        """
        data, self._blocks, self._waiting = b"".join(self._blocks), [], 0
        try:
            self._file.write_at(self.size, data)
        except OSError as e:
            self._file.discard()
            raise refusal(f"write {self._file.target}", e) from e
        self.size += len(data)

    def finish(self, passed: int, dropped: int) -> None:
        """Write what the kernel counted."""
        self._blocks.append(pcapng.statistics(time.time_ns(), passed, dropped))
        self.flush()

    def close(self) -> None:
        """Put the file in its place.

        Raises:
            ApplyError: the disk refused.
        """
        try:
            if not self._file.closed:
                self.flush()
                self._file.finish()
        except OSError as e:
            raise refusal(f"write {self._file.target}", e) from e
