"""The mirror's value objects: what tells them apart, and what follows from their fields."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from hsadc.intent.mirror import AccessListIntent, PortMirrorIntent, ProfileIntent, RuleIntent, TapIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation

FOUR = (IPv4Address("10.0.0.1"), IPv4Address("10.9.0.9"))
SIX = (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::9"))


@pytest.mark.parametrize(
    ("encapsulation", "inner"),
    [
        (Encapsulation("gre", *FOUR), 1476),
        (Encapsulation("gre", *FOUR, key=1), 1472),
        (Encapsulation("gre", *FOUR, "ethernet", sequence=True), 1458),
        (Encapsulation("erspan", *FOUR, "ethernet", version=1), 1462),
        (Encapsulation("erspan", *FOUR, "ethernet", version=2), 1450),
        (Encapsulation("erspan", *FOUR, "ethernet", version=3), 1446),
        (Encapsulation("vxlan", *FOUR, "ethernet"), 1450),
        (Encapsulation("gre", *SIX), 1456),
        (Encapsulation("none", payload="ethernet"), 1500),
    ],
)
def test_the_largest_packet_whose_copy_fits(encapsulation, inner):
    assert TunnelIntent("tunnel1", None, encapsulation).inner_mtu_bytes == inner


def test_what_must_be_dealt_with_packet_by_packet():
    profile = ProfileIntent(1, ("tunnel1",))
    assert not profile.exact
    assert replace(profile, sample_packets=2).exact
    assert replace(profile, truncate_bytes=64).exact
    assert not replace(profile, sample_flows=2, rate_pps=1, rate_mbps=1, access_list=1, distribute="flow-hash").exact


def test_objects_of_one_key_are_one_object_that_changes():
    rule = RuleIntent(1, FOUR[0], 80, 6, 1)
    assert rule.key == replace(rule, id=2, profile=2).key
    others = [replace(rule, **change) for change in ({"address": SIX[0]}, {"port": 81}, {"protocol": 17}, {"hop": True})]
    assert len({rule.key, *(other.key for other in others)}) == 5
    assert PortMirrorIntent(1, "eth0", 1).key == PortMirrorIntent(2, "eth0", 2, 3, "forward").key == TapIntent("eth0").key
    assert ProfileIntent(1, ("tunnel1",)).key == ProfileIntent(1, ("tunnel2",), "forward").key
    assert AccessListIntent(7, ()).key == 7
