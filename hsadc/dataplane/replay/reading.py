"""A capture file is read in pieces, so that memory does not depend on its size."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Protocol

import numpy as np

from hsadc.dataplane.replay.batch import WINDOW, Batch, Bytes, Part
from hsadc.dataplane.replay.pcap import HEADER_BYTES, PcapFile, byte_order
from hsadc.dataplane.replay.pcapng import BLOCK_BYTES_MAX, SECTION, PcapngFile
from hsadc.errors import WireError

PIECE_BYTES = 4 << 20
"""Bytes that are read at a time; what they become stays in the processor's cache."""
_GZIP = b"\x1f\x8b"


class _Format(Protocol):
    def read(self, data: Bytes, start: int, end: int) -> Part:
        """The frames in a piece."""


class CaptureReader:
    """Reads a pcap or pcapng file, which may be compressed by gzip.

    Attributes:
        packets: how many were read so far.
        snapped: how many of them were not captured whole, and left out.
        position_bytes: how much of the file was read.
        size_bytes: how large the file is; 0 where that is not known.
    """

    def __init__(self, path: Path) -> None:
        """Open it; `close` closes it.

        Raises:
            WireError: it cannot be read.
        """
        self._path = path
        self.packets = self.snapped = 0
        try:
            self._raw = path.open("rb")
            self.size_bytes = path.stat().st_size
        except OSError as e:
            raise WireError(f"{path}: {e.strerror}") from e
        start = self._raw.peek(2)[:2]
        self._file: BufferedReader | gzip.GzipFile = gzip.GzipFile(fileobj=self._raw) if start == _GZIP else self._raw

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()

    @property
    def position_bytes(self) -> int:
        """See the class."""
        return self._raw.tell()

    def batches(self) -> Iterator[Batch]:
        """The frames, in the order of the file. A batch is valid until the next one is asked for.

        Raises:
            WireError: it is no capture file, or is damaged: all packets before the damage were given.
        """
        buffer = np.zeros(BLOCK_BYTES_MAX + PIECE_BYTES + WINDOW, np.uint8)
        filled, format_ = self._fill(buffer, 0), None
        start, damage = 0, None
        while damage is None:
            if format_ is None:
                format_, start = self._format(buffer[:filled].tobytes()[: HEADER_BYTES + 4])
            part = format_.read(buffer[: filled + WINDOW], start, filled)
            for batch in part.batches:
                self.snapped += batch.snapped
                if len(batch):
                    yield batch
            self.packets += part.packets
            left = filled - part.end
            buffer[:left] = buffer[part.end : filled].copy()
            read = self._fill(buffer, left) if part.damage is None else 0
            start, filled = 0, left + read
            damage = part.damage or (None if read else "it ends inside a packet" if left else "")
        if damage:
            raise WireError(f"{self._path}: packet {self.packets + 1}: {damage}")

    def _fill(self, buffer: Bytes, at: int) -> int:
        """Read so many bytes as a piece has; returns how many there were."""
        view = buffer.data[at : at + PIECE_BYTES]
        try:
            read = self._file.readinto(view)
        except (OSError, EOFError, zlib.error) as e:
            why = getattr(e, "strerror", None) or str(e)
            raise WireError(f"{self._path}: after packet {self.packets}: {why}") from e
        return read or 0

    def _format(self, start: bytes) -> tuple[_Format, int]:
        try:
            if byte_order(start) is not None:
                return PcapFile(start[:HEADER_BYTES]), HEADER_BYTES
        except WireError as e:
            raise WireError(f"{self._path}: {e}") from e
        if start[:4] == SECTION.to_bytes(4):
            return PcapngFile(), 0
        raise WireError(f"{self._path}: no pcap or pcapng file")
