"""The mirror without BPF with the core that it has in use: what the analyzer decodes, and that the counters add up."""

import errno
import os
import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from scapy.layers.inet import IP

from hsadc.dataplane.portable.mirror import PortableMirror
from hsadc.intent.mirror import PortMirrorIntent, ProfileIntent, RuleIntent, TapIntent, TunnelIntent
from hsadc.wire.reassembly import Reassembler
from hsadc.wire.receive import decapsulate
from tests.netns.mirror_net import CLIENT, PORT, SERVER, Mirrored, Net, capture, transfer, until
from tests.netns.portable_net import GRE, RULE, TUNNEL, settled
from tests.netns.test_portable import offloads, recomputed, udp

pytestmark = pytest.mark.netns
BODY = os.urandom(3_000_000)
GRE6 = replace(GRE, source=IPv6Address("2001:db8:2::2"), destination=IPv6Address("2001:db8:3::2"))
PROFILES = (ProfileIntent(1, ("tunnel1",)),)
UDP_RULE = RuleIntent(7, IPv4Address(SERVER), PORT, 17, 1)


@pytest.fixture
def net():
    with Net() as made:
        for role, device, address in (
            ("adc", "back", "2001:db8:2::2"),
            ("router", "lan", "2001:db8:2::1"),
            ("router", "mon", "2001:db8:3::1"),
            ("analyzer", "eth0", "2001:db8:3::2"),
        ):
            made.run(role, f"ip addr add {address}/64 dev {device} nodad")
        made.run("router", "sysctl -qw net.ipv6.conf.all.forwarding=1")
        made.run("adc", "ip route add 2001:db8:3::/64 via 2001:db8:2::1")
        made.run("analyzer", "ip route add 2001:db8:2::/64 via 2001:db8:3::1")
        until(lambda: reaches_the_analyzer(made))  # a router asks for no neighbour while its own address is tentative
        yield made


def reaches_the_analyzer(net):
    with net.inside("adc"), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.settimeout(0.5)
        return s.connect_ex((str(GRE6.destination), 9)) == errno.ECONNREFUSED


class Live:
    """A mirror of some tunnels, profiles and sources."""

    def __init__(self, net, tunnels=(TUNNEL,), profiles=PROFILES, rules=(RULE,), mirrored=()):
        self._net, self._what, self._mirrored = net, (tunnels, profiles, rules), mirrored

    def __enter__(self):
        with self._net.inside("adc"):
            self.mirror = mirror = PortableMirror()
            mirror.start_watching()
            drivers = mirror.tunnels, mirror.profiles, mirror.rules
            for driver, intents in zip(drivers, self._what, strict=True):
                for intent in intents:
                    driver.create(intent)
            for number, device in enumerate(self._mirrored):
                mirror.port_mirrors.create(PortMirrorIntent(65536 + number, device, 1))
            for device in {"front", *self._mirrored}:
                mirror.taps.create(TapIntent(device))
            for tunnel in self._what[0]:
                until(lambda t=tunnel: mirror.tunnel_state(t.interface).state != "down")
            mirror.refresh()
        return mirror

    def __exit__(self, *_):
        self.mirror.stop()


def checked(mirror):
    """The counters, which add up."""
    counters = settled(mirror)
    for destination in counters.destinations.values():
        assert destination.unaccounted == 0
    for source in counters.sources.values():
        assert source.seen == source.loop_guard + source.filtered + source.sampled_out + source.matched_packets
    return counters


@pytest.mark.parametrize("state", ["on", "off"])
@pytest.mark.parametrize("direction", ["upload", "download"])
@pytest.mark.parametrize("mtu", [1500, 1400])
def test_full_segments_are_split_where_the_path_is_narrow(net, state, direction, mtu):
    net.run("adc", f"ip link set back mtu {mtu}")
    offloads(net, state)
    with Live(net) as mirror, capture(net) as frames:
        assert BODY in transfer(net, **{direction: BODY})
        counters, lost = checked(mirror), mirror.capture_lost()
    mirrored = Mirrored(frames)
    assert mirrored.stream(CLIENT if direction == "upload" else SERVER) == BODY
    assert max(mirrored.sizes) <= mtu - 24
    destination = counters.destinations[1, "tunnel1"]
    assert destination.sent_packets == len(frames)
    assert destination.sent_bytes == sum(mirrored.sizes)
    assert destination.split > 1000
    assert destination.dropped == 0
    assert lost == {"front": 0}


@pytest.mark.parametrize("encapsulation", [GRE, GRE6], ids=["IPv4", "IPv6"])
def test_outer_fragments(net, encapsulation):
    """The first have the identification 0, and it is that of all fragments of a packet."""
    tunnel = TunnelIntent("tunnel1", "back", encapsulation, oversize="fragment")
    with Live(net, (tunnel,), rules=(UDP_RULE,)) as mirror, capture(net, expression="ip6 proto 44 or ip proto 47") as frames:
        udp(net, 3, 1472)
        destination = checked(mirror).destinations[1, "tunnel1"]
    reassembler = Reassembler()
    whole = [packet for frame in frames if (packet := reassembler.add(frame[14:])) is not None]
    inner = [IP(decapsulate(packet).payload) for packet in whole]
    datagrams = [p for p in inner if p.proto == 17]
    assert [p.load for p in datagrams] == [i.to_bytes(4, "big") + bytes(1468) for i in range(3)]
    assert all(recomputed(p.copy()) == bytes(p) for p in datagrams)
    assert (destination.fragmented, destination.extra, destination.sent_packets) == (3, 3, len(frames))


@pytest.mark.parametrize(
    "encapsulation",
    [
        GRE6,
        replace(GRE, key=7, sequence=True, checksum=True),
        replace(GRE, payload="ethernet"),
        replace(GRE, kind="erspan", payload="ethernet", session_id=5),
        replace(GRE, kind="erspan", payload="ethernet", version=3),
        replace(GRE, kind="vxlan", payload="ethernet", vni=9),
        replace(GRE6, kind="vxlan", payload="ethernet", vni=9),
    ],
    ids=lambda e: f"{e.kind}-{e.payload}-{e.version}-{type(e.destination).__name__}",
)
def test_every_encapsulation_arrives(net, encapsulation):
    net.run("client", "ip route replace 10.1.0.0/24 dev eth0 advmss 1300")
    with Live(net, (TunnelIntent("tunnel1", "back", encapsulation),)) as mirror, capture(net, expression=WANTED) as frames:
        transfer(net, BODY[:300_000], BODY[:300_000], mss=1200)
        counters = checked(mirror)
    received = [decapsulate(frame[14:]) for frame in frames]
    assert len(received) == counters.destinations[1, "tunnel1"].sent_packets > 400
    inner = [r.payload[14:] if r.is_ethernet else r.payload for r in received]
    stream = Mirrored([])
    for packet in inner:
        stream._add(packet)
    assert stream.stream(CLIENT) == stream.stream(SERVER) == BODY[:300_000]


WANTED = "ip proto 47 or udp port 4789 or (ip6 proto 47)"


def test_a_port_mirror_of_the_device_that_copies_leave_by(net):
    with Live(net, rules=(), mirrored=("front", "back")) as mirror:
        udp(net, 20)
        counters = checked(mirror)
    assert counters.sources[65536].matched_packets >= 20
    assert counters.sources[65537].loop_guard == 0  # its own copies are not even seen
    assert counters.destinations[1, "tunnel1"].sent_packets < 80


def test_numbers_and_counters_go_on_through_a_change(net):
    tunnel = TunnelIntent("tunnel1", "back", replace(GRE, sequence=True))
    with Live(net, (tunnel,), rules=(UDP_RULE,)) as mirror, capture(net) as frames:
        udp(net, 5)
        checked(mirror)
        mirror.tunnels.change(tunnel, replace(tunnel, encapsulation=replace(tunnel.encapsulation, ttl=9)))
        udp(net, 5)
        counters = checked(mirror)
    assert counters.sources[7].matched_packets >= 10
    assert [decapsulate(frame[14:]).sequence for frame in frames] == list(range(len(frames)))
    assert {frame[22] for frame in frames} == {63, 8}


def test_what_the_kernel_refuses_is_taken_back(net):
    with Live(net, rules=(UDP_RULE,)) as mirror:
        mirror._watcher.stop()
        net.run("adc", "ip link set back mtu 1000")
        udp(net, 4, 1200)
        udp(net, 2, 100)
        destination = checked(mirror).destinations[1, "tunnel1"]
        mirror._watcher = None
    assert (destination.oversize, destination.copies) == (4, destination.sent_packets + 4)
