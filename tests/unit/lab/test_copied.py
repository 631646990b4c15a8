from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, Ether

from hsadc.errors import WireError
from hsadc.lab.copied import FIN, SYN, decapsulate, segment
from tests.unit.lab.frames import ADC, ANALYZER, CLIENT, PORT, VIRTUAL, frame, tcp


@pytest.mark.parametrize(
    "gre",
    [
        GRE(proto=0x0800),
        GRE(proto=0x0800, key_present=1, key=7),
        GRE(proto=0x0800, seqnum_present=1, sequence_number=9),
        GRE(proto=0x0800, chksum_present=1, key_present=1, key=7, seqnum_present=1, sequence_number=9),
    ],
)
def test_the_copied_packet_comes_out_as_it_went_in(gre):
    packet = tcp(b"hello")
    copy = decapsulate(frame(packet, gre=gre, ttl=63))
    assert (str(copy.source), str(copy.destination), copy.ttl) == (ADC, ANALYZER, 63)
    assert copy.packet == bytes(packet)


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        (bytes(Ether() / ARP()), "not an IP frame"),
        (b"", "not an IP frame"),
        (bytes(Ether(type=0x0800)) + b"\x45\0", "outer packet is not IPv4"),
        (bytes(Ether(type=0x0800) / bytes(IPv6())), "outer packet is not IPv4"),
        (frame(tcp(), len=2000), "outer packet cut short"),
        (frame(tcp(), flags="MF"), "outer packet is a fragment"),
        (frame(tcp(), frag=1), "outer packet is a fragment"),
        (frame(tcp(), proto=6), "outer packet has protocol 6"),
        (frame(tcp(), chksum=1), "outer IP checksum wrong"),
        (frame(tcp(), len=22), "GRE header cut off after 2 bytes"),
        (frame(tcp(), gre=GRE(proto=0x0800, version=1)), "GRE version 1, not 0"),
        (frame(tcp(), gre=GRE(proto=0x86DD)), "the payload is not IPv6"),
        (frame(tcp(), gre=GRE(proto=0x6558)), "not an IPv4 packet in GRE"),
        (bytes(Ether() / IPv6(dst="::1") / GRE(proto=0x0800) / tcp()), "outer packet is not IPv4"),
        (frame(tcp(), gre=GRE(proto=0x0800, chksum_present=1, chksum=1)), "GRE checksum is wrong"),
    ],
)
def test_a_frame_that_is_no_copy_is_refused(spoiled, why):
    with pytest.raises(WireError, match=why):
        decapsulate(spoiled)


def test_a_segment_is_read():
    found = segment(bytes(tcp(b"hello", seq=2**32 - 1, flags="SF")))
    assert found.source == (IPv4Address(CLIENT), PORT)
    assert found.destination == (IPv4Address(ADC), VIRTUAL)
    assert (found.sequence, found.flags, found.data) == (2**32 - 1, SYN | FIN, b"hello")
    assert found.ip_sound
    assert found.tcp_sound


@pytest.mark.parametrize("data", [b"", b"odd", b"even"])
def test_wrong_checksums_are_told_apart(data):
    good = IP(bytes(tcp(data)))
    bad_ip, bad_tcp = good.copy(), good.copy()
    bad_ip.chksum ^= 1
    bad_tcp[TCP].chksum ^= 0x8000
    assert [(s.ip_sound, s.tcp_sound) for s in map(segment, (bytes(good), bytes(bad_ip), bytes(bad_tcp)))] == [
        (True, True),
        (False, True),
        (True, False),
    ]


def test_padding_behind_the_packet_is_no_data():
    assert segment(bytes(tcp(b"x")) + bytes(20)).data == b"x"


def test_options_are_no_data():
    assert segment(bytes(IP(src=CLIENT, dst=ADC) / TCP(options=[("MSS", 1400)]) / b"x")).data == b"x"


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (bytes(IP() / UDP()), "inner packet has protocol 17"),
        (bytes(tcp(b"hello"))[:-1], "inner packet cut short"),
        (bytes(IP(proto=6) / bytes(19)), "inner TCP header cut short"),
        (bytes(IP() / TCP(dataofs=4)), "inner TCP header cut short"),
        (bytes(IP() / TCP(dataofs=15)), "inner TCP header cut short"),
        (bytes(IP(frag=3) / TCP()), "inner packet is a fragment"),
    ],
)
def test_a_packet_that_is_no_segment_is_refused(packet, why):
    with pytest.raises(WireError, match=why):
        segment(packet)
