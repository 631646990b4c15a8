"""Capture files of all kinds, written by hand and by Scapy, and every way for them to be damaged."""

from __future__ import annotations

import gzip
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.utils import PcapNgWriter, wrpcap

from hsadc.dataplane.replay import reading
from hsadc.dataplane.replay.reading import CaptureReader
from hsadc.errors import WireError

FRAMES = [bytes([n]) * size for n, size in enumerate((60, 60, 60, 60, 60, 60, 60, 61, 1, 0, 1500, 60, 60))]
NOW = 1_700_000_000


def pcap(frames=FRAMES, order="<", magic=0xA1B2C3D4, link=1, wire=None):
    data = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    for n, frame in enumerate(frames):
        data += struct.pack(f"{order}IIII", NOW, n, len(frame), wire or len(frame)) + frame
    return data


def block(kind, body, order="<"):
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def option(code, value, order="<"):
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=1, options=b"", snap=0, order="<"):
    return block(1, struct.pack(f"{order}HHI", link, 0, snap) + options, order)


def enhanced(frame, stamp=0, number=0, options=b"", order="<", wire=None):
    head = struct.pack(f"{order}5I", number, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), wire or len(frame))
    return block(6, head + frame + bytes(-len(frame) % 4) + options, order)


def simple(frame, order="<"):
    return block(3, struct.pack(f"{order}I", len(frame)) + frame + bytes(-len(frame) % 4), order)


def obsolete(frame, stamp=0, number=0, options=b"", order="<"):
    head = struct.pack(f"{order}HHIIII", number, 7, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame))
    return block(2, head + frame + bytes(-len(frame) % 4) + options, order)


def read(tmp_path, data):
    """Frame, time and whether it was sent, of each packet; and the reader."""
    path = tmp_path / "in"
    path.write_bytes(data)
    reader, found = CaptureReader(path), []
    try:
        for batch in reader.batches():
            for at, n, time, sent in zip(batch.offsets, batch.lengths, batch.times, batch.sent, strict=True):
                found.append((batch.data[at : at + n].tobytes(), int(time), bool(sent)))
    except WireError as e:
        return found, reader, str(e).removeprefix(f"{path}: ")
    finally:
        reader.close()
    return found, reader, None


def frames_of(tmp_path, data):
    found, _, error = read(tmp_path, data)
    assert error is None
    return [frame for frame, _, _ in found]


@pytest.fixture(params=[reading.PIECE_BYTES, 100, 1700])
def pieces(request, monkeypatch):
    """Files are read in pieces of such size: what does not depend on where they end is right."""
    monkeypatch.setattr(reading, "PIECE_BYTES", request.param)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap(tmp_path, pieces, order, magic, unit):
    found, reader, error = read(tmp_path, pcap(order=order, magic=magic))
    assert found == [(frame, NOW * 10**9 + n * unit, False) for n, frame in enumerate(FRAMES)]
    assert (reader.packets, reader.snapped, error) == (len(FRAMES), 0, None)
    assert reader.size_bytes > 0


def test_long_runs_of_one_length(tmp_path, pieces):
    frames = [bytes([n % 256]) * (60 if n % 450 else 61) for n in range(1000)]
    assert frames_of(tmp_path, pcap(frames)) == frames


def test_pcap_by_scapy(tmp_path):
    from scapy.layers.l2 import Ether

    path = tmp_path / "scapy.pcap"
    wrpcap(str(path), [Ether(frame) for frame in FRAMES if len(frame) >= 60])
    assert frames_of(tmp_path, path.read_bytes()) == [frame for frame in FRAMES if len(frame) >= 60]


def test_pcapng_by_scapy(tmp_path):
    from scapy.layers.l2 import Ether

    path = tmp_path / "scapy.pcapng"
    with PcapNgWriter(str(path)) as writer:
        for frame in FRAMES:
            if len(frame) >= 60:
                writer.write(Ether(frame))
    assert frames_of(tmp_path, path.read_bytes()) == [frame for frame in FRAMES if len(frame) >= 60]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(tmp_path, pieces, order):
    data = section(order) + block(0xBAD, bytes(8), order) + interface(order=order) + block(4, bytes(2000), order)
    for n, frame in enumerate(FRAMES):
        data += enhanced(frame, NOW * 10**6 + n, order=order)
    found, reader, error = read(tmp_path, data + block(5, bytes(4), order))
    assert (error, reader.packets) == (None, len(FRAMES))
    assert found == [(frame, NOW * 10**9 + n * 1000, False) for n, frame in enumerate(FRAMES)]


def test_sections_of_both_byte_orders_with_their_own_interfaces(tmp_path, pieces):
    data = section() + interface(101) + enhanced(b"\x45one") + section(">") + interface(order=">") + enhanced(b"two.", order=">")
    assert frames_of(tmp_path, data) == [bytes(12) + b"\x08\0\x45one", b"two."]


@pytest.mark.parametrize("order", ["<", ">"])
def test_all_kinds_of_packet_blocks(tmp_path, pieces, order):
    data = section(order) + interface(order=order, snap=5) + interface(order=order)
    data += (
        enhanced(b"one", 7, 1, order=order)
        + simple(b"two", order)
        + simple(b"three..", order)
        + obsolete(b"four", 9, 1, order=order)
    )
    found, reader, error = read(tmp_path, data)
    assert (error, reader.packets, reader.snapped) == (None, 4, 1)
    assert found == [(b"one", 7000, False), (b"two", 7000, False), (b"four", 9000, False)]


@pytest.mark.parametrize(
    ("resolution", "stamp", "time_ns"),
    [
        (b"\x00", 5, 5 * 10**9),
        (b"\x03", 5, 5 * 10**6),
        (b"\x09", 5, 5),
        (b"\x0c", 5999, 5),
        (b"\x20", 10**22 % 2**64, 0),
        (b"\x8a", 1024 + 512, 1_500_000_000),
        (b"\xa0", 3 << 31, 1_500_000_000),
        (b"\xb0", 3 << 47, 1_500_000_000),
        (b"\xff", 1, 0),
    ],
)
def test_resolutions(tmp_path, resolution, stamp, time_ns):
    found, _, _ = read(tmp_path, section() + interface(options=option(9, resolution)) + enhanced(b"x", stamp))
    assert found == [(b"x", time_ns, False)]


@pytest.mark.parametrize("offset", [NOW, -1])
def test_time_offset(tmp_path, offset):
    options = option(14, struct.pack("<q", offset)) + option(0, b"")
    found, _, _ = read(tmp_path, section() + interface(options=options) + enhanced(b"x", 2_000_000))
    assert found[0][1] == (2 + offset) * 10**9


@pytest.mark.parametrize(("flags", "sent"), [(0, False), (1, False), (2, True), (0x42, True), (3, False)])
@pytest.mark.parametrize("make", [enhanced, obsolete])
def test_direction(tmp_path, make, flags, sent):
    options = option(1, b"comment") + option(2, struct.pack("<I", flags)) + option(0, b"")
    broken = option(1, b"comment")[:6] + bytes(2)
    data = section() + interface() + make(b"abcde", options=options) + make(b"abcd") + make(b"abc", options=broken)
    assert [s for _, _, s in read(tmp_path, data)[0]] == [sent, False, False]


IP4 = b"\x45" + bytes(19)


@pytest.mark.parametrize(
    ("link", "packet", "frame", "sent"),
    [
        (101, IP4, bytes(12) + b"\x08\0" + IP4, False),
        (229, b"\x60" + bytes(39), bytes(12) + b"\x86\xdd\x60" + bytes(39), False),
        (12, b"", bytes(14), False),
        (0, b"\2\0\0\0" + IP4, bytes(12) + b"\x08\0" + IP4, False),
        (108, b"\0\0\0\2" + IP4, bytes(12) + b"\x08\0" + IP4, False),
        (113, b"\0\4\0\1\0\6ABCDEF\0\0\x08\0" + IP4, bytes(6) + b"ABCDEF\x08\0" + IP4, True),
        (113, b"\0\0\3\4\0\0" + bytes(8) + b"\x08\0" + IP4, bytes(12) + b"\x08\0" + IP4, False),
        (113, bytes(15), bytes(14), False),
        (276, b"\x08\0\0\0\0\0\0\1\0\1\4\6ABCDEF\0\0" + IP4, bytes(6) + b"ABCDEF\x08\0" + IP4, True),
        (276, b"\x08\0\0\0\0\0\0\1\0\1\0\0ABCDEF\0\0" + IP4, bytes(12) + b"\x08\0" + IP4, False),
        (276, bytes(19), bytes(14), False),
    ],
)
def test_link_types(tmp_path, link, packet, frame, sent):
    expected = [(frame, 0, sent)]
    assert [(f, 0, s) for f, _, s in read(tmp_path, pcap([packet], link=link))[0]] == expected
    assert read(tmp_path, section() + interface(link) + enhanced(packet))[0] == expected


def test_interfaces_of_several_link_types(tmp_path):
    data = section() + interface(1) + interface(101) + interface(1)
    data += enhanced(b"one") + enhanced(b"two", number=2) + enhanced(IP4, number=1) + enhanced(b"three")
    assert frames_of(tmp_path, data) == [b"one", b"two", bytes(12) + b"\x08\0" + IP4, b"three"]


def test_interfaces_without_packets_may_be_of_any_link_type(tmp_path):
    assert frames_of(tmp_path, section() + interface(105) + interface() + enhanced(b"one", number=1)) == [b"one"]


def test_lengths_without_their_padding(tmp_path, pieces):
    body = struct.pack("<5I", 0, 0, 0, 3, 3) + b"abc"
    wrong = struct.pack("<II", 6, 35) + body + b"\0" + struct.pack("<I", 35)
    assert frames_of(tmp_path, section() + interface() + wrong + enhanced(b"next")) == [b"abc", b"next"]


def test_frame_check_sequences_are_cut_off(tmp_path):
    assert frames_of(tmp_path, pcap([b"frameFCS4"], link=1 | 0x04000000 | 2 << 28)) == [b"frame"]
    assert frames_of(tmp_path, section() + interface(options=option(13, b"\4")) + enhanced(b"frameFCS4")) == [b"frame"]


def test_packets_that_were_not_captured_whole_are_left_out(tmp_path):
    found, reader, error = read(tmp_path, pcap([b"abc"], wire=9))
    assert (found, reader.packets, reader.snapped, error) == ([], 1, 1, None)
    found, reader, error = read(tmp_path, section() + interface() + enhanced(b"abc", wire=4) + enhanced(b"abc"))
    assert ([f for f, _, _ in found], reader.packets, reader.snapped) == ([b"abc"], 2, 1)


def test_gzip(tmp_path):
    assert frames_of(tmp_path, gzip.compress(pcap())) == FRAMES
    _, _, error = read(tmp_path, gzip.compress(pcap([bytes(range(256)) * 4] * 9))[:-20])
    assert "Compressed file ended" in error


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2", b"not a capture file at all", b"\x0a\x0d\x0d\x0b" + bytes(40)])
def test_no_capture_file(tmp_path, data):
    assert read(tmp_path, data)[2] == "no pcap or pcapng file"


@pytest.mark.parametrize(
    ("data", "number", "why"),
    [
        (pcap()[:23], 0, "ends inside its header"),
        (pcap(link=105), 0, r"link type 105 \(IEEE 802.11\) is not"),
        (pcap(link=300), 0, "link type 300 is not"),
        (pcap()[:-1], 12, "packet 13: it ends inside a packet"),
        (pcap() + b"123", 13, "packet 14: it ends inside a packet"),
        (pcap()[: 24 + 76] + bytes(8) + b"\xff" * 8, 1, "packet 2: a packet of 4294967295 bytes"),
        (section() + interface() + interface(105) + enhanced(b"x") + enhanced(b"y", number=1), 1, "packet 2: link type 105"),
        (section()[:8] + bytes(20), 0, "packet 1: a section without a byte order"),
        (section() + enhanced(b"abc"), 0, "packet 1: a packet block that makes no sense"),
        (section() + interface() + enhanced(b"abc") + enhanced(b"x", number=1) + enhanced(b"y"), 1, "packet 2: a packet block"),
        (section() + interface() + enhanced(b"abc") + struct.pack("<II", 6, 28) + bytes(40), 1, "packet 2: a block of 28 bytes"),
        (section() + interface() + enhanced(b"abc") + struct.pack("<II", 9, 11) + bytes(40), 1, "packet 2: a block of 11 bytes"),
        (section() + interface() + enhanced(b"abc") + struct.pack("<II", 9, 1 << 25) + bytes(9), 1, "a block of 33554432 bytes"),
        (section() + interface() + enhanced(b"abc")[:-1], 0, "packet 1: it ends inside a packet"),
        (section() + interface(options=option(14, b"123")), 0, "time offset has not 8 bytes"),
    ],
)
def test_damage(tmp_path, pieces, data, number, why):
    found, _, error = read(tmp_path, data)
    assert len(found) == number
    assert re.search(why, error), error


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(WireError, match="No such file"):
        CaptureReader(tmp_path / "none")
    with pytest.raises(WireError, match="directory"):
        CaptureReader(tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_is_a_bug(tmp_path_factory, data):
    whole = data.draw(st.sampled_from([pcap(), section() + interface() + b"".join(enhanced(f) for f in FRAMES)]))
    spoiled = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(spoiled)))
    found, reader, _ = read(tmp_path_factory.mktemp("damage"), bytes(spoiled[:cut]))
    assert len(found) == reader.packets - reader.snapped
