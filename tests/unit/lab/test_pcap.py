import struct

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import PcapWriter

from hsadc.errors import WireError
from hsadc.lab.pcap import frames


def written(tmp_path, order, packets):
    file = tmp_path / "c.pcap"
    with PcapWriter(str(file), endianness=order) as writer:
        for packet in packets:
            writer.write(packet)
    return file.read_bytes()


PACKETS = [Ether(bytes(14) + bytes([n % 256]) * n) for n in (0, 1, 1500)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(tmp_path, order):
    assert list(frames(written(tmp_path, order, PACKETS))) == [bytes(p) for p in PACKETS]


def test_no_packets():
    assert list(frames(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))) == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda b: b"", "not a pcap file"),
        (lambda b: b"\n" + b[1:], "not a pcap file"),
        (lambda b: b[:20], "not a pcap file"),
        (lambda b: b[:20] + struct.pack("<I", 101) + b[24:], "link type 101"),
        (lambda b: b[:-1], "ends inside a packet"),
        (lambda b: b[:30], "ends inside a packet"),
        (lambda b: b[:36] + struct.pack("<I", 9999) + b[40:], "has 14 of the 9999 bytes"),
    ],
)
def test_a_spoiled_file_is_refused(tmp_path, spoil, why):
    with pytest.raises(WireError, match=why):
        list(frames(spoil(written(tmp_path, "<", PACKETS))))
