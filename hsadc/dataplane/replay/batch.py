"""Frames of a capture file, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsadc.dataplane.replay.link_type import Converter

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Times = NDArray[np.uint64]
Flags = NDArray[np.bool_]

WINDOW = 64
"""Bytes that may be read behind the last frame of a batch, whatever they are, so that headers are gathered without looking."""
PACKET_BYTES_MAX = 1 << 18
"""The largest packet that is believed, as libpcap's."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames that were captured one after the other.

    Attributes:
        data: the bytes that the frames are in, and WINDOW more.
        offsets: where each frame begins.
        lengths: bytes of each.
        times: when each was captured, nanoseconds since 1970.
        sent: whether the capture says that the interface sent it; false where it does not say.
        snapped: packets of this part of the file that were not captured whole, and are left out.
    """

    data: Bytes
    offsets: Integers
    lengths: Integers
    times: Times
    sent: Flags
    snapped: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, start: int, end: int) -> Batch:
        """The frames from `start` to before `end`."""
        some = slice(start, end)
        return Batch(self.data, self.offsets[some], self.lengths[some], self.times[some], self.sent[some])


def windows(data: Bytes, offsets: Integers, size: int) -> Bytes:
    """The `size` bytes at each offset, as rows of an array of their own."""
    view: NDArray[np.void] = np.ndarray((len(data) - size + 1,), f"V{size}", data.data, strides=(1,))
    return view[offsets].view(np.uint8).reshape(-1, size)


def gather(frames: Sequence[bytes]) -> tuple[Bytes, Integers, Integers]:
    """Frames as one array of bytes with room behind it, and where each begins and how long it is."""
    lengths = np.fromiter(map(len, frames), np.int64, len(frames))
    data = np.frombuffer(b"".join((*frames, bytes(WINDOW))), np.uint8)
    return data, np.cumsum(lengths) - lengths, lengths


@dataclass(frozen=True, slots=True)
class Part:
    """What a piece of a capture file gave.

    Attributes:
        batches: the frames.
        packets: how many packets they are, those included that are left out.
        end: where in the piece that begins which is not whole yet.
        damage: why nothing more can be read; None while more can.
    """

    batches: tuple[Batch, ...]
    packets: int
    end: int
    damage: str | None = None


def select(data: Bytes, offsets: Integers, kept: Integers, wire: Integers, times: Times, sent: Flags) -> Batch:
    """The frames that were captured whole; `kept` and `wire` are their bytes in the file and on the wire."""
    whole = kept >= wire
    if whole.all():
        return Batch(data, offsets, kept, times, sent)
    snapped = int(len(whole) - np.count_nonzero(whole))
    return Batch(data, offsets[whole], kept[whole], times[whole], sent[whole], snapped)


def convert(batch: Batch, convert_packet: Converter | None) -> Batch:
    """The frames of packets of another link type."""
    if convert_packet is None:
        return batch
    raw = batch.data.tobytes()
    made = [convert_packet(raw[at : at + n]) for at, n in zip(batch.offsets.tolist(), batch.lengths.tolist(), strict=True)]
    data, offsets, lengths = gather([frame for frame, _ in made])
    sent = np.fromiter((outgoing for _, outgoing in made), np.bool_, len(made))
    return Batch(data, offsets, lengths, batch.times, batch.sent | sent, batch.snapped)
