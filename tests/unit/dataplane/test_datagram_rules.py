"""Virtual servers of type udp in the language of nftables."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from hsadc.dataplane.datagram_rules import (
    digest,
    kept,
    number_of,
    presumed_down,
    render,
    server_counter,
    serving,
    target_counter,
)
from hsadc.dataplane.datagram_table import base_script, change_script, next_branch
from hsadc.intent.datagram import DatagramIntent, DatagramTarget, DatagramTier
from hsadc.intent.probe import Probe

TARGETS = [
    DatagramTarget(f"rs{n}", ip_address(f"10.2.0.{n}"), 53, probe=Probe("icmp", ip_address(f"10.2.0.{n}"))) for n in range(5)
]
FIRST, SECOND = DatagramTier(tuple(TARGETS[:3]), 2), DatagramTier(tuple(TARGETS[3:]), load_balance="random")
SERVER = DatagramIntent(7, ip_address("10.1.0.2"), 53, (FIRST, SECOND), True)
SIX = DatagramIntent(8, ip_address("fd01::2"), 53, (DatagramTier((DatagramTarget("s", ip_address("fd02::1"), 5353),)),), False)


def all_but(*numbers):
    return lambda target: int(target.real_server[2:]) not in numbers


def everything(_):
    return True


def serve(server, works):
    found = serving(server, works)
    return None if found is None else [t.real_server for t in found[1]]


def with_states(*states):
    changed = tuple(replace(t, state=s) for t, s in zip(TARGETS, states, strict=False))
    return replace(SERVER, tiers=(DatagramTier(changed, 2), SECOND))


def test_the_first_tier_with_enough_that_work_serves():
    assert serve(SERVER, everything) == ["rs0", "rs1", "rs2"]
    assert serve(SERVER, all_but(1)) == ["rs0", "rs2"]
    assert serve(SERVER, all_but(1, 2)) == ["rs3", "rs4"]
    assert serving(SERVER, all_but(1, 2))[0] == "random"
    assert serve(SERVER, all_but(1, 2, 3, 4)) is None
    assert serve(replace(SERVER, tiers=()), everything) is None


def test_only_what_is_enabled_takes_flows_and_counts():
    assert serve(with_states("drain", "enable", "enable"), everything) == ["rs1", "rs2"]
    assert serve(with_states("drain", "enable", "disable"), everything) == ["rs3", "rs4"]


def test_flows_go_on_to_what_works_and_is_not_disabled():
    assert kept(with_states("drain", "enable", "disable"), all_but(1, 4)) == {("10.2.0.0", 53), ("10.2.0.3", 53)}


@pytest.mark.parametrize(
    ("live", "down"),
    [
        ({0, 1, 2}, set()),
        ({0, 2}, {1}),
        ({3}, {0, 1, 2, 4}),
        ({3, 4}, {0, 1, 2}),
        (set(), {0, 1, 2, 3, 4}),
        ({0, 3}, set()),  # of another configuration
    ],
)
def test_what_an_earlier_daemon_took_for_down(live, down):
    found = presumed_down(SERVER, frozenset((f"10.2.0.{n}", 53) for n in live))
    assert found == {TARGETS[n].probe for n in down}


def test_a_virtual_server_in_the_table():
    rules = render(SERVER, all_but(0))
    rule = "meta l4proto udp dnat ip to numgen inc mod 2 map { 0 : 10.2.0.1 . 53, 1 : 10.2.0.2 . 53 }"
    assert (rules.chain, rules.rule, rules.digests) == ("vs7", rule, (digest(rule),))
    assert rules.elements["listeners4", "10.1.0.2 . 53"] == "goto vs7"
    assert rules.elements["snat4", "10.1.0.2 . 53"] == ""
    assert rules.elements["target_in4", "10.1.0.2 . 53 . 10.2.0.4 . 53"] == "vs7_0a020004_53_in"
    assert len(rules.counters) == 4 + 5 * 3
    assert set(rules.elements.values()) - {"goto vs7", ""} == rules.counters


def test_one_that_nobody_serves_has_an_empty_chain():
    rules = render(SERVER, lambda _: False)
    assert (rules.rule, rules.digests) == ("", ())
    assert rules.elements == render(SERVER, everything).elements


def test_ipv6_without_auto_snat():
    rules = render(SIX, everything)
    assert rules.rule == "meta l4proto udp dnat ip6 to numgen inc mod 1 map { 0 : fd02::1 . 5353 }"
    assert not [name for name, _ in rules.elements if name.startswith("snat") or name.endswith("4")]


def test_names_tell_whose_they_are():
    names = [server_counter(7, "in"), target_counter(65535, TARGETS[0], "out"), "vs12"]
    assert [number_of(n) for n in names] == [7, 65535, 12]
    assert [number_of(n) for n in ("forward", "vs", "vsx_in", "7")] == [None] * 4


def test_a_change_says_only_what_changes_and_writes_where_no_packet_is():
    before, after = replace(render(SERVER, everything), branch="vs7_a"), render(SERVER, all_but(0))
    assert (change_script(before, before), next_branch(before, before)) == ("", "vs7_a")
    assert change_script(before, after).splitlines() == [
        "flush chain inet hsadc_datagram vs7",
        "flush chain inet hsadc_datagram vs7_b",
        f'add rule inet hsadc_datagram vs7_b {after.rule} comment "{after.digests[0]}"',
        "add rule inet hsadc_datagram vs7 goto vs7_b",
    ]
    assert next_branch(before, after) == "vs7_b"
    assert next_branch(replace(after, branch="vs7_b"), before) == "vs7_a"
    nobody = render(SERVER, lambda _: False)
    assert change_script(before, nobody) == "flush chain inet hsadc_datagram vs7\n"
    assert next_branch(before, nobody) == "vs7_a"


def test_what_is_made_is_taken_away_again_in_the_opposite_order():
    rules = render(SIX, everything)
    made, removed = change_script(None, rules).splitlines(), change_script(rules, None).splitlines()
    assert [line.split()[:2] for line in made] == [
        *[["add", "counter"]] * 7,
        *[["add", "chain"]] * 3,
        *[["flush", "chain"]] * 2,
        *[["add", "rule"]] * 2,
        *[["add", "element"]] * 8,
    ]
    assert [line.split()[:2] for line in removed] == [
        *[["delete", "element"]] * 8,
        *[["flush", "chain"]] * 3,
        *[["delete", "chain"]] * 3,
        *[["delete", "counter"]] * 7,
    ]


@pytest.mark.parametrize(("closed", "dropped"), [((), []), ((4,), ["ipv4"]), ((6, 4), ["ipv4", "ipv6"])])
def test_only_what_was_not_forwarded_before_is_kept_from_being_forwarded(closed, dropped):
    script = base_script(closed)
    assert [line.split()[7] for line in script.splitlines() if "nfproto" in line] == dropped
