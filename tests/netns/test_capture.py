"""Packets of a device as the kernel sees them, and the filters that choose them."""

import socket
import sys
import time
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address

import pytest
from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from hsadc.dataplane import capture
from hsadc.dataplane.capture import Capture
from hsadc.errors import ApplyError, ConfigError, Unsupported
from hsadc.intent.capture import copies_filter
from hsadc.wire.encapsulation import Encapsulation
from hsadc.wire.summary import summarise
from tests.netns.conftest import inside

pytestmark = pytest.mark.netns

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
PACKET = ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=7) / Raw(b"x" * 30)


@pytest.fixture
def send(net):
    """Sends frames from the far side of eth0."""
    with inside(net.far):
        far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    far.bind(("eth0", 0))
    with closing(far):
        yield lambda *packets: [far.send(bytes(p)) for p in packets]


def frames(going, count, seconds=5.0):
    """The packets of a capture: so many, or those that come within the time."""
    until, found = time.monotonic() + seconds, []
    while len(found) < count and time.monotonic() < until:
        found += going.packets(until - time.monotonic())
    return found


def test_what_comes_and_what_goes(net, send):
    net.ip("address add 10.1.0.1/24 dev eth0")
    before = time.time_ns()
    with Capture("eth0", "udp port 7 or arp") as going:
        send(PACKET)
        (received,) = frames(going, 1)
        with net.udp_near() as near:
            near.sendto(b"x", ("10.1.0.9", 7))
        asked, answered, sent = frames(going, 3)
        assert going.counters() == (4, 0)
    assert (received.outgoing, received.frame, received.length) == (False, bytes(PACKET), len(PACKET))
    assert (asked.outgoing, summarise(asked.frame)) == (True, "ARP who has 10.1.0.9, tell 10.1.0.1")
    assert (answered.outgoing, sent.outgoing) == (False, True)
    assert summarise(sent.frame).endswith("> 10.1.0.9:7 UDP, 1 bytes")
    assert before <= received.time_ns <= asked.time_ns <= time.time_ns()


def test_no_packet_from_before_the_filter_was_in_force(send, monkeypatch):
    noise, start = ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=9), Capture._start

    def start_late(self, program):
        send(noise)  # the socket is open, its filter is not in force
        start(self, program)

    monkeypatch.setattr(Capture, "_start", start_late)
    with Capture("eth0", "udp port 7") as going:
        send(noise, PACKET)
        assert [p.frame for p in frames(going, 1)] == [bytes(PACKET)]


def test_without_a_filter_all_packets_are_taken(send):
    with Capture("eth0") as going:
        send(Ether(dst="ff:ff:ff:ff:ff:ff", type=0x9999) / Raw(b"z" * 50))
        assert any("type 0x9999" in summarise(p.frame) for p in frames(going, 20, 0.5))


@pytest.mark.parametrize("tags", [Dot1Q(vlan=10, prio=5), Dot1AD(vlan=10) / Dot1Q(vlan=77)], ids=["802.1Q", "802.1ad"])
def test_a_tag_that_the_kernel_takes_out_is_put_back(send, tags):
    tagged = ETHER / tags / PACKET.payload
    with Capture("eth0", "vlan 10") as going, Capture("eth0", "vlan 11") as other:
        send(ETHER / Dot1Q(vlan=12) / PACKET.payload, tagged)
        (received,) = frames(going, 1)
        assert frames(other, 1, 0.1) == []
    assert (received.frame, received.length) == (bytes(tagged), len(tagged))


def test_what_the_kernel_has_no_room_for_is_counted(send, monkeypatch):
    monkeypatch.setattr(capture, "_QUEUE_BYTES", 1)
    with Capture("eth0", "udp port 7") as going:
        send(*[PACKET] * 500)
        kept = len(frames(going, 500, 0.5))
        passed, dropped = going.counters()
    assert (passed, dropped) == (500, 500 - kept)
    assert 0 < dropped < 500


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("tcp prt 80", "can't parse filter expression: syntax error"),
        ("port 70000", "illegal port number 70000 > 65535"),
        ("tcp and udp", "expression rejects all packets"),
        ("udp) or (tcp", "can't parse filter expression: syntax error"),
    ],
)
def test_a_wrong_expression(net, expression, words):
    for within in ("", "udp port 7"):
        with pytest.raises(ConfigError) as e:
            Capture("eth0", expression, within)
        assert str(e.value) == (
            f'filter "{expression}": {words}; '
            "it must be an expression as tcpdump takes it, such as `tcp port 80 and host 10.0.0.7`"
        )


def test_both_filters_must_take_a_packet(send):
    with Capture("eth0", "udp port 9 or udp port 7", "src host 10.0.0.1") as going:
        other = ETHER / IP(src="10.0.0.5", dst="10.0.0.2") / UDP(sport=1, dport=7)
        send(other, PACKET)
        assert [p.frame for p in frames(going, 1)] == [bytes(PACKET)]


def test_a_device_that_is_not_there_or_goes_down(net):
    with pytest.raises(ApplyError, match="capture on eth7: there is no such device now"):
        Capture("eth7", "udp")
    with Capture("eth0", "udp port 7") as going:
        net.ip("link set eth0 down")
        with pytest.raises(ApplyError, match="capture on eth0: Network is down"):
            frames(going, 1)


def test_a_machine_without_libpcap(net, monkeypatch):
    monkeypatch.delitem(sys.modules, "scapy.libs.winpcapy", raising=False)
    monkeypatch.delattr("scapy.libs.winpcapy", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    with pytest.raises(Unsupported, match=r"libpcap is missing: install the Debian package libpcap0\.8"):
        Capture("eth0", "udp")
    Capture("eth0").close()


NEAR4, FAR4 = ip_address("10.0.0.1"), ip_address("10.0.0.2")
NEAR6, FAR6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")
INNER = IP(src="10.9.0.1", dst="10.9.0.2") / UDP(sport=5, dport=6) / Raw(b"y" * 40)
GRE_KEY = Encapsulation("gre", NEAR4, FAR4, key=7)
GRE_ALL = replace(GRE_KEY, payload="ethernet", checksum=True, sequence=True)
ERSPAN = Encapsulation("erspan", NEAR4, FAR4, payload="ethernet", version=2, session_id=5)
VX = Encapsulation("vxlan", NEAR4, FAR4, payload="ethernet", vni=5000, port=8472)
NUMBERED = {"seqnum_present": 1, "sequence_number": 3}
SHIMS = {
    GRE_KEY: GRE(key_present=1, key=7) / INNER,
    replace(GRE_KEY, key=4294967295): GRE(key_present=1, key=4294967295) / INNER,
    replace(GRE_KEY, key=None): GRE() / INNER,
    replace(GRE_KEY, key=None, sequence=True): GRE(**NUMBERED) / IPv6(src="2001:db8::7") / UDP(),
    GRE_ALL: GRE(proto=0x6558, chksum_present=1, key_present=1, key=7, **NUMBERED) / ETHER / INNER,
    ERSPAN: GRE(proto=0x88BE, **NUMBERED) / ERSPAN_II(session_id=5) / ETHER / INNER,
    replace(ERSPAN, session_id=6): GRE(proto=0x88BE, **NUMBERED) / ERSPAN_II(session_id=6) / ETHER / INNER,
    replace(ERSPAN, version=3): GRE(proto=0x22EB, **NUMBERED) / ERSPAN_III(session_id=5) / ETHER / INNER,
    replace(ERSPAN, version=1): GRE(proto=0x88BE) / ERSPAN_I() / ETHER / INNER,
    VX: UDP(sport=50000, dport=8472) / VXLAN(vni=5000, flags="Instance") / ETHER / INNER,
    replace(VX, vni=5001): UDP(sport=50000, dport=8472) / VXLAN(vni=5001, flags="Instance") / ETHER / INNER,
    replace(VX, port=4789): UDP(sport=50000, dport=4789) / VXLAN(vni=5000, flags="Instance") / ETHER / INNER,
}


def outer(tunnel, ipv6):
    return IPv6(src=str(NEAR6), dst=str(FAR6)) if ipv6 else IP(src=str(tunnel.source), dst=str(tunnel.destination))


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_each_tunnel_has_its_own_copies_and_those_of_no_other(send, ipv6):
    packets = {tunnel: ETHER / outer(tunnel, ipv6) / shim for tunnel, shim in SHIMS.items()}
    last = {"src": "02:00:00:00:00:07", "type": 0x9998}
    for tunnel in SHIMS:
        wanted = replace(tunnel, source=NEAR6, destination=FAR6) if ipv6 else tunnel
        with Capture("eth0", "", f"({copies_filter(wanted)}) or ether proto 0x9998") as going:
            strange = outer(tunnel, ipv6)
            strange.dst = "2001:db8::3" if ipv6 else "10.0.0.3"
            send(ETHER / strange / SHIMS[tunnel], *packets.values(), Ether(**last) / Raw(b"end"))
            found = []
            while not found or found[-1].type != 0x9998:
                found += [Ether(p.frame) for p in frames(going, 1)]
        assert [bytes(f) for f in found[:-1]] == [bytes(packets[tunnel])], tunnel


def test_later_fragments_of_copies_are_seen(send):
    whole = outer(GRE_KEY, ipv6=False) / SHIMS[GRE_KEY] / Raw(b"z" * 400)
    parts4 = [ETHER / part for part in fragment(IP(bytes(whole)), 200)]
    with Capture("eth0", "", copies_filter(GRE_KEY)) as going:
        send(*parts4)
        assert len(parts4) == len(frames(going, len(parts4))) == 3
    whole6 = outer(GRE_KEY, ipv6=True) / IPv6ExtHdrFragment(id=9) / SHIMS[GRE_KEY] / Raw(b"z" * 1500)
    parts6 = [ETHER / part for part in fragment6(whole6, 1280)]
    with Capture("eth0", "", copies_filter(replace(GRE_KEY, source=NEAR6, destination=FAR6))) as going:
        send(*parts6)
        assert len(parts6) == len(frames(going, len(parts6))) == 2
