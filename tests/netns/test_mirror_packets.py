"""Packet in, verdict and packet out: the programs run by BPF_PROG_TEST_RUN, judged with Scapy."""

from dataclasses import asdict, replace

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from tests.netns.mirror_net import RULE, TUNNEL, Net, mirror_in, run_program

pytestmark = pytest.mark.netns

TO, FROM = {"src": "10.1.0.1", "dst": "10.1.0.2"}, {"src": "10.1.0.2", "dst": "10.1.0.1"}
REQUEST = TCP(sport=40000, dport=8087, flags="PA") / Raw(b"GET / HTTP/1.1\r\n\r\n" * 3)
REPLY = TCP(sport=8087, dport=40000, flags="A") / Raw(b"x" * 100)
OPTIONS = [IPOption_NOP()] * 8
NOTHING, MATCH, FRAGMENTED = {}, {"matched_packets": 1, "cloned": 1}, {"fragmented": 1}

TAP_PACKETS = [
    ("to the virtual server", Ether() / IP(**TO) / REQUEST, MATCH),
    ("from the virtual server", Ether() / IP(**FROM) / REPLY, MATCH),
    ("IP options", Ether() / IP(**TO, options=OPTIONS) / REQUEST, MATCH),
    ("no payload", Ether() / IP(**TO) / TCP(sport=40000, dport=8087, flags="S"), MATCH),
    ("a VLAN tag", Ether() / Dot1Q(vlan=5) / IP(**TO) / REQUEST, MATCH),
    ("an 802.1ad tag", Ether() / Dot1AD(vlan=5) / IP(**TO) / REQUEST, MATCH),
    ("first of its fragments", Ether() / IP(**TO, flags="MF") / REQUEST, FRAGMENTED),
    ("a later fragment, whose bytes look like ports", Ether() / IP(**TO, frag=10) / REQUEST, NOTHING),
    ("another port", Ether() / IP(**TO) / TCP(sport=40000, dport=8088), NOTHING),
    ("the port on the wrong side", Ether() / IP(**TO) / TCP(sport=8087, dport=40000), NOTHING),
    ("another address", Ether() / IP(src="10.1.0.1", dst="10.1.0.3") / REQUEST, NOTHING),
    ("another protocol on that port", Ether() / IP(**TO) / UDP(sport=40000, dport=8087) / Raw(b"x" * 30), NOTHING),
    ("IPv6 between mapped addresses", Ether() / IPv6(src="::ffff:10.1.0.1", dst="::ffff:10.1.0.2") / REQUEST, NOTHING),
    ("ICMP", Ether() / IP(**TO) / ICMP(), NOTHING),
    ("GRE around a match", Ether() / IP(**TO) / GRE() / IP(**TO) / REQUEST, NOTHING),
    ("ARP", Ether() / ARP(), NOTHING),
    ("bytes of a match in another protocol", Ether(type=0x88B5) / Raw(bytes(IP(**TO) / REQUEST)), NOTHING),
    ("cut off in the ports", Ether() / IP(**TO, len=23) / Raw(b"\x9c\x40\x1f"), NOTHING),
    ("an IP header that says it has no length", Ether() / IP(**TO, ihl=0) / REQUEST, NOTHING),
]
INNER = bytes(IP(**TO, id=77) / REQUEST)
SENT = {"sent_packets": 1, "sent_bytes": len(INNER)}

ENCAP_PACKETS = [
    ("a plain packet", Ether(type=0x0800) / Raw(INNER), SENT),
    ("padding of a short frame", Ether(type=0x0800) / Raw(INNER + b"pad"), SENT),
    ("a VLAN tag", Ether() / Dot1Q(vlan=5, type=0x0800) / Raw(INNER), SENT),
    ("two VLAN tags", Ether() / Dot1AD(vlan=5) / Dot1Q(vlan=6, type=0x0800) / Raw(INNER), SENT),
    ("ARP", Ether() / ARP(), {"not_ip": 1}),
    ("bytes of a packet in another protocol", Ether(type=0x88B5) / Raw(INNER), {"not_ip": 1}),
    ("IPv6", Ether() / IPv6() / REQUEST, {"not_ip": 1}),
    ("less than its header says", Ether(type=0x0800) / Raw(INNER[:-1]), {"not_ip": 1}),
    ("from the analyzer", Ether() / IP(src="10.3.0.2", dst="10.1.0.2") / REQUEST, {"analyzer": 1}),
    ("to the analyzer", Ether() / IP(src="10.1.0.2", dst="10.3.0.2") / REPLY, {"analyzer": 1}),
    ("UDP larger than the path", Ether() / IP(**TO) / UDP(sport=1, dport=8087) / Raw(bytes(1449)), {"oversize": 1}),
    (
        "an urgent segment larger than the path",
        Ether() / IP(**TO) / TCP(dport=8087, flags="UA") / Raw(bytes(1437)),
        {"oversize": 1},
    ),
    ("a SYN larger than the path", Ether() / IP(**TO) / TCP(dport=8087, flags="S") / Raw(bytes(1437)), {"oversize": 1}),
]


@pytest.fixture(scope="module")
def adc():
    """A mirror in force, in whose network the test runs."""
    with Net() as net, mirror_in(net) as mirror:
        yield mirror


def changed(before, after):
    """The counters that differ, by name, and by how much."""
    return {name: value - asdict(before)[name] for name, value in asdict(after).items() if value != asdict(before)[name]}


@pytest.mark.parametrize("program", ["hsadc_tap_in", "hsadc_tap_out"])
@pytest.mark.parametrize(("packet", "counted"), [p[1:] for p in TAP_PACKETS], ids=[p[0] for p in TAP_PACKETS])
def test_tap(adc, program, packet, counted):
    before = adc.counters().rules[RULE.id]
    data = bytes(packet)
    assert run_program(adc._objects._programs[program], data) == (-1, data)
    counted = counted | ({"matched_bytes": len(packet[IP])} if counted is MATCH else {})
    assert changed(before, adc.counters().rules[RULE.id]) == counted


@pytest.mark.parametrize(("packet", "counted"), [p[1:] for p in ENCAP_PACKETS], ids=[p[0] for p in ENCAP_PACKETS])
def test_encapsulator(adc, packet, counted):
    helper = adc._objects.netlink.link("hsadc-tun1").index
    before = adc.counters().tunnels["tunnel1"]
    verdict, data = run_program(adc._objects._programs["hsadc_encap"], bytes(packet), helper)
    assert changed(before, adc.counters().tunnels["tunnel1"]) == counted
    assert verdict == (7 if counted is SENT else 2)  # TC_ACT_REDIRECT, TC_ACT_SHOT
    if counted is SENT:
        outer = Ether(data)[IP]
        expected = IP(src="10.2.0.2", dst="10.3.0.2", ttl=64, id=outer.id, proto=47) / GRE(proto=0x0800) / Raw(INNER)
        assert bytes(outer) == bytes(expected)


def test_identification_counts_up_and_key_is_sent(adc):
    keyed = replace(TUNNEL, gre_key=0xDEADBEEF)
    adc.tunnels.change(TUNNEL, keyed)
    try:
        helper = adc._objects.netlink.link("hsadc-tun1").index
        encap = adc._objects._programs["hsadc_encap"]
        first, second = (Ether(run_program(encap, bytes(Ether(type=0x0800) / Raw(INNER)), helper)[1]) for _ in range(2))
        assert (second[IP].id - first[IP].id) % 65536 == 1
        assert (first[GRE].key, first[GRE].proto) == (0xDEADBEEF, 0x0800)
        assert bytes(first[GRE].payload) == INNER
    finally:
        adc.tunnels.change(keyed, TUNNEL)
