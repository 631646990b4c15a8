"""The classic capture file.

Supported standards: draft-ietf-opsawg-pcap, with microseconds or nanoseconds, in both byte orders.

    file header, 24 bytes:   magic a1b2c3d4 or a1b23c4d, versions, zone, sigfigs, snaplen, link type (with the length of the FCS)
    packet header, 16 bytes: seconds, fraction, bytes in the file, bytes on the wire; then the packet
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from hsadc.dataplane.replay.batch import PACKET_BYTES_MAX, Bytes, Part, convert, select, windows
from hsadc.dataplane.replay.link_type import converter
from hsadc.errors import WireError

HEADER_BYTES, RECORD_BYTES = 24, 16
_MAGICS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""Nanoseconds of a packet header's fraction, by the file's magic."""
_RUN = 4  # so many records of one length in a row, and more are looked for at once


def byte_order(start: bytes) -> str | None:
    """`<` or `>` of a file that begins so; None when it is no such file."""
    for order in "<>":
        if len(start) >= 4 and struct.unpack_from(f"{order}I", start)[0] in _MAGICS:
            return order
    return None


class PcapFile:
    """Reads the records; the bytes are handed in by whoever reads the file."""

    def __init__(self, header: bytes) -> None:
        """Take the file header.

        Raises:
            WireError: it is cut off, or the link type is not supported.
        """
        order = byte_order(header)
        if order is None or len(header) < HEADER_BYTES:
            raise WireError("the capture file ends inside its header")
        self._order = order
        self._fraction_ns = _MAGICS[struct.unpack_from(f"{order}I", header)[0]]
        self._length = struct.Struct(f"{order}8xI")
        link = struct.unpack_from(f"{order}I", header, 20)[0]
        self._convert = converter(link & 0xFFFF)
        self._fcs_bytes = (link >> 28) * 2 if link & 0x04000000 else 0

    def read(self, data: Bytes, start: int, end: int) -> Part:
        """The frames of all records that are whole.

        Args:
            data: bytes of the file, with WINDOW more behind `end`.
            start: where a record begins.
            end: where the bytes of the file end.
        """
        places, after, damage = self._chain(data.data, start, end)
        records = np.array(places, np.int64)
        if not records.size:
            return Part((), 0, after, damage)
        heads = windows(data, records, RECORD_BYTES).view(f"{self._order}u4").astype(np.int64)
        times = heads[:, 0].astype(np.uint64) * np.uint64(10**9) + heads[:, 1].astype(np.uint64) * np.uint64(self._fraction_ns)
        kept, wire = heads[:, 2] - self._fcs_bytes, heads[:, 3] - self._fcs_bytes
        sent = np.zeros(len(records), np.bool_)
        batch = select(data, records + RECORD_BYTES, kept, wire, times, sent)
        return Part((convert(batch, self._convert),), len(records), after, damage)

    def _chain(self, data: memoryview, start: int, end: int) -> tuple[list[int], int, str | None]:
        """Where each whole record begins, where the first begins that is not whole, and whether it can ever be."""
        places: list[int] = []
        length_of = self._length.unpack_from
        at, run, before = start, 0, -1
        while at + RECORD_BYTES <= end:
            length = length_of(data, at)[0]
            if length > PACKET_BYTES_MAX:
                return places, at, f"a packet of {length} bytes"
            after = at + RECORD_BYTES + length
            if after > end:
                break
            places.append(at)
            run = run + 1 if length == before else 0
            at, before = after, length
            if run == _RUN:
                at, run = self._follow(data, places, at, end, length), 0
        return places, at, None

    def _follow(self, data: memoryview, places: list[int], at: int, end: int, length: int) -> int:
        """Take all further records of one length at once: captures have such runs, and one by one takes most of the time.

        Returns:
            Where the first record begins that has another length, or is not whole.
        """
        step = RECORD_BYTES + length
        number = (end - at) // step
        lengths: NDArray[np.uint32] = np.ndarray((number,), f"{self._order}u4", data, at + 8, (step,))
        block = 64
        taken = 0
        while taken < number:  # in growing blocks, as most runs are short
            same = lengths[taken : taken + block] == length
            found = len(same) if same.all() else int(np.argmin(same))
            taken += found
            if found < len(same):
                break
            block *= 4
        places.extend(range(at, at + taken * step, step))
        return at + taken * step
