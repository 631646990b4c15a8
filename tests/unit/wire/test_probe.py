"""Probe packets, judged with Scapy."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from hsadc.wire import probe
from hsadc.wire.probe import PAYLOAD, Flow, frame, frame_of

V4 = ip_address("10.1.0.1"), 40000, ip_address("10.1.0.2"), 80
V6 = ip_address("2001:db8::1"), 40000, ip_address("2001:db8::2"), 80
FLOWS = [Flow(*ends, protocol) for ends in (V4, V6) for protocol in (probe.TCP, probe.UDP)]


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@pytest.mark.parametrize("payload", [PAYLOAD, PAYLOAD + b"!", b""], ids=len)
def test_scapy_makes_the_same_packet(flow, payload):
    ends = {"src": str(flow.source), "dst": str(flow.destination)}
    ip = IP(**ends, id=0, ttl=64) if flow.source.version == 4 else IPv6(**ends, hlim=64)
    tcp = TCP(sport=flow.source_port, dport=flow.destination_port, flags="S", window=65535)
    upper = tcp if flow.protocol == probe.TCP else UDP(sport=flow.source_port, dport=flow.destination_port)
    ether = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
    assert frame(flow, payload) == bytes(ether / ip / upper / payload)


def test_a_udp_checksum_of_zero_is_sent_as_ones():
    without = frame(Flow(*V4, probe.UDP), bytes(2))
    checksum = without[-4:-2]
    assert frame(Flow(*V4, probe.UDP), checksum)[-4:-2] == b"\xff\xff"


@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_one_of_a_size_carries_data(flow):
    data = frame_of(flow, 1500)
    assert len(data) == 1514
    packet = Ether(data)
    assert flow.protocol != probe.TCP or packet[TCP].flags == "PA"


def test_what_the_other_end_sends():
    assert Flow(*V4, 6).reverse == Flow(V4[2], 80, V4[0], 40000, 6)
