"""Traffic is what it would be without the mirror, whatever is done to the mirror and whatever the traffic is made of."""

import contextlib
import hashlib
import os
import socket
import tempfile
import threading
from dataclasses import replace

import pytest
from pyroute2.netlink.rtnl import RTM_NEWLINK
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from hsadc.dataplane.bpf.records import Source, encode_rule_key
from hsadc.dataplane.netlink import Netlink
from hsadc.intent.mirror import PortMirrorIntent
from tests.netns.mirror_net import CLIENT, PORT, RULE, SERVER, TUNNEL, encapsulated, mirror_in
from tests.netns.stress_net import SERVER6, Analyzer, StressNet, big_transfer, ipv6, settled, stored_capture

pytestmark = pytest.mark.netns

EXACT = encapsulated(sequence=True, payload="ethernet")
FRAGMENT = replace(TUNNEL, oversize="fragment")
UDP_RULE = replace(RULE, protocol=17)
RULE6 = replace(RULE, address=ipv6(SERVER6))
EVERYTHING = PortMirrorIntent(65536, "front", 1)
UPLOAD, DOWNLOAD = 300_000, 1_000_000
SABOTAGE = {
    "nothing": "true",
    "helper down": "ip link set hsadc-tun1 down",
    "helper deleted": "ip link del hsadc-tun1",
    "bridge down": "ip link set hsadc-brt1 down",
    "bridge deleted": "ip link del hsadc-brt1",
    "egress down": "ip link set back down",
    "encapsulator taken away": "tc qdisc del dev hsadc-tun1 clsact",
}
_SOL_UDP, _UDP_SEGMENT, _SO_ZEROCOPY, _MSG_ZEROCOPY = 17, 103, 60, 0x4000000


@pytest.fixture
def net():
    with StressNet() as made:
        yield made


@contextlib.contextmanager
def datagram_ends(net):
    """A socket of the client and one of the ADC that are each other's peer."""
    with net.inside("adc"):
        taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with net.inside("client"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taker, sender:
        taker.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        taker.settimeout(5)
        taker.bind((SERVER, PORT))
        sender.connect((SERVER, PORT))
        yield sender, taker


@pytest.mark.parametrize("tunnel", [TUNNEL, EXACT], ids=["direct", "exact"])
@pytest.mark.parametrize("what", SABOTAGE)
def test_whatever_becomes_of_the_mirror(net, tunnel, what):
    """Each byte arrives, and each datagram once, while nobody repairs anything."""
    if what.startswith("bridge") and tunnel is TUNNEL:
        tunnel = encapsulated(checksum=True)
    with mirror_in(net, [tunnel], rules=[RULE, UDP_RULE]) as mirror:
        net.run("adc", SABOTAGE[what])
        big_transfer(net, UPLOAD, DOWNLOAD)
        with datagram_ends(net) as (sender, taker):
            for i in range(200):
                sender.send(i.to_bytes(2) + bytes(1000))
                assert taker.recv(2000) == i.to_bytes(2) + bytes(1000)
        source = mirror.counters().sources[RULE.id]
        assert source.seen == source.matched_packets == source.copied + source.failed > 1000


def test_a_table_without_room(net):
    """65,536 rules; one more is refused, and traffic passes."""
    with mirror_in(net) as mirror:
        rules = mirror._objects.maps["rules"]
        added = [encode_rule_key(ipv6("fd00:9::1"), port, 6) for port in range(65535)]
        for key in added:
            rules.set(key, Source(8, 1).encode())
        with pytest.raises(OSError, match="no room for more than 65536"):
            rules.set(encode_rule_key(ipv6("fd00:9::2"), 1, 6), Source(8, 1).encode())
        with stored_capture(net) as frames:
            sent = big_transfer(net, UPLOAD, DOWNLOAD)
            settled(mirror)
        up, down = Analyzer().read(frames).digests()
        assert (*up, *down) == sent
        for key in added:
            rules.delete(key)


@pytest.mark.parametrize("tunnel", [TUNNEL, EXACT, FRAGMENT], ids=["direct", "exact", "fragment"])
@pytest.mark.parametrize("size", [1400, 4000, 65507])
def test_large_datagrams(net, tunnel, size):
    """They come in fragments, each of which is copied."""
    with mirror_in(net, [tunnel], rules=[UDP_RULE]) as mirror, datagram_ends(net) as (sender, taker):
        bodies = [os.urandom(size) for _ in range(20)]
        for body in bodies:
            sender.send(body)
            assert taker.recv(1 << 17) == body
        counters = settled(mirror)
    copies = counters.tunnel("tunnel1")
    assert counters.sources[RULE.id].seen == copies.copies == 20 * -(-(size + 8) // 1480)
    assert copies.unaccounted == 0
    if tunnel is FRAGMENT or size == 1400:
        assert copies.dropped == 0


@pytest.mark.parametrize("tunnel", [TUNNEL, EXACT], ids=["direct", "exact"])
@pytest.mark.parametrize("gro_list", ["off", "on"])
@pytest.mark.parametrize("whole", [True, False], ids=["one packet", "many packets"])
def test_datagrams_of_segmentation_offload(net, tunnel, gro_list, whole):
    """What the client's kernel or device cuts into datagrams, and what the ADC's puts together again."""
    if not whole:
        net.run("client", "ethtool -K eth0 tx-udp-segmentation off")
    net.run("adc", "ethtool -K front gro on")
    net.run("adc", f"ethtool -K front rx-gro-list {gro_list}")
    body = os.urandom(40 * 1200 + 300)
    with mirror_in(net, [tunnel], rules=[UDP_RULE]) as mirror, datagram_ends(net) as (sender, taker):
        sender.setsockopt(_SOL_UDP, _UDP_SEGMENT, 1200)
        with stored_capture(net) as frames:
            for _ in range(10):
                sender.send(body)
                assert b"".join(taker.recv(2000) for _ in range(41)) == body
            counters = settled(mirror)
    analyzer = Analyzer(keep=True).read(frames)
    assert counters.sources[RULE.id].seen == 410
    assert counters.tunnel("tunnel1").sent_packets == analyzer.frames == 410
    assert counters.tunnel("tunnel1").unaccounted == 0
    found = sorted(p[28:] for p in analyzer.packets.elements())
    assert found == sorted(10 * [body[i : i + 1200] for i in range(0, len(body), 1200)])


@pytest.mark.parametrize("protocol", [1, 132], ids=["ICMP", "SCTP"])
def test_fragments_of_other_protocols(net, protocol):
    with mirror_in(net, [FRAGMENT], rules=[], ports=[EVERYTHING]) as mirror:
        with net.inside("adc"):
            taker = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
        with net.inside("client"):
            sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
        with taker, sender:
            taker.settimeout(5)
            body = b"\0" * 8 + os.urandom(4992)  # an ICMP echo reply, which nobody answers
            for _ in range(10):
                sender.sendto(body, (SERVER, 0))
                assert taker.recv(1 << 16)[20:] == body
        counters = settled(mirror)
    source = counters.sources[EVERYTHING.id]
    assert source.matched_packets >= 40
    assert counters.tunnel("tunnel1").dropped == counters.tunnel("tunnel1").not_ip  # ARP
    assert counters.tunnel("tunnel1").unaccounted == 0


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("tunnel", [TUNNEL, EXACT], ids=["direct", "exact"])
def test_packets_larger_than_any(net, family, tunnel):
    """Segmentation offload beyond 65,535 bytes (`gso_max_size`)."""
    for role, device in (("client", "eth0"), ("adc", "front")):
        with net.inside(role), Netlink() as netlink:
            sizes = {f"IFLA_{name}_MAX_SIZE": 180_000 for name in ("GSO", "GRO", "GSO_IPV4", "GRO_IPV4")}
            netlink.request(RTM_NEWLINK, 0, sizes, index=netlink.link(device).index)
    address, rule = (SERVER, RULE) if family == 4 else (SERVER6, RULE6)
    with mirror_in(net, [tunnel], rules=[rule]) as mirror, stored_capture(net) as frames:
        sent = _wide_transfer(net, address, 8_000_000)
        counters = settled(mirror)
    source, copies = counters.sources[RULE.id], counters.tunnel("tunnel1")
    assert copies.unaccounted == 0
    assert source.failed == copies.dropped == 0
    headers = (20 if family == 4 else 40) + 32
    assert 0 <= source.matched_bytes - 8_000_000 - source.matched_packets * headers < 20_000  # what is sent again
    assert Analyzer().read(frames).digests()[0] == [sent]


def test_copies_that_find_no_room(net):
    """The way to the analyzer takes a few packets at a time: copies are lost there, and nothing else is."""
    net.run("router", "ethtool -K lan gro on")  # its end of the cable is a ring of 256 packets then
    with mirror_in(net) as mirror:
        _wide_transfer(net, SERVER, 30_000_000)
        copies = settled(mirror).tunnel("tunnel1")
    assert (copies.dropped, copies.unaccounted) == (0, 0)


@pytest.mark.parametrize("tunnel", [TUNNEL, EXACT], ids=["direct", "exact"])
@pytest.mark.parametrize("payload", [0, 1, 1420])
def test_segments_with_as_many_options_as_there_can_be(net, tunnel, payload):
    flow = Ether(dst=_mac(net, "adc", "front"), src="02:00:00:00:00:01") / IP(src=CLIENT, dst=SERVER, id=7)
    options = [("NOP", None)] * 38 + [("EOL", None)] * 2
    frame = bytes(flow / TCP(sport=1024, dport=PORT, seq=5, flags="PA", options=options) / Raw(b"x" * payload))
    with mirror_in(net, [tunnel]) as mirror:
        with net.inside("client"):
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with net.inside("adc"):
            taker = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        with sender, taker, stored_capture(net) as frames:
            taker.settimeout(5)
            sender.bind(("eth0", 0))
            sender.send(frame)
            assert taker.recv(2000) == frame[14:]
            copies = settled(mirror).tunnel("tunnel1")
        analyzer = Analyzer(keep=True).read(frames)
    assert copies.dropped == copies.unaccounted == 0
    pieces = [p for p in analyzer.packets if p[20:22] == (1024).to_bytes(2)]
    assert (len(pieces), len(pieces) == 1) == (1 + copies.split, pieces == [frame[14:]])
    assert sum(len(p) - 80 for p in pieces) == payload


@pytest.mark.parametrize("how", ["zerocopy", "sendfile"])
@pytest.mark.parametrize("tunnel", [TUNNEL, EXACT], ids=["direct", "exact"])
def test_pages_that_are_the_senders(net, how, tunnel):
    """The ADC sends what stays in pages of a file or of the process; what is copied is the same bytes."""
    body = os.urandom(3_000_000)
    with net.inside("adc"):
        listener = socket.create_server((SERVER, PORT))
    listener.settimeout(10)

    def serve():
        connection, _ = listener.accept()
        with connection, tempfile.TemporaryFile() as file:
            if how == "zerocopy":
                connection.setsockopt(socket.SOL_SOCKET, _SO_ZEROCOPY, 1)
                at = 0
                while at < len(body):
                    at += connection.send(memoryview(body)[at : at + 60_000], _MSG_ZEROCOPY)
            else:
                file.write(body)
                file.flush()
                connection.sendfile(file)

    with mirror_in(net, [tunnel]) as mirror, stored_capture(net) as frames, listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with net.inside("client"):
            client = socket.create_connection((SERVER, PORT), timeout=10)
        with client:
            received = hashlib.sha256()
            while part := client.recv(1 << 17):
                received.update(part)
        thread.join()
        settled(mirror)
    assert received.hexdigest() == hashlib.sha256(body).hexdigest()
    assert Analyzer().read(frames).digests()[1] == [received.hexdigest()]


def _mac(net, role, device):
    return net.run(role, f"cat /sys/class/net/{device}/address").strip()


def _wide_transfer(net, address, size):
    """Upload with as large a window as the kernel likes; returns SHA-256."""
    family, body, digest = socket.AF_INET6 if ":" in address else socket.AF_INET, os.urandom(size), hashlib.sha256()
    with net.inside("adc"):
        listener = socket.create_server((address, PORT), family=family)
    with net.inside("client"):
        client = socket.socket(family)

    def send():
        with client:
            client.connect((address, PORT))
            client.sendall(body)

    with listener:
        thread = threading.Thread(target=send)
        thread.start()
        with listener.accept()[0] as connection:
            while part := connection.recv(1 << 18):
                digest.update(part)
        thread.join()
    assert digest.digest() == hashlib.sha256(body).digest()
    return digest.hexdigest()
