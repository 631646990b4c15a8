"""Probes: what `test mirror ... send` puts into a helper device arrives at the analyzer in the tunnel's encapsulation."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from hsadc.dataplane.mirror_counters import DestinationCounters
from hsadc.dataplane.tunnel_history import Trouble
from hsadc.errors import ApplyError
from hsadc.wire.encapsulation import Encapsulation
from hsadc.wire.probe import PAYLOAD, TCP, UDP, Flow, frame
from hsadc.wire.receive import decapsulate_frame
from tests.netns.mirror_net import ANALYZER, GRE, PROFILE, TUNNEL, Net, capture, mirror_in, until

pytestmark = pytest.mark.netns

ENDS = IPv4Address("10.2.0.2"), IPv4Address(ANALYZER)
KINDS = [
    replace(GRE, key=7, sequence=True, checksum=True),
    replace(GRE, payload="ethernet"),
    Encapsulation("erspan", *ENDS, "ethernet", version=3, session_id=10),
    Encapsulation("vxlan", *ENDS, "ethernet", vni=42),
]
FLOWS = [
    Flow(ip_address("10.1.0.1"), 40000, ip_address("10.1.0.2"), 8087, TCP),
    Flow(IPv6Address("2001:db8::1"), 40000, IPv6Address("2001:db8::2"), 53, UDP),
]


@pytest.fixture(scope="module")
def net():
    with Net() as made:
        yield made


@pytest.mark.parametrize("encapsulation", KINDS, ids=lambda e: f"{e.kind} {e.payload}")
def test_it_arrives_as_a_copy_does(net, encapsulation):
    expression = "udp port 4789" if encapsulation.kind == "vxlan" else "ip proto 47"
    tunnel = replace(TUNNEL, encapsulation=encapsulation)
    with mirror_in(net, (tunnel,)) as mirror, capture(net, expression=expression) as frames:
        counted = [mirror.send_probe("tunnel1", frame(flow)) for flow in FLOWS]
        total = mirror.counters()
    sizes = [len(frame(flow)) - (14 if encapsulation.payload == "ip" else 0) for flow in FLOWS]
    assert counted == [DestinationCounters(copies=1, sent_packets=1, sent_bytes=size) for size in sizes]
    assert total.destinations[0, "tunnel1"] == counted[0] + counted[1]
    assert total.destinations[PROFILE.number, "tunnel1"] == DestinationCounters()
    received = [decapsulate_frame(data) for data in frames]
    assert [r.payload for r in received] == [frame(flow)[-size:] for flow, size in zip(FLOWS, sizes, strict=True)]
    assert all(r.payload.endswith(PAYLOAD) for r in received)
    for r in received:
        assert (r.kind, r.key, r.is_ethernet) == (encapsulation.kind, encapsulation.key, encapsulation.payload == "ethernet")
        assert encapsulation.kind != "erspan" or r.erspan.session_id == 10
        assert encapsulation.kind != "vxlan" or r.vxlan.vni == 42


def test_frames_leave_as_they_are(net):
    tunnel = replace(TUNNEL, encapsulation=Encapsulation("none", payload="ethernet"))
    with mirror_in(net, (tunnel,)) as mirror, capture(net, "router", "lan", "tcp port 8087") as frames:
        mirror.send_probe("tunnel1", frame(FLOWS[0]))
    assert frames == [frame(FLOWS[0])]


def test_one_that_cannot_be_sent_says_why_and_the_tunnel_remembers(net):
    with mirror_in(net) as mirror:
        past = mirror.tunnel_state("tunnel1").past
        assert past.state == "up"
        net.run("adc", "ip link set back down")
        try:
            until(lambda: mirror.send_probe("tunnel1", frame(FLOWS[0])) == DestinationCounters(copies=1, link_down=1))
            state = mirror.tunnel_state("tunnel1")
            assert (state.state, state.cause, state.reason) == ("down", "link_down", "back is down")
            assert state.past.trouble == Trouble(state.past.trouble.at, "back is down")
            assert state.past.since >= past.since
        finally:
            net.run("adc", "ip link set back up")
            net.run("adc", "ip route replace 10.3.0.0/24 via 10.2.0.1")
        until(lambda: mirror.tunnel_state("tunnel1").state == "up")
        assert mirror.tunnel_state("tunnel1").past.trouble is not None


def test_without_a_helper_device(net):
    with mirror_in(net) as mirror, pytest.raises(ApplyError, match="send a probe by tunnel2: No such device"):
        mirror.send_probe("tunnel2", frame(FLOWS[0]))
