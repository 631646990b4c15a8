"""Live traffic through the mirror: what the analyzer captures, and what the counters say of it."""

import itertools
import os
import socket
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.mirror_counters import DROPS
from hsadc.dataplane.reconcile import Outcome
from hsadc.intent.mirror import TapIntent
from tests.netns.mirror_net import (
    CLIENT,
    PORT,
    RULE,
    SERVER,
    TUNNEL,
    Mirrored,
    Net,
    bring,
    capture,
    encapsulated,
    mirror_in,
    transfer,
    until,
)

pytestmark = pytest.mark.netns

UP, DOWN = os.urandom(300_000), os.urandom(1_000_000)


@pytest.fixture
def net():
    with Net() as made:
        yield made


@pytest.fixture
def one_cpu():
    """One CPU for all: two that share a flow may pass each other, whoever sends it."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)


def counted(mirror):
    """The counters of the virtual server and of the tunnel."""
    counters = mirror.counters()
    return counters.sources[RULE.id], counters.tunnel("tunnel1")


def watched_transfer(net, mirror, **options):
    """Transfer with a capture; every copy that was counted as sent is there, and no other."""
    with capture(net) as frames:
        mirror.clear_counters()
        assert transfer(net, UP, DOWN, **options) == (UP, DOWN)
    seen, (rule, tunnel) = Mirrored(frames), counted(mirror)
    assert (tunnel.sent_packets, tunnel.sent_bytes) == (len(seen.inner), sum(seen.sizes))
    assert [getattr(tunnel, reason) for reason in DROPS] == [0] * len(DROPS)
    assert (tunnel.copies, tunnel.unaccounted) == (rule.copied, 0)
    assert (rule.failed, rule.copied, rule.seen) == (0, rule.matched_packets, rule.matched_packets)
    assert max(seen.sizes) <= 1476
    assert seen.stream(CLIENT) == UP
    assert seen.stream(SERVER) == DOWN
    return seen, rule, tunnel


def test_every_byte_with_segmentation_offload(net):
    with mirror_in(net) as mirror:
        _, _, tunnel = watched_transfer(net, mirror)
        assert tunnel.split < 5  # what ends a burst may be a lone segment


def test_a_clamped_connection_is_copied_packet_for_packet(net):
    with mirror_in(net) as mirror:
        seen, rule, tunnel = watched_transfer(net, mirror, mss=1400)
        assert (rule.matched_packets, rule.matched_bytes) == (tunnel.sent_packets, tunnel.sent_bytes)
        assert len(set(seen.outer_ids)) == len(seen.inner)


@pytest.mark.parametrize("checksum_offload", ["on", "off"])
def test_lone_segments_larger_than_the_path_are_split(net, one_cpu, checksum_offload):
    net.run("client", f"ethtool -K eth0 tso off gso off tx {checksum_offload}")
    net.run("adc", f"ethtool -K front tso off gso off gro off tx {checksum_offload}")
    with mirror_in(net) as mirror:
        seen, rule, tunnel = watched_transfer(net, mirror)
        assert tunnel.split >= len(UP) // 1448 - 5
        assert tunnel.sent_packets >= rule.matched_packets + tunnel.split
        assert seen.reordered == 0


def test_pieces_are_what_segmentation_would_have_made(net):
    net.run("client", "ethtool -K eth0 tso off gso off")
    net.run("adc", "ethtool -K front gro off")
    with mirror_in(net), capture(net) as frames, capture(net, "adc", "front", "tcp") as original:
        transfer(net, UP[:1448])
    (whole,) = [f[14:] for f in original if len(f) == 1514]
    first, last = [p for p in Mirrored(frames).inner if 700 < len(p) < 800]
    assert first[52:] + last[52:] == whole[52:]
    assert int.from_bytes(last[4:6]) == (int.from_bytes(whole[4:6]) + 1) % 65536
    assert first[4:6] == whole[4:6]
    assert first[20:24] + first[28:33] == whole[20:24] + whole[28:33] == last[20:24] + last[28:33]
    assert first[40:52] == whole[40:52] == last[40:52]
    assert whole[33] & 8
    assert (first[33], last[33]) == (whole[33] & ~8, whole[33])


@pytest.mark.parametrize("offload", ["on", "off"])
def test_jumbo_frames_reach_an_analyzer_behind_a_smaller_path(net, offload):
    for role, port in (("client", "eth0"), ("adc", "front")):
        net.run(role, f"ip link set {port} mtu 9000")
        net.run(role, f"ethtool -K {port} tso {offload} gso {offload} gro off")
    with mirror_in(net) as mirror:
        _, _, tunnel = watched_transfer(net, mirror)
        if offload == "on":
            assert tunnel.split < 5  # what ends a burst may be a lone segment
        else:
            assert tunnel.split > 25


def test_key(net):
    with mirror_in(net, [encapsulated(key=0)]):
        with capture(net) as frames:
            assert transfer(net, UP, DOWN) == (UP, DOWN)
        assert Mirrored(frames, key=0).stream(SERVER) == DOWN


def test_only_the_rule_is_copied_and_no_copy_is_copied_again(net):
    back = TapIntent("back")
    with mirror_in(net) as mirror:
        mirror.taps.create(back)
        try:
            with capture(net) as frames, capture(net, "adc", "back") as sent:
                transfer(net, UP, DOWN, port=9999)
                assert mirror.counters().sources[RULE.id].matched_packets == 0
                transfer(net, UP, DOWN)
            assert Mirrored(frames).stream(CLIENT) == UP
            assert len(sent) <= len(frames) == mirror.counters().tunnel("tunnel1").sent_packets
        finally:
            mirror.taps.delete(back)


def test_the_analyzers_own_traffic_is_not_sent_to_it(net):
    net.run("adc", "ip route replace 10.3.0.0/24 via 10.2.0.1")
    with mirror_in(net, taps=[TapIntent("back")], rules=[replace(RULE, address=IPv4Address("10.2.0.2"))]) as mirror:
        with net.inside("adc"):
            listener = socket.create_server(("10.2.0.2", PORT))
        with net.inside("analyzer"):
            client = socket.create_connection(("10.2.0.2", PORT), timeout=10)
        with listener, client, listener.accept()[0]:
            rule, tunnel = counted(mirror)
            assert tunnel.loop_guard == rule.matched_packets > 0
            assert tunnel.sent_packets == 0


def test_without_a_route_production_goes_on_and_copies_are_counted(net):
    net.run("adc", "ip route del 10.3.0.0/24")
    with mirror_in(net, wait=False) as mirror:
        state = mirror.tunnel_state("tunnel1")
        assert (state.state, state.reason, state.egress) == ("down", "no route to 10.3.0.2 by back", None)
        assert transfer(net, UP, DOWN) == (UP, DOWN)
        rule, tunnel = counted(mirror)
        assert tunnel.sent_packets == 0
        assert tunnel.no_route == rule.matched_packets == rule.copied > 100
        net.run("adc", "ip route add 10.3.0.0/24 via 10.2.0.1")
        until(lambda: mirror.tunnel_state("tunnel1").state == "up")
        until(lambda: _probe_copy(net, mirror))
        watched_transfer(net, mirror)


def _probe_copy(net, mirror):
    """The watcher has written what the state says: a copy goes out."""
    transfer(net, b"?")
    return mirror.counters().tunnel("tunnel1").sent_packets > 0


def test_a_next_hop_that_does_not_answer(net):
    net.run("adc", "ip route replace 10.3.0.0/24 via 10.2.0.77")
    with mirror_in(net, wait=False) as mirror:
        assert mirror.tunnel_state("tunnel1").state == "down"
        assert transfer(net, UP, DOWN) == (UP, DOWN)
        rule, tunnel = counted(mirror)
        assert (tunnel.sent_packets, tunnel.no_neighbour) == (0, rule.matched_packets)
        until(lambda: "does not answer" in mirror.tunnel_state("tunnel1").reason)
        net.run("router", "ip addr add 10.2.0.77/24 dev lan")  # the hop comes to life: nobody tells, it must be asked again
        until(lambda: mirror.tunnel_state("tunnel1").state == "up")
        assert mirror.tunnel_state("tunnel1").next_hop == IPv4Address("10.2.0.77")
        until(lambda: _probe_copy(net, mirror))
        watched_transfer(net, mirror)


def test_a_next_hop_that_is_asked_in_vain(net):
    """The kernel asks for seconds; who looks meanwhile is told that there was no answer so far."""
    net.run("adc", "ip route replace 10.3.0.0/24 via 10.2.0.77")
    with net.inside("adc"):
        mirror = Mirror()  # nobody watches, so the neighbour is asked for once
        mirror.tunnels.create(TUNNEL)
        assert "is being asked for" in mirror.tunnel_state("tunnel1").reason
        until(lambda: "does not answer" in mirror.tunnel_state("tunnel1").reason)
        assert "INCOMPLETE" in net.run("adc", "ip neigh show 10.2.0.77")
        until(lambda: "FAILED" in net.run("adc", "ip neigh show 10.2.0.77"))
        assert "does not answer" in mirror.tunnel_state("tunnel1").reason
        mirror.tunnels.delete(TUNNEL)
        mirror.stop()


def test_a_next_hop_that_dies(net):
    with mirror_in(net) as mirror:
        net.run("router", "ip link set lan arp off")
        net.run("adc", "ip neigh replace 10.2.0.1 dev back nud failed")
        until(lambda: mirror.tunnel_state("tunnel1").state == "down")
        until(lambda: _lost_copy(net, mirror))
        before = mirror.counters().tunnel("tunnel1")
        assert transfer(net, UP, DOWN) == (UP, DOWN)
        after = mirror.counters().tunnel("tunnel1")
        assert after.sent_packets == before.sent_packets
        assert after.no_neighbour > before.no_neighbour + 100


def _lost_copy(net, mirror):
    transfer(net, b"?")
    return mirror.counters().tunnel("tunnel1").no_neighbour > 0


def test_a_source_that_is_not_ours(net):
    with mirror_in(net, [encapsulated(source=IPv4Address("10.9.9.9"))], wait=False) as mirror:
        assert mirror.tunnel_state("tunnel1").reason == "source 10.9.9.9 is not an address of this machine"


@pytest.mark.parametrize(
    ("destination", "why"), [("10.2.0.2", "not the address of another machine"), ("8.8.8.8", "no route to 8.8.8.8")]
)
def test_a_destination_that_leads_nowhere(net, destination, why):
    tunnel = replace(encapsulated(destination=IPv4Address(destination)), egress=None)
    with mirror_in(net, [tunnel], wait=False) as mirror:
        assert why in mirror.tunnel_state("tunnel1").reason


def test_an_egress_that_comes_later(net):
    late = replace(encapsulated(source=IPv4Address("10.8.0.2"), destination=IPv4Address("10.8.0.1")), egress="late")
    with mirror_in(net, [late], wait=False) as mirror:
        assert mirror.tunnel_state("tunnel1").reason == "device late does not exist"
        net._cable("adc", "late", "10.8.0.2/24", "router", "late", "10.8.0.1/24")
        until(lambda: mirror.tunnel_state("tunnel1").state == "up")
        assert mirror.tunnels.observe({}) == {"tunnel1": late}


def test_the_routing_table_chooses_and_the_path_is_smaller(net):
    net.run("adc", "ip route replace 10.3.0.0/24 via 10.2.0.1 mtu lock 1400")
    with mirror_in(net, [replace(TUNNEL, egress=None)]) as mirror:
        state = mirror.tunnel_state("tunnel1")
        assert (state.state, state.egress, state.mtu_bytes) == ("degraded", "back", 1400)
        assert state.reason == "back takes packets of 1400 bytes, not 1500"
        seen, _, tunnel = watched_transfer(net, mirror)
        assert max(seen.sizes) == 1376
        assert tunnel.sent_packets > 900


def test_the_helper_is_deleted_under_traffic(net):
    with mirror_in(net) as mirror:
        net.run("adc", "ip link del hsadc-tun1")
        assert transfer(net, UP, DOWN) == (UP, DOWN)
        rule = mirror.counters().sources[RULE.id]
        assert (rule.copied, rule.failed) == (0, rule.matched_packets)
        assert bring(mirror) == Outcome(created=1, changed=1)  # the tunnel, and the profile that leads to it
        assert bring(mirror) == Outcome()
        until(lambda: mirror.tunnel_state("tunnel1").state == "up")
        until(lambda: _probe_copy(net, mirror))
        watched_transfer(net, mirror)


def test_a_tunnel_is_changed_under_traffic(net):
    keyed = encapsulated(key=5)
    with mirror_in(net) as mirror:
        transfer(net, UP)
        before = mirror.counters().tunnel("tunnel1").sent_packets
        mirror.tunnels.change(TUNNEL, keyed)
        assert mirror.tunnels.observe({}) == {"tunnel1": keyed}
        with capture(net) as frames:
            transfer(net, UP, DOWN)
        assert mirror.counters().tunnel("tunnel1").sent_packets == before + len(Mirrored(frames, key=5).inner)


def test_a_virtual_server_moves_to_another_port(net):
    """As a transaction does it: what comes is made before what goes is removed, and both count under one number."""
    moved = replace(RULE, port=PORT + 1)
    with mirror_in(net) as mirror:
        transfer(net, UP)
        before = mirror.counters().sources[RULE.id]
        mirror.rules.create(moved)
        mirror.rules.delete(RULE)
        mirror.rules.prepare({moved.key: moved})
        assert mirror.counters().sources[RULE.id] == before
        transfer(net, UP, port=moved.port)
        after = mirror.counters().sources[RULE.id]
        assert after.copied - before.copied > 100
        mirror.rules.delete(moved)


def test_two_rules_swap_their_numbers(net):
    other = replace(RULE, id=8, port=PORT + 1)
    swapped, other_swapped = replace(RULE, id=8), replace(other, id=7)
    with mirror_in(net) as mirror:
        mirror.rules.create(other)
        mirror.rules.change(RULE, swapped)
        mirror.rules.change(other, other_swapped)
        mirror.clear_counters()
        transfer(net, UP)
        counters = mirror.counters().sources
        assert counters[8].copied > 100
        assert counters[7].copied == 0
        mirror.rules.delete(other_swapped)
        mirror.rules.prepare({})
        assert set(mirror.counters().sources) == {8}


def test_a_rule_of_another_protocol_drops_what_cannot_be_split(net):
    rule = replace(RULE, protocol=17)
    with mirror_in(net, rules=[rule]) as mirror:
        with net.inside("client"):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender, capture(net) as frames:
            for size in itertools.chain([100, 1448], [1449, 1472]):  # 1448 + 8 + 20 + 24 = 1500
                sender.sendto(bytes(size), (SERVER, PORT))
        tunnel = mirror.counters().tunnel("tunnel1")
        assert (tunnel.sent_packets, tunnel.oversize, len(frames)) == (2, 2, 2)


def test_the_fragments_of_a_datagram_are_copied(net):
    net.run("client", "ip link set eth0 mtu 1400")
    with mirror_in(net, rules=[replace(RULE, protocol=17)]) as mirror:
        with net.inside("client"):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender, capture(net) as frames, capture(net, "adc", "front", "udp or ip[6:2] & 0x1fff != 0") as original:
            sender.sendto(os.urandom(4000), (SERVER, PORT))
        rule, tunnel = counted(mirror)
        assert (rule.matched_packets, tunnel.sent_packets, tunnel.oversize) == (3, 3, 0)
    assert [frame[14 + 24 :] for frame in frames] == [frame[14:] for frame in original]
