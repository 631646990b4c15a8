"""Copies that could make copies: the mirror of the very interface that copies leave by, boxes that mirror into each other, and
errors that quote copies. However it is cabled, there are no more copies than there was traffic.
"""

import contextlib
import time
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from hsadc.dataplane.mirror import Mirror
from hsadc.intent.mirror import PortMirrorIntent, ProfileIntent, TapIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation
from tests.netns.mirror_net import bring, encapsulated, remove, until
from tests.netns.stress_net import StressNet
from tests.netns.stress_traffic import datagrams

pytestmark = pytest.mark.netns

ADDRESS = {"adc": "10.2.0.2", "router": "10.3.0.1", "analyzer": "10.3.0.2"}
DEVICES = {"adc": ("front", "back"), "router": ("lan", "mon"), "analyzer": ("eth0",)}
PROFILE = ProfileIntent(1, ("tunnel1",))
QUIET = 40
"""Packets that a second of nothing may have: ARP and what the family IPv6 says of itself, on all devices."""


@pytest.fixture
def net():
    with StressNet() as made:
        made.run("analyzer", "nft delete table ip t")  # it answers what it does not understand
        made.run("analyzer", "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000")
        made.run("router", "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000")
        yield made


def between(source, destination, kind="gre", port=4789):
    """A tunnel from one box to another."""
    ends = IPv4Address(ADDRESS[source]), IPv4Address(ADDRESS.get(destination, destination))
    return TunnelIntent("tunnel1", None, Encapsulation(kind, *ends, "ethernet", port=port))


@contextlib.contextmanager
def everything(net, role, tunnel):
    """All devices of a box mirrored, each in both directions."""
    ports = [PortMirrorIntent(65536 + i, device, 1) for i, device in enumerate(DEVICES[role])]
    with net.inside(role):
        mirror = Mirror()
        mirror.start_watching()
        try:
            bring(mirror, [tunnel], [PROFILE], [], [TapIntent(device) for device in DEVICES[role]], ports)
            yield mirror
        finally:
            remove(mirror)
            mirror.stop()


@contextlib.contextmanager
def boxes(net, *tunnels):
    """Boxes by role that mirror all they see, each into its tunnel, which are up."""
    with contextlib.ExitStack() as stack:
        mirrors = [stack.enter_context(everything(net, role, tunnel)) for role, tunnel in tunnels]
        for mirror in mirrors:
            until(lambda m=mirror: m.tunnel_state("tunnel1").state == "up")
        yield mirrors


def total(mirrors):
    """Copies of all boxes, and packets that they did not copy lest they go round."""
    counters = [m.counters() for m in mirrors]
    copies = [c.tunnel("tunnel1") for c in counters]
    assert all(c.unaccounted == 0 for c in copies)
    guarded = sum(s.loop_guard for c in counters for s in c.sources.values())
    return sum(c.copies for c in copies), guarded


def bounded(net, mirrors, passes):
    """Traffic for a moment; returns datagrams, copies and packets that the guards held. In the end all is quiet.

    Args:
        passes: devices that a datagram, or an answer to it, passes in the boxes.
    """
    for mirror in mirrors:
        mirror.clear_counters()
    with datagrams(net) as sent:
        time.sleep(0.3)
    time.sleep(0.5)
    copies, guarded = total(mirrors)
    assert sent.number > 100
    assert sent.number * passes <= copies <= sent.number * passes + 3 * QUIET
    time.sleep(1)
    later, _ = total(mirrors)
    assert later - copies < QUIET
    print(f"{sent.number} datagrams, {copies} copies, {guarded} guarded")
    return sent.number, guarded


@pytest.mark.parametrize("kind", ["gre", "erspan", "vxlan"])
def test_the_interface_that_copies_leave_by(net, kind):
    """The analyzer answers each copy with an error that quotes it (GRE: protocol, VXLAN: port unreachable)."""
    with boxes(net, ("adc", between("adc", "analyzer", kind))) as mirrors:
        number, guarded = bounded(net, mirrors, 1)
        assert guarded > number / 10  # the answers, as many as it gives; copies that leave bear a mark, and are not looked at


@pytest.mark.parametrize("kind", ["gre", "erspan", "vxlan"])
def test_two_boxes_that_mirror_into_each_other(net, kind):
    there, back = between("adc", "analyzer", kind), between("analyzer", "adc", kind)
    with boxes(net, ("adc", there), ("analyzer", back)) as mirrors:
        number, guarded = bounded(net, mirrors, 1)
        assert guarded >= number


@pytest.mark.parametrize("kind", ["gre", "erspan", "vxlan"])
def test_a_ring_of_three(net, kind):
    ring = ("adc", "analyzer", "router")
    tunnels = [(role, between(role, to, kind)) for role, to in zip(ring, (*ring[1:], ring[0]), strict=True)]
    with boxes(net, *tunnels) as mirrors:
        number, guarded = bounded(net, mirrors, 1)
        assert guarded >= 2 * number


def test_two_boxes_with_ports_of_their_own(net):
    there, back = between("adc", "analyzer", "vxlan", 5001), between("analyzer", "adc", "vxlan", 5002)
    with boxes(net, ("adc", there), ("analyzer", back)) as mirrors:
        bounded(net, mirrors, 1)


def test_a_ring_of_three_with_ports_of_their_own(net):
    """Nobody knows the next one's port for one of VXLAN, nor the sender for an analyzer: a copy goes round, and grows each time
    until it does not fit."""
    ring = ("adc", "analyzer", "router")
    tunnels = [(r, between(r, to, "vxlan", 5001 + i)) for i, (r, to) in enumerate(zip(ring, (*ring[1:], ring[0]), strict=True))]
    with boxes(net, *tunnels) as mirrors:
        with datagrams(net) as sent:
            time.sleep(0.01)
        time.sleep(1)
        copies, _ = total(mirrors)
        time.sleep(1)
        later, _ = total(mirrors)
    print(f"{sent.number} datagrams, {copies} copies")
    assert copies < 40 * (sent.number + QUIET)
    assert later - copies < 40 * QUIET


def test_a_router_that_says_a_copy_does_not_fit(net):
    net.run("router", "ip link set mon mtu 600")
    tunnel = replace(encapsulated(payload="ethernet", dont_fragment=True), egress=None)
    with boxes(net, ("adc", tunnel)) as mirrors:
        mirrors[0].clear_counters()
        with datagrams(net, size=1000) as sent:
            time.sleep(0.3)
        time.sleep(0.5)
        copies, guarded = total(mirrors)
    assert guarded >= sent.number > 100
    assert copies <= sent.number + 3 * QUIET


def test_a_router_that_says_the_analyzer_is_not_there(net):
    with boxes(net, ("adc", between("adc", "10.3.0.77"))) as mirrors:
        mirrors[0].clear_counters()
        with datagrams(net) as sent:
            time.sleep(2)
        time.sleep(2)
        copies, guarded = total(mirrors)
    assert guarded > 0
    assert sent.number <= copies <= sent.number + 6 * QUIET


@pytest.mark.parametrize("watching", [True, False])
def test_a_next_hop_that_vanished_is_asked_for_no_more_often(net, watching):
    """Each question for it is a packet of the mirrored interface, whose copy needs it."""
    with boxes(net, ("adc", between("adc", "analyzer"))) as mirrors:
        (mirror,) = mirrors
        net.run("router", "sysctl -qw net.ipv4.conf.lan.arp_ignore=8")
        if not watching:
            mirror._watcher.stop()
            mirror._watcher = None
            helper = next(iter(mirror._objects.maps["tunnels"].keys()))
            record = mirror._objects.maps["tunnels"].get(helper)
            mirror._objects.maps["tunnels"].set(helper, record[:-8] + bytes(8))  # fresh_ns: the kernel resolves it
        net.run("adc", "ip neigh del 10.2.0.1 dev back")
        mirror.clear_counters()
        with datagrams(net) as sent:
            time.sleep(4)
        time.sleep(0.5)
        copies, _ = total(mirrors)
        counters = mirror.counters()
    back = counters.sources[65537]
    print(f"{sent.number} datagrams, {copies} copies, {back.seen} packets on back, {back.loop_guard} of them guarded")
    assert back.seen < 5 * QUIET
    assert copies <= sent.number + 5 * QUIET
    if watching:
        assert counters.tunnel("tunnel1").no_neighbour > 0
