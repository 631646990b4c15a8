"""A capture file is mirrored to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsadc.dataplane.mirror_counters import MirrorCounters
from hsadc.dataplane.portable.core import Intents, MirrorCore
from hsadc.dataplane.replay.batch import Batch, Flags, windows
from hsadc.dataplane.replay.fast import FastMirror
from hsadc.dataplane.replay.output import OutputFile
from hsadc.dataplane.replay.reading import CaptureReader
from hsadc.dataplane.replay.records import RecordWriter
from hsadc.errors import WireError

_PACKETS_AT_ONCE = 16384


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is.

    Attributes:
        packets: packets read.
        position_bytes: bytes of the file read.
        size_bytes: bytes of the file.
    """

    packets: int
    position_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did.

    Attributes:
        packets: packets read.
        snapped: of these, packets that were not captured whole: left out.
        counters: the mirror's.
        damage: where and why the capture file could not be read to its end; None when it could.
    """

    packets: int
    snapped: int
    counters: MirrorCounters
    damage: str | None


def replay(
    intents: Intents,
    device: str,
    source: Path,
    target: Path,
    *,
    mac: bytes | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Replayed:
    """Mirror a capture file.

    Args:
        intents: what the mirror does.
        device: the interface at which the file was captured, as port mirrors name it.
        source: the capture file.
        target: the pcapng file to be made; one that is there is replaced once the new one is complete.
        mac: the interface's MAC address, 6 bytes: frames from it were sent, not received.
        progress: called now and then.

    Returns:
        What was done. When the capture file is damaged, that is all packets before the damage.

    Raises:
        WireError: the capture file cannot be read at all.
        HsadcError: the target cannot be written; it is as before.
    """
    core = MirrorCore(intents)
    mirror, writer = FastMirror(intents, core, device), RecordWriter()
    reader, damage = CaptureReader(source), None
    try:
        with OutputFile(target, [tunnel.interface for tunnel in intents.tunnels]) as output:
            try:
                for batch in _parts(reader.batches()):
                    output.write(writer.write(mirror.mirror(batch, _received(batch, mac))))
                    progress(Progress(reader.packets, reader.position_bytes, reader.size_bytes))
            except WireError as e:
                if not reader.packets:
                    raise
                damage = str(e)
            output.commit()
    finally:
        reader.close()
    mirror.finish()
    return Replayed(reader.packets, reader.snapped, core.counters(), damage)


def _parts(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Batches small enough for their columns to stay in the processor's cache."""
    for batch in batches:
        for start in range(0, len(batch), _PACKETS_AT_ONCE):
            yield batch.part(start, start + _PACKETS_AT_ONCE)


def _received(batch: Batch, mac: bytes | None) -> Flags:
    """Which frames the interface received: all but those that the capture says were sent, or that come from its MAC address."""
    sent = batch.sent
    if mac is not None:
        source = windows(batch.data, batch.offsets, 12)[:, 6:]
        sent = sent | ((source == np.frombuffer(mac, np.uint8)).all(axis=1) & (batch.lengths >= 12))
    return ~sent
