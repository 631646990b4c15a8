"""What fails between the ADC and an analyzer: how soon it is noticed, what is lost meanwhile, and whether the counters say so.

[ADC] back 10.2.0.2 --- 10.2.0.1 lan [router] ... 10.3.0.2, 10.3.0.3 analyzer
      spare 10.4.0.2 --- 10.4.0.1 other
"""

import contextlib
import itertools
import time
from dataclasses import replace
from ipaddress import IPv4Address
from types import SimpleNamespace

import pytest

from hsadc.dataplane import next_hop
from hsadc.dataplane import tunnel as tunnel_module
from hsadc.intent.mirror import ProfileIntent
from hsadc.wire.receive import decapsulate, payload_of_frame
from tests.netns.mirror_net import RULE, TUNNEL, encapsulated, mirror_in, until
from tests.netns.stress_net import FULL, Analyzer, StressNet, big_transfer, settled, stored_capture
from tests.netns.stress_traffic import datagrams

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

UDP_RULE = replace(RULE, protocol=17)
ROUTED = replace(TUNNEL, egress=None)
SECOND = replace(encapsulated(destination=IPv4Address("10.3.0.3")), interface="tunnel2", egress="spare")
FAILOVER = ProfileIntent(1, ("tunnel1", "tunnel2"), distribute="failover")
ROUTE = "ip route replace 10.3.0.0/24 via 10.2.0.1"
NEW_MAC = "02:00:00:00:00:07"


@pytest.fixture
def net():
    with StressNet() as made:
        made._cable("adc", "spare", "10.4.0.2/24", "router", "other", "10.4.0.1/24")
        made.run("analyzer", "ip addr add 10.3.0.3/24 dev eth0")
        made.run("adc", "ip route add 10.3.0.3/32 via 10.4.0.1")
        made.run("adc", "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.spare.rp_filter=0")
        yield made


@pytest.fixture
def hurry(net, monkeypatch):
    """Questions for a next hop are asked sooner than they would be, unless all shall be as it will be; returns a factor."""
    if FULL:
        return 1
    net.run("adc", "sysctl -qw net.ipv4.neigh.back.retrans_time_ms=200 net.ipv4.neigh.back.delay_first_probe_time=1")
    monkeypatch.setattr(next_hop, "VERIFY_INTERVAL_S", next_hop.VERIFY_INTERVAL_S / 5)
    monkeypatch.setattr(tunnel_module, "_FRESH_NS", 3 * 10**9)
    return 1 / 5


@contextlib.contextmanager
def watched(net, mirror):
    """Traffic, and what of it arrives at the analyzer; the figures are there after the block."""
    figures = SimpleNamespace()
    with stored_capture(net, "analyzer", "eth0", "ip proto 47", "in") as frames:
        mirror.clear_counters()
        with datagrams(net) as sent:
            time.sleep(0.2)
            yield figures
            time.sleep(0.3)
        figures.counters = settled(mirror)
    source = figures.counters.sources[RULE.id]
    assert source.seen == source.matched_packets == source.copied == sent.number
    assert all(c.unaccounted == 0 for c in figures.counters.destinations.values())
    copies = [(f.time_s, decapsulate(payload_of_frame(f))) for f in frames]
    arrived = {int.from_bytes(copy.payload[28:36]) for _, copy in copies}
    assert len(arrived) == len(copies), "nothing arrives twice"
    times = [t for t, _ in copies]
    figures.silence_s = max(b - a for a, b in itertools.pairwise(times))
    figures.dropped = sum(c.dropped for c in figures.counters.destinations.values())
    figures.missing = sent.number - len(arrived)
    figures.vanished = figures.missing - figures.dropped  # counted as sent, and did not arrive
    figures.arrived_by = {str(copy.destination) for _, copy in copies[-10:]}
    assert max(arrived) == sent.number - 1, "copies arrive again at the end"


def report(what, figures, **more):
    more = "".join(f", {name} {value:.3f} s" for name, value in more.items())
    print(f"{what}: silence {figures.silence_s:.3f} s, {figures.dropped} counted as dropped, {figures.vanished} vanished{more}")


def seconds_until(condition, limit_s=25):
    start = time.monotonic()
    until(condition, limit_s)
    return time.monotonic() - start


def is_up(mirror, interface="tunnel1"):
    return mirror.tunnel_state(interface).state == "up"


def is_dropped(mirror, reason, interface="tunnel1"):
    """Whether copies are being dropped for this reason, and none is sent."""
    before = mirror.counters().tunnel(interface)
    time.sleep(0.01)
    since = mirror.counters().tunnel(interface) - before
    return getattr(since, reason) > 0 and since.sent_packets == 0


def is_sent(mirror, interface="tunnel1"):
    before = mirror.counters().tunnel(interface)
    time.sleep(0.01)
    since = mirror.counters().tunnel(interface) - before
    return since.sent_packets > 0 and since.dropped == 0


FAILURES = {
    "the far end goes down": (("router", "ip link set lan down"), ("router", "ip link set lan up"), ("link_down",)),
    "the egress goes down": (
        ("adc", "ip link set back down"),
        ("adc", f"sh -c 'ip link set back up && {ROUTE}'"),
        ("link_down", "no_route"),
    ),
    "the route goes": (("adc", "ip route del 10.3.0.0/24"), ("adc", ROUTE), ("no_route",)),
    "the route leads nowhere": (("adc", "ip route replace unreachable 10.3.0.0/24"), ("adc", f"sh -c '{ROUTE}'"), ("no_route",)),
    "the source address goes": (
        ("adc", "ip addr del 10.2.0.2/24 dev back"),
        ("adc", f"sh -c 'ip addr add 10.2.0.2/24 dev back && {ROUTE}'"),
        ("no_route",),
    ),
}


@pytest.mark.parametrize("what", FAILURES)
def test_what_can_be_seen_is_noticed_at_once(net, what):
    (role, fails), (other, heals), reasons = FAILURES[what]
    with mirror_in(net, rules=[UDP_RULE]) as mirror, watched(net, mirror) as figures:
        net.run(role, fails)
        noticed = seconds_until(lambda: any(is_dropped(mirror, reason) for reason in reasons))
        assert mirror.tunnel_state("tunnel1").state == "down"
        net.run(other, heals)
        recovered = seconds_until(lambda: is_sent(mirror))
    report(what, figures, noticed=noticed, recovered=recovered)
    drops = figures.counters.tunnel("tunnel1")
    assert figures.dropped == sum(getattr(drops, reason) for reason in (*reasons, "no_neighbour"))
    assert noticed < 2
    assert recovered < 5


@pytest.mark.parametrize("known", [True, False])
def test_a_route_that_moves(net, known):
    """To a next hop whose hardware address is known, no copy is lost; else those are until it has answered."""
    with mirror_in(net, [ROUTED], rules=[UDP_RULE]) as mirror:
        if known:
            net.run("adc", "ip neigh replace 10.4.0.1 dev spare nud none use")
            until(lambda: "REACHABLE" in net.run("adc", "ip neigh show 10.4.0.1"))
        with watched(net, mirror) as figures:
            net.run("adc", "ip route replace 10.3.0.0/24 via 10.4.0.1")
            moved = seconds_until(lambda: mirror.tunnel_state("tunnel1").egress == "spare")
            until(lambda: is_sent(mirror))
        assert is_up(mirror)
    report(f"the route moves, next hop {'known' if known else 'unknown'}", figures, noticed=moved)
    assert figures.vanished == 0
    assert figures.dropped == figures.counters.tunnel("tunnel1").no_neighbour
    assert (figures.dropped == 0) is known


def test_a_next_hop_that_tells_of_its_new_address(net):
    net.run("router", "sysctl -qw net.ipv4.conf.lan.arp_notify=1")
    with mirror_in(net, rules=[UDP_RULE]) as mirror:
        time.sleep(1.1)  # the kernel takes no other address for a second after it has learned one (locktime)
        with watched(net, mirror) as figures:
            net.run("router", f"ip link set lan address {NEW_MAC}")
            noticed = seconds_until(lambda: mirror.tunnel_state("tunnel1").mac == NEW_MAC)
    report("the next hop tells of its new address", figures, noticed=noticed)
    assert (figures.dropped, noticed < 1) == (0, True)


def test_a_next_hop_that_does_not_tell_of_its_new_address(net, hurry):
    with mirror_in(net, rules=[UDP_RULE]) as mirror, watched(net, mirror) as figures:
        net.run("router", f"ip link set lan address {NEW_MAC}")
        noticed = seconds_until(lambda: mirror.tunnel_state("tunnel1").mac == NEW_MAC)
        recovered = seconds_until(lambda: is_sent(mirror))
    report("the next hop does not tell of its new address", figures, noticed=noticed, recovered=recovered)
    assert noticed < 12 * hurry + 1  # VERIFY_INTERVAL_S, three questions of a second each, and one to all


def test_failover_when_the_link_goes_down(net):
    with mirror_in(net, [TUNNEL, SECOND], [FAILOVER], [UDP_RULE]) as mirror, watched(net, mirror) as figures:
        net.run("router", "ip link set lan down")
        noticed = seconds_until(lambda: is_sent(mirror, "tunnel2"))
    report("failover, link down", figures, noticed=noticed)
    assert figures.arrived_by == {"10.3.0.3"}
    assert noticed < 2
    assert figures.counters.tunnel("tunnel1").link_down == figures.dropped


def test_failover_when_the_next_hop_is_silent(net, hurry):
    with mirror_in(net, [TUNNEL, SECOND], [FAILOVER], [UDP_RULE]) as mirror, watched(net, mirror) as figures:
        net.run("router", "sysctl -qw net.ipv4.conf.lan.arp_ignore=8")
        net.run("router", f"ip link set lan address {NEW_MAC}")
        noticed = seconds_until(lambda: is_sent(mirror, "tunnel2"))
        net.run("router", "sysctl -qw net.ipv4.conf.lan.arp_ignore=0")
        back = seconds_until(lambda: is_sent(mirror, "tunnel1"))
    report("failover, silent next hop", figures, noticed=noticed, recovered=back)
    assert figures.arrived_by == {"10.3.0.2"}
    assert noticed < 12 * hurry + 1


@pytest.mark.parametrize("told", [True, False], ids=["told", "silently"])
def test_nobody_watches_and_the_next_hop_changes_its_address(net, hurry, told):
    """A hardware address is believed in for a while; then the kernel asks for it."""
    fresh_s = tunnel_module._FRESH_NS / 1e9
    net.run("router", f"sysctl -qw net.ipv4.conf.lan.arp_notify={int(told)}")
    # By default the kernel does not doubt for up to 45 seconds what it has learned; nobody can wait for this here.
    net.run("adc", "sysctl -qw net.ipv4.neigh.back.base_reachable_time_ms=2000")
    with mirror_in(net, rules=[UDP_RULE]) as mirror:
        time.sleep(1.1)
        mirror._watcher.stop()
        mirror._watcher = None
        mirror.refresh()
        with watched(net, mirror) as figures:
            net.run("router", f"ip link set lan address {NEW_MAC}")
            noticed = seconds_until(lambda: NEW_MAC in net.run("adc", "ip neigh show 10.2.0.1 dev back"), fresh_s + 15)
            time.sleep(max(0, fresh_s - noticed))
    report(f"nobody watches, {'told' if told else 'silently'}", figures, noticed=noticed)
    assert (figures.dropped, figures.vanished > 0) == (0, True)
    # Who does not tell is found out by the kernel, which first hopes for 5 seconds and then asks 3 times.
    assert figures.silence_s < fresh_s + (1 if told else 12 * hurry + 1)


def test_a_smaller_path_under_traffic(net):
    """No byte is lost, nor does what is larger than the path leave once it is known."""
    with mirror_in(net) as mirror, stored_capture(net) as frames:
        sent = [big_transfer(net, 100_000, 300_000)]
        net.run("adc", "ip link set back mtu 1300")
        until(lambda: mirror.tunnel_state("tunnel1").state == "degraded")
        mirror.refresh()
        marked = time.time()
        sent.append(big_transfer(net, 100_000, 300_000))
        counters = settled(mirror)
    assert counters.tunnel("tunnel1").dropped == counters.tunnel("tunnel1").unaccounted == 0
    frames = list(frames)
    assert max(len(f) for f in frames if f.time_s > marked) <= 14 + 1300
    up, down = Analyzer().read(frames).digests()
    assert (up, down) == tuple(sorted(digests) for digests in zip(*sent, strict=True))
