"""The receiver: every way for a packet to be no copy, and fragments put together as Scapy and we cut them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.packet import Raw

from hsadc.errors import WireError
from hsadc.wire import erspan, ip, vxlan
from hsadc.wire.encapsulation import Encapsulation, Fields, encoder
from hsadc.wire.reassembly import Reassembler
from hsadc.wire.receive import decapsulate, decapsulate_frame, outer, payload_of_frame

V4 = Encapsulation("gre", IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2"))
V6 = Encapsulation("gre", IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"))
SECOND = bytes.fromhex("10000001") + bytes(4)  # ERSPAN II


def gre4(data, **fields):
    return bytes(IP(src="10.9.0.1", dst="10.9.0.2") / GRE(**fields) / Raw(data))


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "not IP"),
        (b"\x20", "not IP"),
        (b"\x45\0", "not IPv4"),
        (b"\x60\0", "not IPv6"),
        (bytes(IP(len=100)), "cut short"),
        (bytes(IP(ihl=4)), "cut short"),
        (bytes(IP(chksum=1)), "checksum wrong"),
        (bytes(IPv6(plen=1)), "cut short"),
        (bytes(IPv6(nh=44)), "cut short"),
        (bytes(IP(flags="MF", proto=47) / Raw(bytes(8))), "is a fragment"),
        (bytes(IP(frag=1, proto=47) / Raw(bytes(8))), "is a fragment"),
        (bytes(IPv6() / IPv6ExtHdrFragment(nh=47, m=1) / Raw(bytes(8))), "is a fragment"),
        (bytes(IP() / ICMP()), "protocol 1"),
        (bytes(IP() / UDP(dport=53)), "protocol 17"),
        (bytes(IP() / UDP(dport=4789) / Raw(b"1234567")), "VXLAN packet cut off after 15"),
        (bytes(IP() / UDP(dport=4789, len=15) / Raw(bytes(8))), "UDP length is 15"),
        (bytes(IP() / UDP(dport=4789, len=99) / Raw(bytes(8))), "UDP length is 99"),
        (bytes(IP() / UDP(dport=4789) / Raw(bytes(8))), "without a VNI"),
        (gre4(b"", proto=0x0806), "0x0806 is no copy"),
        (gre4(b"\x45", proto=0x86DD), "0x86dd, but the payload is not IPv6"),
        (gre4(b"1234567", proto=0x88BE, seqnum_present=1), "ERSPAN header of 8 bytes cut off after 7"),
        (gre4(SECOND, proto=0x22EB), "ERSPAN header of 12 bytes cut off after 8"),
        (gre4(SECOND + bytes(4), proto=0x22EB), "ERSPAN version 1, not 2"),
        (gre4(b"\x20" + bytes(7), proto=0x88BE, seqnum_present=1), "ERSPAN version 2, not 1"),
        (gre4(b"\x20" + bytes(10) + b"\1" + bytes(7), proto=0x22EB), "ERSPAN header of 20 bytes cut off after 19"),
    ],
)
def test_no_copy(packet, why):
    with pytest.raises(WireError, match=why):
        decapsulate(packet)


def test_the_sub_header_of_erspan_iii_is_passed_over():
    found = decapsulate(gre4(b"\x20\0\0\7" + bytes(7) + b"\1" + bytes(8) + b"frame", proto=0x22EB))
    assert (found.payload, found.erspan) == (b"frame", erspan.ErspanHeader(3, 7))


@pytest.mark.parametrize(
    "header", [erspan.ErspanHeader(2, 5, 0xE001), erspan.ErspanHeader(2, 5, 0), erspan.ErspanHeader(3, 6, 7, True, 9)]
)
def test_erspan_headers_come_back(header):
    assert erspan.decode(erspan.encode(header), header.version) == (header, 8 if header.version == 2 else 12)


def test_vxlan_header_comes_back():
    header = vxlan.VxlanHeader(0xABCDEF, 4789, 50000)
    assert vxlan.decode(vxlan.encode(header, 3) + b"abc") == (header, b"abc")


@pytest.mark.parametrize("tags", [0, 1, 3])
@pytest.mark.parametrize("e", [V4, V6])
def test_a_frame_with_tags(e, tags):
    packet = encoder(e)(b"\x45opy", Fields())
    frame = Ether(type=0x8100 if tags else 0x0800 if e is V4 else 0x86DD)
    for n in range(tags):
        frame /= Dot1Q(type=0x8100 if n < tags - 1 else 0x0800 if e is V4 else 0x86DD)
    assert decapsulate_frame(bytes(frame) + packet).payload == b"\x45opy"


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"", "not an IP frame"),
        (bytes(13), "not an IP frame"),
        (bytes(Ether() / ARP()), "not an IP frame"),
        (bytes(12) + b"\x81\0\0\1", "not an IP frame"),
        (bytes(12) + b"\x08\0", "not IPv4"),
        (bytes(12) + b"\x86\xdd\x45", "not IPv6"),
    ],
)
def test_no_frame(frame, why):
    with pytest.raises(WireError, match=why):
        payload_of_frame(frame)


data = st.binary(min_size=1, max_size=64).map(lambda part: (part * 200)[:9000])


def equal_parts(total, room):
    """As many parts as are needed, of about equal size and multiples of 8; Scapy makes them as large as it may."""
    parts = ceil(total / (room // 8 * 8))
    return ceil(ceil(total / parts) / 8) * 8


@settings(max_examples=30, deadline=None)  # Scapy is slow
@given(data, st.integers(576, 1500), st.integers(0, 2**32 - 1))
def test_fragments_are_scapys(payload, mtu, identification):
    packet = encoder(V4)(payload, Fields(identification=identification))
    expected = [bytes(f) for f in fragment(IP(packet), equal_parts(len(packet) - 20, mtu - 20))]
    assert ip.fragments(packet, mtu, identification) == expected if len(packet) > mtu else True


@settings(max_examples=30, deadline=None)
@given(data, st.integers(1280, 1500), st.integers(0, 2**32 - 1))
def test_ipv6_fragments_are_scapys(payload, mtu, identification):
    packet = encoder(V6)(payload, Fields())
    if len(packet) > mtu:
        whole = IPv6(packet)
        header = IPv6(src=whole.src, dst=whole.dst, hlim=whole.hlim, nh=44)
        size = equal_parts(len(packet) - 40, mtu - 48)
        expected = fragment6(header / IPv6ExtHdrFragment(nh=47, id=identification) / Raw(packet[40:]), 48 + size)
        assert ip.fragments(packet, mtu, identification) == [bytes(f) for f in expected]


@pytest.mark.parametrize("e", [V4, V6])
@given(st.integers(1300, 1500), st.randoms())
def test_fragments_are_put_together_in_any_order(e, mtu, random):
    packet = encoder(e)(bytes(range(256)) * 30, Fields(identification=77))
    parts = ip.fragments(packet, mtu, 77)
    random.shuffle(parts)
    reassembler = Reassembler()
    assert [reassembler.add(part + b"pad") for part in parts[:-1]] == [None] * (len(parts) - 1)
    assert reassembler.add(parts[-1]) == packet
    assert all(len(part) <= mtu for part in parts)


def test_a_whole_packet_is_no_fragment():
    packet = encoder(V4)(b"copy", Fields())
    assert Reassembler().add(packet) == packet
    assert not outer(packet).is_fragment


def test_the_oldest_datagram_is_given_up():
    first, second = (ip.fragments(encoder(V4)(bytes(100), Fields(identification=n)), 68, n) for n in (1, 2))
    reassembler = Reassembler(datagrams=1)
    assert reassembler.add(first[0]) is None
    assert reassembler.add(second[0]) is None
    assert [reassembler.add(part) for part in first[1:]] == [None] * (len(first) - 1)


def piece(offset, more, size):
    return bytes(
        IP(src="10.9.0.1", dst="10.9.0.2", proto=47, id=5, frag=offset // 8, flags="MF" if more else 0) / Raw(bytes(size))
    )


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([piece(0, True, 12)], "no multiple of 8"),
        ([piece(0, True, 0)], "has 0 bytes"),
        ([piece(0, True, 16), piece(8, True, 16)], "overlap"),
        ([piece(0, True, 16), piece(0, True, 16)], "overlap"),
        ([piece(16, False, 8), piece(32, True, 8)], "behind the last"),
    ],
)
def test_fragments_that_do_not_fit_together(parts, why):
    reassembler = Reassembler()
    for part in parts[:-1]:
        assert reassembler.add(part) is None
    with pytest.raises(WireError, match=why):
        reassembler.add(parts[-1])
    assert reassembler.add(piece(0, True, 8)) is None  # the datagram begins anew
