"""Capture files, as Scapy reads them; what it does not read, as the draft draws it."""

from __future__ import annotations

import io
import struct

import pytest
from scapy.utils import RawPcapNgReader

from hsadc.wire import pcapng

TIME_NS = 1_790_000_000_123_456_789


@pytest.mark.parametrize("size", [60, 61, 62, 63])
def test_what_is_written_is_read(size):
    frames = [bytes(range(size)), b"y" * 1514]
    data = pcapng.header("eth0", "tcp port 80", "hsadc")
    data += pcapng.packet(TIME_NS, frames[0], size, outgoing=False) + pcapng.packet(TIME_NS + 1, frames[1], 9000, outgoing=True)
    found = list(RawPcapNgReader(io.BytesIO(data + pcapng.statistics(TIME_NS, 5, 3))))
    assert [packet for packet, _ in found] == frames
    (first, second) = (metadata for _, metadata in found)
    assert (first.linktype, first.tsresol, first.wirelen, second.wirelen) == (1, 10**9, size, 9000)
    assert (first.tshigh << 32 | first.tslow, second.tshigh << 32 | second.tslow) == (TIME_NS, TIME_NS + 1)
    assert first.ifname == b"eth0"
    assert (first.direction, second.direction) == (1, 2)


def blocks(data):
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        yield kind, data[at + 8 : at + length - 4]
        at += length


def options(body):
    found = {}
    while body:
        code, length = struct.unpack_from("<HH", body)
        found[code], body = body[4 : 4 + length], body[4 + length + -length % 4 :]
    return found


def test_header_and_statistics():
    (section, head), (interface, body) = blocks(pcapng.header("eth0", "ip", "hsadc"))
    assert (section, interface, head[:4]) == (0x0A0D0D0A, 1, b"\x4d\x3c\x2b\x1a")
    assert options(head[16:]) == {4: b"hsadc", 0: b""}
    assert options(body[8:]) == {2: b"eth0", 9: b"\x09", 11: b"\0ip", 0: b""}
    assert 11 not in options(list(blocks(pcapng.header("eth0", "", "hsadc")))[1][1][8:])
    data = pcapng.statistics(TIME_NS, 5, 3)
    ((kind, body),) = blocks(data)
    assert (kind, len(data)) == (5, pcapng.STATISTICS_BYTES)
    assert options(body[12:]) == {4: struct.pack("<Q", 5), 5: struct.pack("<Q", 3), 0: b""}
