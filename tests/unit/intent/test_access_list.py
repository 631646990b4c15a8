"""Access lists, as the dataplane compares them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from hsadc.intent.access_list import compile_access_lists
from hsadc.intent.mirror import ANY_ICMP, ANY_PORT, ANY_PROTOCOL, AccessRule
from tests.unit.intent.words import config

TEN, SIX = IPv4Network("10.0.0.0/8"), IPv6Network("2001:db8::/32")


def compiled(*entries):
    return compile_access_lists(config("access-list a;" + ";".join(entries)))["a"]


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("permit ip any any", AccessRule(True, ANY_PROTOCOL)),
        ("deny icmp any any", AccessRule(False, ANY_ICMP)),
        ("permit 47 any any", AccessRule(True, 47)),
        ("permit 0 any any", AccessRule(True, 0)),
        ("permit tcp 10.0.0.0/8 eq 80 any", AccessRule(True, 6, TEN, (80, 80))),
        ("permit udp any 2001:db8::/32 range 5 9", AccessRule(True, 17, None, ANY_PORT, SIX, (5, 9))),
        ("permit tcp any eq 1 any range 0 65535", AccessRule(True, 6, None, (1, 1), None, ANY_PORT)),
        (
            "permit ip host 10.1.2.3 host 10.0.0.1",
            AccessRule(True, ANY_PROTOCOL, IPv4Network("10.1.2.3"), ANY_PORT, IPv4Network("10.0.0.1")),
        ),
        ("permit ip 0.0.0.0/0 any", AccessRule(True, ANY_PROTOCOL, IPv4Network("0.0.0.0/0"))),
        ("permit ip ::/0 any", AccessRule(True, ANY_PROTOCOL)),
        ("permit ip ::ffff:10.0.0.0/104 any", AccessRule(True, ANY_PROTOCOL, TEN)),
        ("permit ip ::/80 any", AccessRule(True, ANY_PROTOCOL, IPv6Network("::/80"))),
    ],
)
def test_an_entry_is_a_rule(entry, rule):
    assert compiled(entry).rules == (rule,)


def test_entries_stay_in_order():
    rules = compiled("deny tcp any any eq 22", "permit tcp any any").rules
    assert [rule.permit for rule in rules] == [False, True]
    assert compiled("permit tcp any any", "deny tcp any any eq 22").rules == rules[::-1]


def test_a_list_without_entries_is_a_list():
    assert compiled().rules == ()
    assert compiled().number > 0  # 0 would be no list, which permits all


def test_the_number_follows_from_the_entries_alone():
    lists = compile_access_lists(
        config(
            "access-list a; permit tcp any any; exit; access-list b; description x; permit tcp any any; exit;"
            "access-list c; permit udp any any"
        )
    )
    assert lists["a"] == lists["b"] == compiled("permit tcp any any")
    assert lists["a"].key == lists["a"].number != lists["c"].number
    assert all(1 <= a.number < 2**32 for a in lists.values())


def test_lists_whose_checksums_are_equal_stay_apart(monkeypatch):
    monkeypatch.setattr("hsadc.intent.number.crc32", lambda content: 2**32 - 2)
    lists = compile_access_lists(config("access-list a; permit tcp any any; exit; access-list b; permit udp any any"))
    assert {a.number for a in lists.values()} == {2**32 - 1, 1}
    assert {rule.protocol for a in lists.values() for rule in a.rules} == {6, 17}
