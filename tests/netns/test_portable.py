"""The mirror without BPF: what arrives at the analyzer is what a wire carried, every byte and checksum of it."""

import contextlib
import os
import socket
import struct
import threading
import time
from ipaddress import IPv6Address

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from hsadc.dataplane.bpf import clsact
from hsadc.dataplane.bpf.syscall import load_program
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.portable import tap as tap_module
from hsadc.errors import ApplyError
from hsadc.intent.mirror import PortMirrorIntent, ProfileIntent, RuleIntent, TapIntent
from tests.netns.mirror_net import CLIENT, PORT, SERVER, Mirrored, Net, capture, command, transfer, until
from tests.netns.portable_net import FRAMES, RULE, TUNNEL, PlainCore, portable, settled
from tests.unit.dataplane.portable.test_segment import unsummed

pytestmark = pytest.mark.netns
BODY = os.urandom(3_000_000)
BEHIND_GRE = 14 + 20 + 4


@pytest.fixture
def net():
    with Net() as made:
        for role, device in (("client", "eth0"), ("adc", "front")):
            # full segments and GRE in packets of 1500 bytes
            made.run(role, f"ip route replace 10.1.0.0/24 dev {device} advmss 1400")
        yield made


class RememberingCore(PlainCore):
    """Keeps the copied packets in the order in which it was handed them."""

    def __init__(self, wanted, before):
        super().__init__(wanted, before)
        self.seen = before.seen if before else []

    def process(self, frame, device, received, now_ns):
        out = super().process(frame, device, received, now_ns)
        self.seen += [o.data[24:] for o in out]
        return out


def offloads(net, state):
    for role, device in (("client", "eth0"), ("adc", "front")):
        net.run(role, f"ethtool -K {device} tso {state} gso {state} gro {state} tx {state}")


def core_of(mirror):
    return mirror._copier.between_packets(mirror._copier.core)


def recomputed(packet):
    """The packet with all lengths and checksums left to Scapy."""
    layer = packet
    while layer:
        for field in ("chksum", "len", "plen"):
            if field in layer.fields:
                layer.delfieldval(field)
        layer = layer.payload
    return bytes(packet)


def udp(net, number=5, size=50, port=PORT, destination=SERVER):
    """Datagrams from the client; they need no answer."""
    with net.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(number):
            s.sendto(i.to_bytes(4, "big") + bytes(size - 4), (destination, port))


@pytest.mark.parametrize("state", ["on", "off"])
@pytest.mark.parametrize("direction", ["upload", "download"])
def test_every_byte_of_a_transfer_arrives_with_right_checksums(net, state, direction):
    offloads(net, state)
    with portable(net, core=RememberingCore) as mirror, capture(net, "adc", "back") as left, capture(net) as frames:
        assert BODY in transfer(net, **{direction: BODY})
        counters, lost, core = settled(mirror), mirror.capture_lost(), core_of(mirror)
    mirrored = Mirrored(frames)
    assert mirrored.stream(CLIENT if direction == "upload" else SERVER) == BODY
    assert max(mirrored.sizes) == 1440
    assert [frame[BEHIND_GRE:] for frame in left] == core.seen
    matched, sent = counters.sources[7].matched_packets, counters.tunnel("tunnel1").sent_packets
    assert matched == sent == len(frames) > 2000
    assert lost == {"front": 0}
    assert core.counts["received"] > 10
    assert core.counts["sent by the device"] > 10


@pytest.mark.parametrize("state", ["on", "off"])
def test_ipv6(net, state):
    for role, device, host in (("client", "eth0", 1), ("adc", "front", 2)):
        net.run(role, f"ip addr add 2001:db8::{host}/64 dev {device} nodad")
        net.run(role, f"ip -6 route replace 2001:db8::/64 dev {device} metric 1 advmss 1380")
    offloads(net, state)
    rule = RuleIntent(7, IPv6Address("2001:db8::2"), PORT, 6, 1)
    with portable(net, rules=(rule,)) as mirror, capture(net) as frames:
        transfer6(net)
        counters = settled(mirror)
    packets = [IPv6(frame[BEHIND_GRE:]) for frame in frames]
    assert counters.tunnel("tunnel1").sent_packets == len(packets) > 2000
    assert all(recomputed(packet.copy()) == bytes(packet) for packet in packets)
    segments = [(p[TCP].seq, p[TCP].load) for p in packets if p.dst == "2001:db8::2" and TCP in p and p[TCP].payload]
    first = next(p[TCP].seq for p in packets if p[TCP].flags.S and not p[TCP].flags.A) + 1
    body = bytearray(len(BODY))
    for sequence, data in segments:
        at = (sequence - first) % 2**32
        body[at : at + len(data)] = data
    assert bytes(body) == BODY


IPS = pytest.mark.parametrize(
    "ip", [IP(src=CLIENT, dst=SERVER, id=9), IPv6(src="2001:db8::1", dst="2001:db8::2")], ids=["v4", "v6"]
)
ROLES = pytest.mark.parametrize(("role", "device"), [("client", "eth0"), ("adc", "front")])
BELOW = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MADE_UP = "ether host 02:00:00:00:00:01"


@IPS
@ROLES
def test_a_large_segment_with_a_vlan_tag(net, ip, role, device):
    """The tag stands beside the packet; each frame gets it."""
    big = BELOW / ip / TCP(sport=PORT, dport=1024, seq=5, flags="PA") / Raw(BODY[:10_000])
    with portable(net, tunnel=FRAMES) as mirror, capture(net, "adc", "back", MADE_UP) as frames:
        push_tag(net, role, device, 0xA007)  # by a filter that is named as ours: at its start the mirror would remove it
        send_open(net, role, device, bytes(big), 14 + len(ip), 1 if IP in big else 4, 1200)
        settled(mirror)
    packets = [Ether(frame) for frame in frames]
    assert [len(p[TCP].payload) for p in packets] == [1200] * 8 + [400]
    assert b"".join(p[TCP].load for p in packets) == BODY[:10_000]
    for packet in packets:
        assert (packet[Dot1Q].vlan, packet[Dot1Q].prio) == (7, 5)
        assert recomputed(packet.copy()) == bytes(packet)


@IPS
@ROLES
@pytest.mark.parametrize("outer", [0x8100, 0x88A8])
def test_two_vlan_tags_are_where_the_wire_has_them(net, ip, role, device, outer):
    """The kernel takes the outer one out of what comes in."""
    below = BELOW.copy()
    below.type = outer
    packet = below / Dot1Q(vlan=7, prio=5) / Dot1Q(vlan=8) / ip / TCP(sport=PORT, dport=1024) / Raw(b"hello")
    with portable(net, tunnel=FRAMES) as mirror, capture(net, "adc", "back", MADE_UP) as frames:
        send_open(net, role, device, unsummed(packet), 22 + len(ip))
        settled(mirror)
    assert frames == [bytes(packet)]


def push_tag(net, role, device, tag):
    """Give all packets that leave by a device a VLAN tag in the kernel's way."""
    code = struct.pack("=BBhi", 0xB7, 2, 0, 0x0081) + struct.pack("=BBhi", 0xB7, 3, 0, tag)  # r2 = type, r3 = tag
    code += struct.pack("=BBhi", 0x85, 0, 0, 18) + struct.pack("=BBhi", 0xB7, 0, 0, -1)  # bpf_skb_vlan_push; go on
    program = load_program("test_push", code + struct.pack("=BBhi", 0x95, 0, 0, 0), "GPL")
    with net.inside(role), Netlink() as netlink:
        clsact.attach(netlink, netlink.link(device).index, "hsadc_tap_out", program)
    os.close(program)


def send_open(net, role, device, frame, start, gso_type=0, size=0):
    """Have a device send a frame whose checksum it is to complete, and that it is to cut into packets of that size."""
    header = struct.pack("=BBHHHH", 1, gso_type, start + 20, size, start, 16)
    with net.inside(role), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        s.bind((device, 0))
        s.send(header + frame)


def transfer6(net):
    with net.inside("adc"):
        listener = socket.create_server(("2001:db8::2", PORT), family=socket.AF_INET6)
    with net.inside("client"):
        client = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)

    def serve():
        connection, _ = listener.accept()
        with connection:
            while connection.recv(1 << 16):
                pass

    thread = threading.Thread(target=serve)
    with listener, client:
        thread.start()
        client.connect(("2001:db8::2", PORT))
        client.sendall(BODY)
        client.shutdown(socket.SHUT_WR)
        thread.join()


def test_datagrams_of_segmentation_offload_are_cut_apart(net):
    with portable(net) as mirror, capture(net) as frames:
        with net.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
            s.connect((SERVER, PORT))
            s.send(BODY[:10_500])
        settled(mirror)
    packets = [IP(frame[BEHIND_GRE:]) for frame in frames]
    packets = [p for p in packets if p.proto == 17]
    assert [len(p) for p in packets] == [1028] * 10 + [528]
    assert b"".join(bytes(p.load) for p in packets) == BODY[:10_500]
    assert all(recomputed(p.copy()) == bytes(p) for p in packets)


def test_large_segments_that_nobody_wants_are_not_cut(net):
    with portable(net) as mirror:
        transfer(net, upload=BODY, port=PORT + 1)
        frames = settled(mirror).sources[7].seen
    assert frames < 1000  # of more than 2000 on the wire


def test_what_does_not_fit_the_device_is_oversize(net):
    """The core cuts by the path's MTU; should the device's have become smaller than that, the kernel refuses."""
    with portable(net) as mirror:
        udp(net, 3, 1200)
        assert settled(mirror).tunnel("tunnel1").sent_packets == 3
        with net.inside("adc"):
            mirror._watcher.stop()  # it would see the change at once
        net.run("adc", "ip link set back mtu 1200")
        udp(net, 2, 1300)
        udp(net, 1, 100)
        counters = settled(mirror).tunnel("tunnel1")
        mirror._watcher = None
    assert (counters.sent_packets, counters.oversize) == (4, 2)


def test_the_path_s_mtu_is_told(net):
    net.run("adc", "ip link set back mtu 1400")
    with portable(net) as mirror:
        state = mirror.tunnel_state("tunnel1")
        assert (state.state, state.mtu_bytes, state.egress) == ("degraded", 1400, "back")
        assert core_of(mirror).wanted.paths["tunnel1"].mtu_bytes == 1400
        net.run("adc", "ip link set back mtu 1500")
        until(lambda: core_of(mirror).wanted.paths["tunnel1"].mtu_bytes == 1500)


def test_its_own_copies_are_not_copied(net):
    """The device that copies leave by is mirrored, too, and the core has no guard of its own."""
    with (
        portable(net, mirrored=("front", "back"), taps=("front", "back")) as mirror,
        capture(net, expression="ip proto 47 and len > 500") as frames,
    ):
        udp(net, 20, 600)
        counters = settled(mirror)
    copies = [frame for frame in frames if IP(frame[BEHIND_GRE:]).proto == 17]
    assert len(copies) == 20
    assert counters.tunnel("tunnel1").sent_packets < 60  # ARP and the like come in addition


class SlowCore(PlainCore):
    def process(self, frame, device, received, now_ns):
        time.sleep(0.0005)
        return super().process(frame, device, received, now_ns)


def test_what_comes_faster_than_it_can_be_copied_is_counted_as_lost(net, monkeypatch):
    monkeypatch.setattr(tap_module, "BLOCKS", 16)
    monkeypatch.setattr(tap_module.Tap.__init__, "__defaults__", (16,))
    number = 12_000
    with net.inside("adc"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        receiver.bind((SERVER, PORT))
        with portable(net, core=SlowCore) as mirror:
            for _ in range(number // 500):
                udp(net, 500, 900)
                time.sleep(0.01)
            counters, lost = settled(mirror), mirror.capture_lost()["front"]
            mirror.clear_counters()
            assert mirror.capture_lost() == {"front": 0}
            assert mirror.counters().sources[7].seen == 0
        receiver.setblocking(False)
        arrived = 0
        with contextlib.suppress(BlockingIOError):
            while receiver.recv(2000):
                arrived += 1
    assert arrived == number  # the traffic itself
    assert lost > 1000
    assert counters.sources[7].matched_packets == counters.tunnel("tunnel1").sent_packets
    assert 0 <= counters.sources[7].matched_packets + lost - number < 50  # ARP and the like may be lost, too


def test_a_next_hop_that_does_not_answer_is_no_neighbour(net):
    net.run("router", "ip link set lan arp off")
    with portable(net, wait=False) as mirror:
        until(lambda: "does not answer" in mirror.tunnel_state("tunnel1").reason)
        udp(net)
        counters = settled(mirror).tunnel("tunnel1")
        assert (counters.sent_packets, counters.no_neighbour) == (0, 5)
        net.run("router", "ip link set lan arp on")
        until(lambda: mirror.tunnel_state("tunnel1").state == "up")
        until(lambda: core_of(mirror).wanted.paths["tunnel1"].state == "up")
        with capture(net) as frames:
            udp(net)
            assert settled(mirror).tunnel("tunnel1").sent_packets == 5
    assert len(frames) == 5


def test_a_next_hop_with_another_address_gets_the_packets(net):
    with portable(net) as mirror, capture(net) as frames:
        udp(net)
        settled(mirror)
        net.run("router", "ip link set lan address 02:00:00:00:00:77")
        net.run("adc", "ip neigh flush dev back")
        until(lambda: mirror.tunnel_state("tunnel1").mac == "02:00:00:00:00:77")
        until(lambda: [way.mac.hex() for way in mirror._copier.ways().values()] == ["020000000077"])
        udp(net)
        settled(mirror)
    assert len(frames) == 10


def test_without_a_route_nothing_is_sent(net):
    with portable(net) as mirror:
        net.run("adc", "ip route del 10.3.0.0/24")
        until(lambda: core_of(mirror).wanted.paths["tunnel1"].state == "no_route")
        udp(net)
        counters = settled(mirror).tunnel("tunnel1")
        assert mirror._copier.ways() == {}
    assert (counters.sent_packets, counters.no_route) == (0, 5)


def test_frames_leave_as_they_are_until_the_device_is_down(net):
    with portable(net, tunnel=FRAMES) as mirror, capture(net, "router", "lan", f"udp port {PORT}") as frames:
        udp(net)
        assert settled(mirror).tunnel("tunnel1").sent_packets == 5
        assert mirror.tunnel_state("ethernet0/2").next_hop is None
        net.run("adc", "ip link set back down")
        until(lambda: core_of(mirror).wanted.paths["ethernet0/2"].state == "link_down")
        udp(net)
        assert settled(mirror).tunnel("tunnel1").link_down == 5
        assert mirror.tunnel_state("ethernet0/2").reason == "back is down"
    assert len(frames) == 5
    mac = net.run("adc", "cat /sys/class/net/front/address").strip()
    assert {Ether(frame).dst for frame in frames} == {mac}


def test_a_change_takes_effect_with_the_next_packet(net):
    with portable(net) as mirror, capture(net) as frames:
        udp(net, 3)
        settled(mirror)
        mirror.rules.delete(RULE)
        udp(net, 3)
        settled(mirror)
        mirror.rules.create(RuleIntent(7, RULE.address, PORT + 1, 17, 1))
        udp(net, 3, port=PORT + 1)
        settled(mirror)
        mirror.taps.delete(TapIntent("front"))
        udp(net, 3, port=PORT + 1)
        settled(mirror)
        mirror.tunnels.delete(TUNNEL)
    ports = [IP(frame[BEHIND_GRE:]).dport for frame in frames if IP(frame[BEHIND_GRE:]).proto == 17]
    assert ports == [PORT] * 3 + [PORT + 1] * 3


def test_a_device_that_is_made_again_is_tapped_again(net):
    with portable(net) as mirror:
        tap = TapIntent("front")
        assert mirror.taps.observe({"front": tap}) == {"front": tap}
        name = net.names["adc"]
        command(f"ip -n {name} link del front")
        assert mirror.taps.observe({"front": tap}) == {}
        assert mirror.taps.observe({}) == {"front": tap}
        with pytest.raises(ApplyError, match="tap front: the device does not exist"):
            mirror.taps.create(tap)
        command(f"ip -n {name} link add front type veth peer name eth0 netns {net.names['client']}")
        for role, device, address in (("client", "eth0", CLIENT), ("adc", "front", SERVER)):
            command(f"ip -n {net.names[role]} addr add {address}/24 dev {device}")
            command(f"ip -n {net.names[role]} link set {device} up")
        mirror.taps.create(tap)
        assert mirror.taps.observe({"front": tap}) == {"front": tap}
        udp(net)
        assert settled(mirror).sources[7].matched_packets == 5


def test_a_device_that_goes_down_and_up_is_seen_again(net):
    with portable(net) as mirror:
        net.run("adc", "ip link set front down")
        net.run("adc", "ip link set front up")
        udp(net)
        assert settled(mirror).sources[7].matched_packets == 5


class FragileCore(PlainCore):
    def process(self, frame, device, received, now_ns):
        if bytes(4 * [9]) in frame:
            raise IndexError("a packet that nobody thought of")
        return super().process(frame, device, received, now_ns)


def test_a_packet_that_cannot_be_dealt_with_is_lost_alone(net, caplog):
    with net.inside("adc"):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, portable(net, core=FragileCore) as mirror:
        receiver.bind((SERVER, PORT))  # an ICMP error would quote the packet
        with net.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for first in (1, 9, 2):
                s.sendto(bytes(20 * [first]), (SERVER, PORT))
        assert settled(mirror).sources[7].matched_packets == 2
        assert mirror.capture_lost() == {"front": 1}
    assert "a packet could not be copied" in caplog.text


def test_a_reference_to_nothing_is_refused(net):
    with portable(net, rules=()) as mirror:
        for driver, intent, name in (
            (mirror.rules, RuleIntent(1, RULE.address, 1, 6, 99), "mirror profile 99"),
            (mirror.port_mirrors, PortMirrorIntent(65536, "front", 99), "mirror profile 99"),
            (mirror.port_mirrors, PortMirrorIntent(65536, "front", 1, 5), "access-list 5"),
            (mirror.profiles, ProfileIntent(2, ("tunnel9",)), "tunnel9"),
            (mirror.profiles, ProfileIntent(2, ("tunnel1",), access_list=6), "access-list 6"),
        ):
            with pytest.raises(ApplyError, match=f"{name} does not exist"):
                driver.create(intent)
            assert intent.key not in driver


def test_nothing_is_left_open(net):
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    with portable(net) as mirror:
        udp(net)
        settled(mirror)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
