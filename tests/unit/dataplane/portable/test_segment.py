"""What comes out of a large segment is what Scapy builds, packet by packet; Scapy computes every length and checksum."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Raw

from hsadc.dataplane.portable.segment import TCP_IPV4, TCP_IPV6, Offload, segments
from hsadc.dataplane.portable.segment import UDP as UDP_GSO

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="10.1.0.1", dst="10.1.0.2", id=65534, flags="DF")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
DATA = bytes(i * 7 % 251 for i in range(4000))


def offload(packet, gso_type=0, size=0, needs=True):
    """As the kernel would describe the packet."""
    layer = next(c for c in (TCP, UDP, SCTP) if c in packet)
    start = len(packet) - len(packet[layer])
    return Offload(needs, gso_type, size, start, {TCP: 16, UDP: 6, SCTP: 8}[layer])


def unsummed(packet):
    """The frame with the sum of the pseudo header where its checksum shall be."""
    raw, layer = bytes(packet), TCP if TCP in packet else UDP
    start = len(raw) - len(bytes(packet[layer]))
    length = struct.pack("!I", len(raw) - start)
    addresses = raw[start - 8 : start] if IP in packet else raw[start - 32 : start]
    pseudo = addresses + length + bytes([0, 0, 0, 6 if layer is TCP else 17])
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    at = start + (16 if layer is TCP else 6)
    return raw[:at] + struct.pack("!H", total) + raw[at + 2 :]


def tcp_pieces(below, size, data=DATA, flags="PAC", sequence=2**32 - 1000, options=()):
    """What Scapy makes of each piece."""
    made, count = [], -(-len(data) // size)
    for i in range(count):
        ip = below.copy()
        if IP in ip:
            ip[IP].id = (below[IP].id + i) & 0xFFFF
        here = set(flags) - (set("C") if i else set()) - (set("FP") if i < count - 1 else set())
        tcp = TCP(sport=80, dport=1024, seq=(sequence + i * size) % 2**32, ack=77, flags="".join(here), options=list(options))
        made.append(bytes(ip / tcp / Raw(data[i * size : (i + 1) * size])))
    return made


@pytest.mark.parametrize("size", [1448, 536, 1379, 88])
@pytest.mark.parametrize(
    "below", [ETHER / V4, ETHER / Dot1Q(vlan=7) / Dot1Q(vlan=8) / V4, ETHER / V6, ETHER / V6 / IPv6ExtHdrDestOpt()]
)
def test_tcp_is_cut_as_a_device_would(below, size):
    options = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]
    big = below / TCP(sport=80, dport=1024, seq=2**32 - 1000, ack=77, flags="PAC", options=options) / Raw(DATA)
    gso_type = TCP_IPV4 if IP in below else TCP_IPV6
    got = segments(bytes(big), offload(big, gso_type, size))
    assert got == tcp_pieces(below, size, options=options)
    assert len(got) == -(-4000 // size)


def test_fin_is_in_the_last_segment_alone():
    big = ETHER / V4 / TCP(sport=80, dport=1024, seq=2**32 - 1000, ack=77, flags="FPA") / Raw(DATA)
    got = segments(bytes(big), offload(big, TCP_IPV4, 1448))
    assert got == tcp_pieces(ETHER / V4, 1448, flags="FPA")
    assert ["F" in Ether(frame)[TCP].flags for frame in got] == [False, False, True]


def test_ip_options_stay():
    from scapy.layers.inet import IPOption_NOP

    below = ETHER / IP(src="10.1.0.1", dst="10.1.0.2", id=3, options=[IPOption_NOP()] * 4)
    big = below / TCP(sport=80, dport=1024, seq=2**32 - 1000, ack=77, flags="PAC") / Raw(DATA)
    assert segments(bytes(big), offload(big, TCP_IPV4, 1000)) == tcp_pieces(below, 1000)


def test_a_segment_larger_than_ipv4_can_say():
    """BIG TCP: the total length is 0."""
    data = DATA * 20
    big = ETHER / IP(src="10.1.0.1", dst="10.1.0.2", id=65534, flags="DF", len=0)
    big = big / TCP(sport=80, dport=1024, seq=2**32 - 1000, ack=77, flags="A") / Raw(data)
    assert segments(bytes(big), offload(big, TCP_IPV4, 1448)) == tcp_pieces(ETHER / V4, 1448, data, "A")


def test_a_segment_larger_than_ipv6_can_say():
    """BIG TCP: a hop-by-hop header with the jumbo payload option, which is not for the wire."""
    data = DATA * 20
    tcp = TCP(sport=80, dport=1024, seq=2**32 - 1000, ack=77, flags="A", chksum=0) / Raw(data)
    plain = bytes(ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2", plen=0, nh=0))
    jumbo = bytes([6, 0, 0xC2, 4]) + struct.pack("!I", len(tcp) + 8)
    frame = plain + jumbo + bytes(tcp)
    got = segments(frame, Offload(True, TCP_IPV6, 1448, 62, 16))
    assert got == tcp_pieces(ETHER / V6, 1448, data, "A")


@pytest.mark.parametrize("option", [bytes([6, 0, 1, 4, 0, 0, 0, 0]), bytes([6, 1, 0xC2, 12]) + bytes(12)])
def test_another_hop_by_hop_header_stays(option):
    below = ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=0)
    checked = bytes(ETHER / V6 / TCP(sport=80, dport=1024) / Raw(DATA))[54:]
    got = segments(bytes(below) + option + checked, Offload(True, TCP_IPV6, 2000, 54 + len(option), 16))
    assert len(got) == 2
    for frame in got:
        assert frame[54 : 54 + len(option)] == option
        assert len(frame) - 54 == int.from_bytes(frame[18:20], "big")


@pytest.mark.parametrize("below", [ETHER / V4, ETHER / V6, ETHER / Dot1Q(vlan=7) / V6])
@pytest.mark.parametrize("needs", [True, False])
def test_datagrams_are_cut_apart(below, needs):
    big = below / UDP(sport=53, dport=1024) / Raw(DATA)
    got = segments(bytes(big), offload(big, UDP_GSO, 1200, needs))
    wanted = []
    for i in range(4):
        ip = below.copy()
        if IP in ip:
            ip[IP].id = (below[IP].id + i) & 0xFFFF
        wanted.append(bytes(ip / UDP(sport=53, dport=1024) / Raw(DATA[i * 1200 : (i + 1) * 1200])))
    assert got == wanted


def test_datagrams_without_checksum_stay_so():
    big = ETHER / V4 / UDP(sport=53, dport=1024, chksum=0) / Raw(DATA)
    got = segments(bytes(big), offload(big, UDP_GSO, 2000, needs=False))
    assert [Ether(frame)[UDP].chksum for frame in got] == [0, 0]
    assert [Ether(frame)[UDP].len for frame in got] == [2008, 2008]


@given(st.binary(max_size=200), st.sampled_from([V4, V6]), st.sampled_from([TCP, UDP]), st.booleans())
def test_an_open_checksum_is_completed(data, ip, layer, tagged):
    below = ETHER / Dot1Q(vlan=9) / ip if tagged else ETHER / ip
    packet = below / layer(sport=1, dport=2) / Raw(data)
    (got,) = segments(unsummed(packet), offload(packet))
    wanted = bytes(packet)
    if layer is TCP and Ether(wanted)[TCP].chksum == 0:  # the kernel writes its other form, which is as right
        return
    assert got == wanted


def _zero_sum(layer, make):
    """A payload of two bytes with which the checksum's sum is that of nothing."""
    free = make(b"\0\0")
    at = {TCP: 16, UDP: 6}[layer]
    start = len(free) - len(bytes(Ether(free)[layer]))
    value = int.from_bytes(free[start + at : start + at + 2], "big")
    return struct.pack("!H", value)


def test_no_datagram_says_that_it_has_no_checksum():
    def make(data):
        return bytes(ETHER / V4 / UDP(sport=1, dport=2) / Raw(data))

    data = _zero_sum(UDP, make)
    assert Ether(make(data))[UDP].chksum == 0xFFFF
    assert segments(make(data), Offload(False, UDP_GSO, 1200, 34, 6)) == [make(data)]
    packet = ETHER / V4 / UDP(sport=1, dport=2) / Raw(data)
    assert segments(unsummed(packet), offload(packet)) == [make(data)]


def test_a_tcp_checksum_may_be_zero():
    def make(data):
        return bytes(ETHER / V4 / TCP(sport=1, dport=2) / Raw(data))

    data = _zero_sum(TCP, make)
    assert Ether(make(data))[TCP].chksum == 0
    assert segments(make(data), Offload(True, TCP_IPV4, 1200, 34, 16)) == [make(data)]


def test_sctp_has_a_checksum_of_its_own():
    packet = ETHER / V4 / SCTP(sport=1, dport=2, tag=3) / SCTPChunkData(data=b"hello", tsn=1)
    wanted = bytes(packet)
    (got,) = segments(wanted[:42] + b"\xde\xad\xbe\xef" + wanted[46:], offload(packet))
    assert got == wanted


def test_what_is_finished_is_left_alone():
    frame = bytes(ETHER / V4 / TCP(chksum=1) / Raw(b"x"))
    assert segments(frame, Offload()) == [frame]


def test_a_checksum_that_is_cut_off_is_left_alone():
    frame = bytes(ETHER / V4 / TCP())[:50]
    assert segments(frame, Offload(True, 0, 0, 34, 16)) == [frame]


BIG = bytes(ETHER / V4 / TCP() / Raw(DATA))


@pytest.mark.parametrize(
    ("frame", "gso_type", "size"),
    [
        (BIG, TCP_IPV4, 0),
        (BIG, UDP_GSO, 100),  # no UDP
        (BIG, 99, 100),  # nobody knows what it is
        (bytes(ETHER / V4 / UDP() / Raw(DATA)), TCP_IPV4, 100),
        (BIG[:50], TCP_IPV4, 100),  # TCP's header is cut off
        (BIG[:54], TCP_IPV4, 100),  # nothing to cut
        (BIG[:30], TCP_IPV4, 100),
        (BIG[:13], TCP_IPV4, 100),
        (bytes(ETHER / V6)[:40], TCP_IPV6, 100),
        (bytes(ETHER / IPv6(nh=60))[:54] + b"\x3c\x00\x00", TCP_IPV6, 100),  # an extension header is cut off
        (bytes(ETHER / IP(proto=47)) + BIG, TCP_IPV4, 100),  # in a tunnel
        (b"\0" * 12 + b"\x08\x06" + DATA, TCP_IPV4, 100),
    ],
)
def test_what_cannot_be_cut_is_no_frame(frame, gso_type, size):
    assert segments(frame, Offload(True, gso_type, size, 34, 16)) == []


def test_what_the_kernel_says():
    assert Offload.decode(struct.pack("=BBHHHH", 1, 0x81, 66, 1448, 34, 16)) == Offload(True, TCP_IPV4, 1448, 34, 16)
    assert Offload.decode(struct.pack("=BBHHHH", 2, 0, 0, 0, 0, 0)) == Offload()
