"""From what a tap has seen to frames as a wire has them."""

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from hsadc.dataplane.portable.copier import frames
from hsadc.dataplane.portable.ring import Captured
from tests.unit.dataplane.portable.test_segment import unsummed

PACKET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP() / TCP() / Raw(b"hello" * 100)
PARTIAL = bytes([1, 0, 0, 0, 0, 0, 34, 0, 16, 0])
LARGE = bytes([1, 1, 0, 0, 250, 0, 34, 0, 16, 0])
CUT_OFF = bytes([1, 1, 0, 0, 0, 0, 34, 0, 16, 0])


def captured(frame, offload=b"", tag=b""):
    return Captured(frame, offload, tag, True, 0)


def test_a_finished_frame_is_left_alone():
    frame = bytes(PACKET)[:-1] + b"!"  # with a wrong checksum, as it came
    assert frames(captured(frame)) == [frame]


def test_an_open_checksum_is_completed():
    assert frames(captured(unsummed(PACKET), PARTIAL)) == [bytes(PACKET)]


def test_each_frame_gets_the_tag():
    found = frames(captured(unsummed(PACKET), LARGE, b"\x81\x00\x00\x07"))
    assert [Ether(frame)[Dot1Q].vlan for frame in found] == [7, 7]
    assert [len(Ether(frame)[TCP].payload) for frame in found] == [250, 250]
    assert found[0][:12] == bytes(PACKET)[:12]


def test_what_cannot_be_cut():
    assert frames(captured(bytes(PACKET), CUT_OFF, b"\x81\x00\x00\x07")) == []
