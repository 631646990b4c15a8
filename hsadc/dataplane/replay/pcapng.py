"""The capture file of blocks.

Supported standards: draft-ietf-opsawg-pcapng: sections in both byte orders, interfaces, enhanced, simple and (obsolete) packet
blocks; others are passed over.

    block: type (32 bits), length of it all (32 bits), body, length again
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hsadc.dataplane.replay.batch import PACKET_BYTES_MAX, Batch, Bytes, Flags, Integers, Part, Times, convert, select, windows
from hsadc.dataplane.replay.link_type import Converter, converter
from hsadc.errors import WireError

SECTION, INTERFACE, PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
BLOCK_BYTES_MAX = 1 << 24
_MAGIC = 0x1A2B3C4D
_MINIMUM = {SECTION: 28, INTERFACE: 20, PACKET: 32, SIMPLE: 16, ENHANCED: 32}
_DATA_AT = {PACKET: 28, SIMPLE: 12, ENHANCED: 28}
_FLAGS, _RESOLUTION, _OFFSET, _FCS = 2, 9, 14, 13
_OUTBOUND = 2


@dataclass(frozen=True, slots=True)
class _Interface:
    """What an interface block says: how its packets become frames or why they cannot, and what their time stamps count."""

    convert: Converter | None
    snap_bytes: int
    resolution: int = 6
    binary: bool = False
    offset_s: int = 0
    fcs_bytes: int = 0
    refusal: str | None = None

    def nanoseconds(self, stamps: Times) -> Times:
        """Time stamps as nanoseconds since 1970."""
        offset = np.uint64(self.offset_s % 2**64 * 10**9 % 2**64)
        if self.binary:
            exponent = min(self.resolution, 63)
            seconds, rest = stamps >> np.uint64(exponent), stamps & np.uint64((1 << exponent) - 1)
            if exponent > 34:  # more would not fit when multiplied, and is far below a nanosecond
                rest, exponent = rest >> np.uint64(exponent - 34), 34
            return seconds * np.uint64(10**9) + (rest * np.uint64(10**9) >> np.uint64(exponent)) + offset
        if self.resolution <= 9:
            return stamps * np.uint64(10 ** (9 - self.resolution)) + offset
        return stamps // np.uint64(10 ** min(self.resolution - 9, 19)) + offset


class PcapngFile:
    """Reads the blocks; the bytes are handed in by whoever reads the file. The first one is a section header."""

    def __init__(self) -> None:
        self._order = ""
        self._interfaces: list[_Interface] = []
        self._time = np.uint64(0)

    def read(self, data: Bytes, start: int, end: int) -> Part:
        """The frames of all blocks that are whole; see `PcapFile.read`."""
        batches: list[Batch] = []
        packets, at, damage = 0, start, None
        while damage is None and at < end:
            kind, places, at, damage = self._group(data.data, at, end)
            if not places:
                break
            if kind in _DATA_AT:
                made, good, why = self._packets(data, kind, np.array(places, np.int64))
                batches += made
                packets += good
                if good < len(places):
                    at, damage = places[good], why
            elif kind in (SECTION, INTERFACE):
                damage = self._note(data.data, kind, places[0])
        return Part(tuple(batches), packets, at, damage)

    def _group(self, data: memoryview, start: int, end: int) -> tuple[int, list[int], int, str | None]:
        """The next blocks of one kind: the kind, where they begin, where they end, and why the next one can never be read."""
        places: list[int] = []
        group, at = -1, start
        head = struct.Struct(f"{self._order or '<'}II")
        while at + 12 <= end:
            kind, length = head.unpack_from(data, at)
            if kind == SECTION:
                if places:
                    break
                self._order = order = _order_of(data, at)
                if not order:
                    return kind, [], at, "a section without a byte order"
                length = struct.unpack_from(f"{order}I", data, at + 4)[0]
            if kind != group and places:
                break
            if not _MINIMUM.get(kind, 12) <= length <= BLOCK_BYTES_MAX:
                return group, places, at, f"a block of {length} bytes"
            length = length + 3 & ~3  # some old files leave the padding out of it
            if at + length > end:
                break
            group = kind
            places.append(at)
            at += length
            if kind in (SECTION, INTERFACE):
                break
        return group, places, at, None

    def _note(self, data: memoryview, kind: int, at: int) -> str | None:
        """Take a section header or an interface; returns what is wrong with it."""
        if kind == SECTION:
            self._interfaces = []
            return None
        length, link, snap = struct.unpack_from(f"{self._order}4xIH2xI", data, at)
        values: dict[int, bytes] = dict(_options(data, at + 16, at + length - 4, self._order))
        resolution = values.get(_RESOLUTION, b"\x06")[:1] or b"\x06"
        offset = values.get(_OFFSET, bytes(8))
        if len(offset) != 8:
            return "an interface whose time offset has not 8 bytes"
        fcs = values.get(_FCS, b"\0")[:1] or b"\0"
        convert_packet, refusal = None, None
        try:
            convert_packet = converter(link)
        except WireError as e:  # no matter while it has no packets
            refusal = str(e)
        self._interfaces.append(
            _Interface(
                convert_packet,
                snap,
                resolution[0] & 0x7F,
                bool(resolution[0] & 0x80),
                struct.unpack(f"{self._order}q", offset)[0],
                fcs[0],
                refusal,
            )
        )
        return None

    def _packets(self, data: Bytes, kind: int, places: Integers) -> tuple[list[Batch], int, str]:
        """The frames of packet blocks of one kind, how many are good, and what is wrong with the first bad one, which ends it."""
        heads = windows(data, places, 28).view(f"{self._order}u4").astype(np.int64)
        room = heads[:, 1] - _DATA_AT[kind] - 4
        if kind == SIMPLE:
            wire, interfaces = heads[:, 2], np.zeros(len(places), np.int64)
            snap = self._interfaces[0].snap_bytes if self._interfaces else 0
            kept = np.minimum(np.minimum(wire, room), snap or PACKET_BYTES_MAX)
        else:
            kept, wire = heads[:, 5], heads[:, 6]
            interfaces = heads[:, 2]
            if kind == PACKET:
                interfaces = interfaces & 0xFFFF if self._order == "<" else interfaces >> 16
        good = (kept <= room) & (kept <= PACKET_BYTES_MAX) & (interfaces < len(self._interfaces))
        for refused, interface in enumerate(self._interfaces):
            if interface.refusal is not None:
                good &= interfaces != refused
        number = len(places) if good.all() else int(np.argmin(good))
        cut = slice(0, number)
        stamps = (heads[cut, 3].astype(np.uint64) << np.uint64(32)) | heads[cut, 4].astype(np.uint64)
        sent = self._sent(data.data, kind, places[cut], heads[cut], kept[cut])
        made = self._batches(data, kind, places[cut], kept[cut], wire[cut], stamps, interfaces[cut], sent)
        return list(made), number, self._refusal(interfaces[number:])

    def _refusal(self, interfaces: Integers) -> str:
        """Why a packet of the first of these interfaces is bad."""
        number = int(interfaces[0]) if len(interfaces) else 0
        refusal = self._interfaces[number].refusal if number < len(self._interfaces) else None
        return refusal or "a packet block that makes no sense"

    def _sent(self, data: memoryview, kind: int, places: Integers, heads: Integers, kept: Integers) -> Flags:
        """Which packets have flags that say that they were sent."""
        sent = np.zeros(len(places), np.bool_)
        if kind == SIMPLE:
            return sent
        options_at = places + _DATA_AT[kind] + (kept + 3 & ~3)
        ends = places + heads[:, 1] - 4
        for i in np.flatnonzero(options_at + 4 <= ends).tolist():
            for code, value in _options(data, int(options_at[i]), int(ends[i]), self._order):
                if code == _FLAGS and len(value) == 4:
                    sent[i] = struct.unpack(f"{self._order}I", value)[0] & 3 == _OUTBOUND
        return sent

    def _batches(
        self,
        data: Bytes,
        kind: int,
        places: Integers,
        kept: Integers,
        wire: Integers,
        stamps: Times,
        interfaces: Integers,
        sent: Flags,
    ) -> Iterator[Batch]:
        """A batch for each run of packets of interfaces with one way to make frames."""
        times = np.empty(len(places), np.uint64)
        fcs = np.zeros(len(places), np.int64)
        converters: list[Converter | None] = []
        ways = np.zeros(len(places), np.int64)
        for number in np.unique(interfaces).tolist():
            interface, its = self._interfaces[number], interfaces == number
            times[its] = self._time if kind == SIMPLE else interface.nanoseconds(stamps[its])
            fcs[its] = interface.fcs_bytes
            if interface.convert not in converters:
                converters.append(interface.convert)
            ways[its] = converters.index(interface.convert)
        if len(times):
            self._time = times[-1]
        offsets, kept, wire = places + _DATA_AT[kind], np.maximum(kept - fcs, 0), np.maximum(wire - fcs, 0)
        borders = [0, *(np.flatnonzero(np.diff(ways)) + 1).tolist(), len(ways)]
        for start, end in pairwise(borders):
            if start < end:
                some = slice(start, end)
                batch = select(data, offsets[some], kept[some], wire[some], times[some], sent[some])
                yield convert(batch, converters[ways[start]])


def _order_of(data: memoryview, at: int) -> str:
    """Byte order of the section that begins there."""
    for order in "<>":
        if struct.unpack_from(f"{order}I", data, at + 8)[0] == _MAGIC:
            return order
    return ""


def _options(data: memoryview, at: int, end: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option; ends at what makes no sense, as options are no more than hints."""
    while at + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", data, at)
        if code == 0 or at + 4 + length > end:
            return
        yield code, bytes(data[at + 4 : at + 4 + length])
        at += 4 + (length + 3 & ~3)


def section_and_interfaces(names: tuple[str, ...]) -> bytes:
    """What a file begins with: the section header, and an Ethernet interface of each name whose time stamps are nanoseconds.

    Raises:
        WireError: a name is too long.
    """
    blocks = [_block(SECTION, struct.pack("<IHHq", _MAGIC, 1, 0, -1) + _option(4, b"hsadc replay") + bytes(4))]
    for name in names:
        if len(name.encode()) > 255:
            raise WireError(f"interface {name[:20]}...: the name is too long")
        options = _option(2, name.encode()) + _option(_RESOLUTION, b"\x09") + bytes(4)
        blocks.append(_block(INTERFACE, struct.pack("<HHI", 1, 0, 0) + options))
    return b"".join(blocks)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length
