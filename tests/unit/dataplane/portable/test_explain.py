"""What the mirror would do with a packet, and why."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest

from hsadc.dataplane.portable.core import MirrorCore
from hsadc.dataplane.portable.explain import SENT, Fate, Passing, fate_of, judge, unchanged_bytes
from hsadc.dataplane.portable.selection import Intents, Judgement
from hsadc.dataplane.portable.sending import TunnelStatus
from hsadc.intent.mirror import (
    AccessListIntent,
    AccessRule,
    PortMirrorIntent,
    ProfileIntent,
    RuleIntent,
    TunnelIntent,
)
from hsadc.wire.encapsulation import Encapsulation
from hsadc.wire.probe import TCP, UDP, Flow, frame, frame_of

CLIENT, SERVER = ip_address("10.1.0.1"), ip_address("10.1.0.2")
FLOW = Flow(CLIENT, 40000, SERVER, 80, TCP)
ENDS = IPv4Address("10.2.0.2"), IPv4Address("10.3.0.2")
GRE = Encapsulation("gre", *ENDS)
TUNNELS = tuple(TunnelIntent(f"tunnel{n}", None, GRE) for n in (1, 2, 3))
ALL = ProfileIntent(9, ("tunnel1", "tunnel2", "tunnel3"))
RULE = RuleIntent(7, SERVER, 80, 6, 9)
PORT = PortMirrorIntent(65537, "eth1", 9)
LISTS = (
    AccessListIntent(1, (AccessRule(False, 6, None, (22, 22)), AccessRule(True, 6, IPv4Network("10.1.0.0/24")))),
    AccessListIntent(2, (AccessRule(False, 6),)),
)
DOWN = TunnelStatus("no_route")


def intents(profile=ALL, rules=(RULE,), ports=()):
    return Intents(TUNNELS, LISTS, (profile,), rules, ports)


def judged(*args, flow=FLOW, device="", received=True, statuses=None, **kwargs):
    return judge(intents(*args, **kwargs), statuses or {}, Passing(frame(flow), device, received))[1]


class TestSources:
    def test_a_rule_takes_both_directions(self):
        assert judged() == [Judgement(7, "matched", 9, ALL.destinations, "forward")]
        assert judged(flow=FLOW.reverse) == [Judgement(7, "matched", 9, ALL.destinations, "backward")]
        assert judge(intents(), {}, Passing(frame(FLOW)))[0] == judge(intents(), {}, Passing(frame(FLOW.reverse)))[0]

    def test_the_mirror_wants_what_a_source_takes(self):
        core = MirrorCore(intents(replace(ALL, direction="backward"), ports=(PORT,)))
        assert core.wants(frame(FLOW), "eth0", True)  # it is counted, as filtered
        assert core.wants(frame(FLOW._replace(destination_port=81)), "eth1", True)
        assert not core.wants(frame(FLOW._replace(destination_port=81)), "eth0", True)
        assert core.counters().sources[RULE.id].seen == 0

    def test_none_takes_it(self):
        assert judged(flow=FLOW._replace(destination_port=81)) == []
        assert judged(flow=FLOW._replace(protocol=UDP)) == []

    def test_an_interface_takes_what_it_receives_and_sends(self):
        assert [j.direction for j in judged(rules=(), ports=(PORT,), device="eth1")] == ["forward"]
        assert [j.direction for j in judged(rules=(), ports=(PORT,), device="eth1", received=SENT)] == ["backward"]
        assert judged(rules=(), ports=(PORT,), device="eth2") == []

    def test_what_both_take_goes_to_their_profile_once(self):
        by_rule, by_port = judged(ports=(PORT,), device="eth1")
        assert (by_rule.destinations, by_rule.shared) == (ALL.destinations, False)
        assert (by_port.outcome, by_port.destinations, by_port.shared) == ("matched", (), True)


class TestRefusals:
    @pytest.mark.parametrize(
        ("profile", "port", "outcome", "why"),
        [
            (ALL, replace(PORT, direction="backward"), "filtered", "direction"),
            (replace(ALL, direction="backward"), PORT, "filtered", "profile_direction"),
            (ALL, replace(PORT, access_list=2), "filtered", "access_list"),
            (replace(ALL, access_list=2), PORT, "filtered", "profile_access_list"),
            (replace(ALL, sample_flows=1000000), PORT, "sampled_out", ""),
        ],
    )
    def test_by_source_or_profile(self, profile, port, outcome, why):
        (found,) = judged(profile, rules=(), ports=(port,), device="eth1")
        assert (found.outcome, found.why, found.destinations) == (outcome, why, ())

    def test_to_an_analyzer(self):
        (found,) = judged(rules=(), ports=(PORT,), device="eth1", flow=FLOW._replace(destination=ENDS[1]))
        assert found.outcome == "loop_guard"

    def test_the_entries_that_decide(self):
        profile, port = replace(ALL, access_list=1), replace(PORT, access_list=1)
        (found,) = judged(profile, rules=(), ports=(port,), device="eth1")
        assert (found.outcome, found.entry, found.profile_entry) == ("matched", 1, 1)
        (found,) = judged(profile, rules=(), ports=(port,), device="eth1", flow=FLOW._replace(destination_port=22))
        assert (found.why, found.entry, found.profile_entry) == ("access_list", 0, None)
        elsewhere = Flow(ip_address("10.7.0.1"), 1, ip_address("10.7.0.2"), 2, TCP)
        (found,) = judged(profile, rules=(), ports=(PORT,), device="eth1", flow=elsewhere)
        assert (found.why, found.entry, found.profile_entry) == ("profile_access_list", None, None)


class TestDestinations:
    def test_failover_takes_the_first_that_is_up(self):
        profile = replace(ALL, distribute="failover")
        assert judged(profile)[0].destinations == ("tunnel1",)
        assert judged(profile, statuses={"tunnel1": DOWN})[0].destinations == ("tunnel2",)

    def test_the_mirror_itself_sends_to_the_same(self):
        profile = replace(ALL, distribute="flow-hash")
        for statuses in ({}, {"tunnel2": DOWN}, {"tunnel1": DOWN, "tunnel3": DOWN}):
            core = MirrorCore(intents(profile), statuses)
            for port in range(1000, 1050):
                flow = FLOW._replace(source_port=port)
                (found,) = judged(profile, flow=flow, statuses=statuses)
                assert tuple(out.interface for out in core.process(frame(flow), "eth0", True, 0)) == found.destinations


def fate(oversize="segment", encapsulation=GRE, profile=ALL, flow=FLOW, size=1500, status=None):
    tunnel = TunnelIntent("tunnel1", None, encapsulation, 1400, oversize)
    return fate_of(profile, tunnel, status or TunnelStatus(), frame_of(flow, size), 0)


class TestFates:
    def test_what_fits_is_sent_unchanged(self):
        assert fate(size=1376) == Fate("sent", 1, largest_bytes=1400)

    def test_what_does_not_fit_by_policy(self):
        assert fate() == Fate("sent", 2, split=True, largest_bytes=40 + 730 + 24)
        assert fate("fragment") == Fate("sent", 2, fragmented=True, largest_bytes=20 + 752)
        assert fate("truncate") == Fate("sent", 1, truncated=True, largest_bytes=1400)
        assert fate("drop") == Fate("oversize")
        assert fate(flow=FLOW._replace(protocol=UDP)) == Fate("oversize")

    def test_what_the_path_takes_counts(self):
        assert fate(size=1300, status=TunnelStatus(mtu_bytes=1280)) == Fate("sent", 2, split=True, largest_bytes=40 + 630 + 24)

    def test_one_that_cannot_be_sent(self):
        assert fate(status=DOWN) == Fate("no_route")
        assert fate(status=TunnelStatus("failed")) == Fate("failed")

    def test_sampling_and_limits_spare_the_first_packet(self):
        assert fate(profile=replace(ALL, sample_packets=10, rate_pps=1), size=100) == Fate("sent", 1, largest_bytes=124)

    def test_a_profile_that_truncates(self):
        assert fate(profile=replace(ALL, truncate_bytes=64)) == Fate("sent", 1, truncated=True, largest_bytes=88)


@pytest.mark.parametrize(
    ("encapsulation", "truncate", "largest"),
    [
        (GRE, None, 1376),
        (GRE, 1000, 1000),
        (GRE, 1390, 1376),
        (replace(GRE, payload="ethernet"), None, 1362),
        (replace(GRE, payload="ethernet"), 1000, 986),
        (Encapsulation("none", payload="ethernet"), None, 1400),
    ],
)
def test_the_largest_packet_that_is_copied_unchanged(encapsulation, truncate, largest):
    profile, tunnel = replace(ALL, truncate_bytes=truncate), TunnelIntent("tunnel1", None, encapsulation, 1400, "truncate")
    assert unchanged_bytes(profile, tunnel, 1400) == largest
    exact, more = (fate_of(profile, tunnel, TunnelStatus(), frame_of(FLOW, size), 0) for size in (largest, largest + 1))
    assert (exact.truncated, more.truncated) == (False, True)
