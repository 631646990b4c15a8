"""Frames in one line: built by Scapy, and by hand where it has no such packet."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, GRE, LLC, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from hsadc.wire.summary import summarise

TWO, ONE = "02:00:00:00:00:02", "02:00:00:00:00:01"
ETHER = Ether(src=ONE, dst=TWO)
INNER = IP(src="10.0.0.7", dst="10.0.0.2") / TCP(sport=40000, dport=80, flags="PA", seq=5, ack=9) / Raw(b"x" * 12)
INNER_LINE = "10.0.0.7:40000 > 10.0.0.2:80 TCP PSH ACK seq 5 ack 9, 12 bytes"
INNER6 = IPv6(src="2001:db8::7", dst="2001:db8::2") / UDP(sport=5000, dport=53) / Raw(b"x" * 3)
INNER6_LINE = "[2001:db8::7]:5000 > [2001:db8::2]:53 UDP, 3 bytes"
OUTER = IP(src="10.9.0.1", dst="10.9.0.2")
OUTER6 = IPv6(src="2001:db8:9::1", dst="2001:db8:9::2")
ENDS, ENDS6 = "10.9.0.1 > 10.9.0.2", "2001:db8:9::1 > 2001:db8:9::2"
LATER6 = IPv6ExtHdrFragment(offset=185, m=0, id=7, nh=17)

CASES = {
    INNER_LINE: ETHER / INNER,
    f"vlan 10 {INNER_LINE}": ETHER / Dot1Q(vlan=10, prio=5) / INNER,
    f"vlan 7 vlan 10 {INNER_LINE}": ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=10) / INNER,
    INNER6_LINE: ETHER / INNER6,
    "10.0.0.7:1 > 10.0.0.2:2 TCP FIN SYN RST URG ECE CWR seq 0 ack 0, 0 bytes": ETHER
    / IP(src="10.0.0.7", dst="10.0.0.2")
    / TCP(sport=1, dport=2, flags="FSRUEC"),
    "ARP who has 10.0.0.2, tell 10.0.0.7": ETHER / ARP(op=1, psrc="10.0.0.7", pdst="10.0.0.2", hwsrc=ONE),
    f"ARP 10.0.0.7 is at {ONE}": ETHER / ARP(op=2, psrc="10.0.0.7", pdst="10.0.0.2", hwsrc=ONE),
    f"{ENDS} ICMP echo request id 3 seq 4, 5 bytes": ETHER / OUTER / ICMP(type=8, id=3, seq=4) / Raw(b"abcde"),
    f"{ENDS} ICMP destination unreachable code 4": ETHER / OUTER / ICMP(type=3, code=4) / Raw(b"x" * 28),
    f"{ENDS} ICMP time exceeded": ETHER / OUTER / ICMP(type=11, code=0) / Raw(b"x" * 28),
    f"{ENDS} ICMP type 200": ETHER / OUTER / ICMP(type=200, code=0),
    f"{ENDS6} ICMPv6 echo request id 3 seq 4, 2 bytes": ETHER / OUTER6 / ICMPv6EchoRequest(id=3, seq=4, data=b"ab"),
    f"{ENDS6} ICMPv6 neighbor solicitation": ETHER / OUTER6 / ICMPv6ND_NS(tgt="2001:db8::5"),
    f"{ENDS6} ICMPv6 packet too big": ETHER / OUTER6 / ICMPv6PacketTooBig(),
    f"{ENDS} protocol 89, 4 bytes": ETHER / IP(src="10.9.0.1", dst="10.9.0.2", proto=89) / Raw(b"ospf"),
    f"{ONE} > {TWO} type 0x88cc": Ether(src=ONE, dst=TWO, type=0x88CC) / Raw(b"lldp"),
    f"{ONE} > {TWO} 802.3": Dot3(src=ONE, dst=TWO) / LLC() / Raw(b"spanning tree"),
    f"vlan 1 vlan 2 vlan 3 {ONE} > {TWO} type 0x8100": ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / Dot1Q(vlan=4),
    f"{ENDS} GRE | {INNER_LINE}": ETHER / OUTER / GRE() / INNER,
    f"{ENDS} GRE key 7 seq 12 | {INNER_LINE}": ETHER
    / OUTER
    / GRE(key_present=1, key=7, seqnum_present=1, sequence_number=12)
    / INNER,
    f"{ENDS} GRE key 8 | {INNER6_LINE}": ETHER / OUTER / GRE(chksum_present=1, key_present=1, key=8) / INNER6,
    f"{ENDS} GRE | vlan 10 {INNER_LINE}": ETHER / OUTER / GRE(proto=0x6558) / ETHER / Dot1Q(vlan=10) / INNER,
    f"{ENDS} GRE type 0x0806, 3 bytes": ETHER / OUTER / GRE(proto=0x0806) / Raw(b"abc"),
    f"{ENDS} GRE version 1 type 0x880b": ETHER / OUTER / GRE(version=1, proto=0x880B, key_present=1, seqnum_present=0),
    f"{ENDS6} GRE | {INNER_LINE}": ETHER / OUTER6 / GRE() / INNER,
    f"{ENDS} ERSPAN I | {INNER_LINE}": ETHER / OUTER / GRE(proto=0x88BE) / ERSPAN_I() / ETHER / INNER,
    f"{ENDS} ERSPAN II session 77 seq 3 | {INNER_LINE}": ETHER
    / OUTER
    / GRE(proto=0x88BE, seqnum_present=1, sequence_number=3)
    / ERSPAN_II(session_id=77)
    / ETHER
    / INNER,
    f"{ENDS} ERSPAN III session 1023 seq 4 | {INNER_LINE}": ETHER
    / OUTER
    / GRE(proto=0x22EB, seqnum_present=1, sequence_number=4)
    / ERSPAN_III(session_id=1023)
    / ETHER
    / INNER,
    f"10.9.0.1:49999 > 10.9.0.2:4789 VXLAN vni 5000 | {INNER6_LINE}": ETHER
    / OUTER
    / UDP(sport=49999, dport=4789)
    / VXLAN(vni=5000, flags="Instance")
    / ETHER
    / INNER6,
    f"10.9.0.1:49999 > 10.9.0.2:4789 VXLAN | {INNER_LINE}": ETHER
    / OUTER
    / UDP(sport=49999, dport=4789)
    / VXLAN(flags=0)
    / ETHER
    / INNER,
    f"{ENDS} IPIP | {INNER_LINE}": ETHER / OUTER / INNER,
    f"{ENDS6} IPIP | {INNER6_LINE}": ETHER / OUTER6 / INNER6,
    f"{ENDS} fragment of 0x0102 at 1480, 20 bytes": ETHER
    / IP(src="10.9.0.1", dst="10.9.0.2", id=0x102, frag=185, proto=17)
    / Raw(b"x" * 20),
    "10.9.0.1:1 > 10.9.0.2:2 UDP, 8 bytes (first fragment of 0x0102)": ETHER
    / IP(src="10.9.0.1", dst="10.9.0.2", id=0x102, flags="MF")
    / UDP(sport=1, dport=2)
    / Raw(b"x" * 8),
    "[2001:db8:9::1]:1 > [2001:db8:9::2]:2 UDP, 8 bytes (first fragment of 0x00000007)": ETHER
    / OUTER6
    / IPv6ExtHdrHopByHop()
    / IPv6ExtHdrDestOpt()
    / IPv6ExtHdrFragment(offset=0, m=1, id=7)
    / UDP(sport=1, dport=2)
    / Raw(b"x" * 8),
    f"{ENDS6} fragment of 0x0007 at 1480, 9 bytes": ETHER / OUTER6 / LATER6 / Raw(b"x" * 9),
}


@pytest.mark.parametrize("line", CASES)
def test_one_line(line):
    assert summarise(bytes(CASES[line])) == line


def test_padding_is_not_counted():
    assert summarise(bytes(ETHER / INNER) + bytes(40)) == INNER_LINE
    assert summarise(bytes(ETHER / INNER6) + bytes(40)) == INNER6_LINE


@pytest.mark.parametrize(("packet", "at"), [(INNER, 16), (INNER6, 18)])
def test_a_segment_that_the_device_has_not_cut_yet_has_no_length(packet, at):
    frame = bytearray(bytes(ETHER / packet))
    line = summarise(bytes(frame))
    frame[at : at + 2] = b"\0\0"
    assert summarise(bytes(frame)) == line


def test_ports_that_mean_vxlan():
    frame = bytes(ETHER / OUTER / UDP(sport=1, dport=8472) / VXLAN(vni=9, flags="Instance") / ETHER / INNER)
    assert summarise(frame) == f"10.9.0.1:1 > 10.9.0.2:8472 UDP, {len(frame) - 42} bytes"
    assert summarise(frame, {8472}) == f"10.9.0.1:1 > 10.9.0.2:8472 VXLAN vni 9 | {INNER_LINE}"


def test_erspan_iii_with_the_header_that_platforms_add():
    plain = bytes(ERSPAN_III(session_id=5))
    longer = plain[:-1] + bytes([plain[-1] | 1]) + bytes(8)
    frame = ETHER / OUTER / GRE(proto=0x22EB, seqnum_present=1, sequence_number=4) / Raw(longer + bytes(ETHER / INNER))
    assert summarise(bytes(frame)) == f"{ENDS} ERSPAN III session 5 seq 4 | {INNER_LINE}"


def test_tunnels_in_tunnels_without_end():
    packet = INNER
    for _ in range(9):
        packet = OUTER / packet
    assert summarise(bytes(ETHER / packet)) == f"{ENDS} IPIP | " * 5 + "..."


def test_what_ends_too_early():
    assert summarise(b"") == "cut off"
    assert summarise(bytes(ETHER / INNER)[:30]) == "cut off"
    assert summarise(bytes(ETHER / INNER)[:40]) == "10.0.0.7 > 10.0.0.2 TCP cut off"
    assert summarise(bytes(ETHER / OUTER / GRE() / INNER)[:40]) == f"{ENDS} GRE | cut off"
    assert summarise(bytes(ETHER / Dot1Q(vlan=9))[:16]) == "cut off"


@given(st.sampled_from(list(CASES.values())), st.data())
def test_no_bytes_are_too_strange(packet, data):
    frame = bytearray(bytes(packet))
    for _ in range(data.draw(st.integers(0, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    text = summarise(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
    assert text.isprintable()


def test_more_extension_headers_than_anybody_needs():
    chain = b"".join(struct.pack("!BB6x", 60, 0) for _ in range(9))
    frame = bytes(ETHER)[:12] + b"\x86\xdd" + bytes(IPv6(src="2001:db8:9::1", dst="2001:db8:9::2", nh=60, plen=72)) + chain
    assert summarise(frame) == f"{ENDS6} protocol 60, 24 bytes"
