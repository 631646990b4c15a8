"""Records of the output file, made many at a time: pcapng enhanced packet blocks (draft-ietf-opsawg-pcapng, section 4.3).

| block head (28) | Ethernet header (14) | outer headers | payload | padding to 4 | length (4) |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsadc.dataplane.replay.batch import Bytes, Integers, Times

HEAD_BYTES, TAIL_BYTES = 28, 4
_ENHANCED = 6
_LARGE = 384  # bytes from which on a turn of Python's loop costs less than copying twice (measured)


@dataclass(frozen=True, slots=True)
class Group:
    """Packets for one interface of the output.

    Attributes:
        interface: its number.
        keys: where each packet stands among all: ascending.
        times: nanoseconds since 1970.
        headers: what is put in front of the payload, a row for each packet; all of one length, which may be 0.
        data: where the payloads are.
        offsets: of each payload in `data`.
        lengths: bytes of each payload.
    """

    interface: int
    keys: Integers
    times: Times
    headers: Bytes
    data: Bytes
    offsets: Integers
    lengths: Integers


class RecordWriter:
    """Makes records in a buffer of its own."""

    def __init__(self) -> None:
        self._buffer = np.zeros(1 << 20, np.uint32)

    def write(self, groups: Sequence[Group]) -> memoryview:
        """The records of all groups in the order of their keys; valid until the next call."""
        groups = [group for group in groups if len(group.keys)]
        if not groups:
            return memoryview(b"")
        data_bytes = [group.headers.shape[1] + group.lengths for group in groups]
        sizes = [(n + (HEAD_BYTES + TAIL_BYTES + 3)) & ~3 for n in data_bytes]
        places, total = _places(groups, sizes)
        if total > self._buffer.nbytes:
            self._buffer = np.zeros(total // 4 * 5 // 4, np.uint32)
        for group, inner, size, place in zip(groups, data_bytes, sizes, places, strict=True):
            self._write_group(group, inner, size, place)
        return self._buffer.data.cast("B")[:total]

    def _write_group(self, group: Group, data_bytes: Integers, sizes: Integers, places: Integers) -> None:
        words, out = self._buffer, self._buffer.view(np.uint8)
        heads = np.empty((len(places), 7), np.uint32)
        heads[:, 0], heads[:, 1], heads[:, 2] = _ENHANCED, sizes, group.interface
        heads[:, 3], heads[:, 4] = group.times >> np.uint64(32), group.times & np.uint64(0xFFFFFFFF)
        heads[:, 5] = heads[:, 6] = data_bytes
        put_rows(out, places, heads.view(np.uint8))
        last = places + sizes >> 2
        words[last - 1], words[last - 2] = sizes, 0  # the data's last word first, as padding has to be zero
        if group.headers.shape[1]:
            put_rows(out, places + HEAD_BYTES, group.headers)
        copy_ranges(out, places + (HEAD_BYTES + group.headers.shape[1]), group.data, group.offsets, group.lengths)


def _places(groups: Sequence[Group], sizes: Sequence[Integers]) -> tuple[list[Integers], int]:
    """Where each group's records begin, and the bytes of all records."""
    if len(groups) == 1:
        ends = np.cumsum(sizes[0])
        return [ends - sizes[0]], int(ends[-1])
    order = np.argsort(np.concatenate([group.keys for group in groups]), kind="stable")
    all_sizes = np.concatenate(sizes)
    ends = np.cumsum(all_sizes[order])
    places = np.empty_like(all_sizes)
    places[order] = ends - all_sizes[order]
    borders = np.cumsum([len(group.keys) for group in groups])[:-1]
    return np.split(places, borders), int(ends[-1])


def _as_items(data: Bytes, size: int) -> NDArray[np.void]:
    """The `size` bytes at each offset of the data, as an item that is copied at once."""
    return np.ndarray((len(data) - size + 1,), f"V{size}", data.data, strides=(1,))


def put_rows(out: Bytes, places: Integers, rows: Bytes) -> None:
    """Write each row at its place."""
    size = rows.shape[1]
    _as_items(out, size)[places] = np.ascontiguousarray(rows).view(f"V{size}")[:, 0]


def copy_ranges(out: Bytes, places: Integers, data: Bytes, offsets: Integers, lengths: Integers) -> None:
    """Copy a range of bytes for each place; a range may be empty.

    A range between 2^k and 2^(k+1) bytes long is copied as its first and its last 2^k bytes, which may overlap: there are as many
    rounds as there are powers of two, whatever the lengths are.
    The bytes of such a round are copied twice, which large ranges are not: for them it is less work to go one by one.
    """
    large = np.flatnonzero(lengths >= _LARGE)
    if large.size:
        _copy_large(out.data, places[large], data.data, offsets[large], lengths[large])
        if large.size == len(lengths):
            return
        small = np.flatnonzero(lengths < _LARGE)
        places, offsets, lengths = places[small], offsets[small], lengths[small]
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest == longest > 0:
        _as_items(out, shortest)[places] = _as_items(data, shortest)[offsets]
        return
    for power in range(max(shortest.bit_length() - 1, 0), longest.bit_length()):
        size = 1 << power
        some = np.flatnonzero((lengths >= size) & (lengths < size * 2))
        if some.size:
            source, target = _as_items(data, size), _as_items(out, size)
            target[places[some]] = source[offsets[some]]
            rest = lengths[some] - size
            target[places[some] + rest] = source[offsets[some] + rest]


def _copy_large(out: memoryview, places: Integers, data: memoryview, offsets: Integers, lengths: Integers) -> None:
    for place, offset, length in zip(places.tolist(), offsets.tolist(), lengths.tolist(), strict=True):
        out[place : place + length] = data[offset : offset + length]
