"""The mirror under load: every byte, once, in order, and counted. `HSADC_STRESS=1` makes it as much as a release wants."""

import os
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from hsadc.intent.mirror import ProfileIntent, RuleIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation
from tests.netns.mirror_net import GRE, PORT, PROFILE, RULE, SERVER, TUNNEL, encapsulated, mirror_in
from tests.netns.stress_net import FULL, SERVER6, Analyzer, StressNet, big_transfer, ipv6, settled, stored_capture
from tests.netns.stress_traffic import many_connections

pytestmark = [pytest.mark.netns, pytest.mark.timeout(1200 if FULL else 120)]

UPLOAD, DOWNLOAD = (200_000_000, 200_000_000) if FULL else (300_000, 1_000_000)
CONNECTIONS = 1000 if FULL else 200
_MEGABYTES = os.environ.get("HSADC_STRESS_MB")
if _MEGABYTES:
    UPLOAD = DOWNLOAD = int(_MEGABYTES) * 1_000_000
VXLAN = Encapsulation("vxlan", IPv4Address("10.2.0.2"), IPv4Address("10.3.0.2"), "ethernet", vni=7)
GRE6 = replace(GRE, source=ipv6("fd00:2::2"), destination=ipv6("fd00:3::2"))
ERSPAN = replace(GRE, kind="erspan", payload="ethernet", session_id=5)
RULE6 = RuleIntent(7, ipv6(SERVER6), PORT, 6, PROFILE.number)
FRAMES = TunnelIntent("ethernet0/2", "back", Encapsulation("none", payload="ethernet"))
TUNNELS = {
    "GRE": TUNNEL,
    "GRE with all options": encapsulated(payload="ethernet", key=7, sequence=True, checksum=True),
    "ERSPAN II": replace(TUNNEL, encapsulation=ERSPAN),
    "VXLAN": replace(TUNNEL, encapsulation=VXLAN),
    "GRE, fragments": replace(TUNNEL, oversize="fragment"),
    "GRE over IPv6": replace(TUNNEL, encapsulation=GRE6),
    "GRE over IPv6, fragments": replace(TUNNEL, encapsulation=replace(GRE6, payload="ethernet"), oversize="fragment"),
    "frames": FRAMES,
}
OFFLOADS = pytest.mark.parametrize("offloads", ["on", "off"])


@pytest.fixture(scope="module")
def net():
    with StressNet() as made:
        yield made


@pytest.fixture
def one_cpu():
    """One CPU for all: two that share a flow may pass each other, whoever sends it."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)


def every_byte(net, tunnel, offloads, address=SERVER, rule=RULE):
    """Transfer, and compare what left with what was sent and counted."""
    net.offloads(offloads)
    with mirror_in(net, [tunnel], [ProfileIntent(1, (tunnel.interface,))], [rule]) as mirror:
        with stored_capture(net) as frames:
            sent = big_transfer(net, UPLOAD, DOWNLOAD, address)
            counters = settled(mirror)
        analyzer = Analyzer(encapsulated=tunnel.encapsulation.kind != "none").read(frames)
    source, copies = counters.sources[rule.id], counters.tunnel(tunnel.interface)
    assert analyzer.digests() == ([sent[0]], [sent[1]])
    assert (copies.sent_packets, copies.sent_bytes) == (analyzer.frames, analyzer.payload_bytes)
    assert (copies.dropped, copies.unaccounted) == (0, 0)
    assert source.seen == source.matched_packets == source.copied == copies.copies > (UPLOAD + DOWNLOAD) // 1460
    assert (analyzer.misnumbered, analyzer.reordered) == (0, 0)


@OFFLOADS
@pytest.mark.parametrize("tunnel", TUNNELS.values(), ids=TUNNELS)
def test_every_byte(net, one_cpu, tunnel, offloads):
    every_byte(net, tunnel, offloads)


@OFFLOADS
@pytest.mark.parametrize("name", TUNNELS if FULL else ["GRE", "GRE with all options", "GRE, fragments"])
def test_every_byte_of_ipv6(net, one_cpu, name, offloads):
    every_byte(net, TUNNELS[name], offloads, SERVER6, RULE6)


def test_many_connections_at_once(net, one_cpu):
    """Each packet of each of them is copied once, as it was."""
    net.offloads("off")
    with mirror_in(net) as mirror:
        with stored_capture(net, device="front", expression="tcp", direction="inout") as original, stored_capture(net) as frames:
            sent = many_connections(net, CONNECTIONS, 10_000, mss=1400)
            counters = settled(mirror)
        analyzer = Analyzer(keep=True).read(frames)
        wire = Analyzer(encapsulated=False, keep=True).read(original)
    assert analyzer.digests() == sent
    assert analyzer.packets == wire.packets
    assert counters.tunnel("tunnel1").sent_packets == analyzer.frames == wire.frames > 20 * CONNECTIONS
    assert analyzer.reordered == 0
