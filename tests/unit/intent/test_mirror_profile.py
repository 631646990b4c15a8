"""What is mirrored in which way, and on which devices packets are looked at."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from hsadc.intent.compile import compile_config
from hsadc.intent.inventory import Device, Inventory
from hsadc.intent.mirror import AccessListIntent, PortMirrorIntent, ProfileIntent, RuleIntent, TapIntent
from hsadc.intent.mirror_profile import FIRST_PORT, FIRST_PROFILE, copied_port, profile_numbers, source_id
from hsadc.model.virtual_server import Listener, ServerMirror, VirtualServer
from tests.unit.intent.words import MACHINE, TLS_MACHINE, TLS_WORDS, config

TUNNELS = "".join(
    f"tunnel gre t{n}; source 10.0.0.1; destination 10.9.0.{n}; exit; interface tunnel{n}; tunnel gre t{n}; exit;" for n in (1, 2)
)
SERVER = "slb server-pool p; exit; slb virtual-server v type tcp id 3; server-pool p; auto-snat; ip 10.0.0.1 port 80;"
LISTS = "access-list web; permit tcp any any eq 80; exit; access-list dns; permit udp any any eq 53; exit;"
PROFILE = "mirror-profile m; destination interface tunnel2; destination interface tunnel1;"
BASE = f"{LISTS}{TUNNELS}{PROFILE} exit;"


def intent(text, machine=MACHINE):
    return compile_config(config(text), machine).intent


def mirrored(*settings):
    """The profile, with these settings, that a virtual server is mirrored to."""
    made = intent(f"{LISTS}{TUNNELS}{PROFILE}{';'.join(settings)}; exit; {SERVER} mirror-traffic profile m")
    (profile,), (rule,) = made.profiles, made.rules
    assert rule == RuleIntent(3, rule.address, 80, 6, profile.number)
    return profile


@pytest.mark.parametrize(
    ("setting", "fields"),
    [
        ("", {}),
        ("direction forward", {"direction": "forward"}),
        ("direction backward", {"direction": "backward"}),
        ("distribute flow-hash", {"distribute": "flow-hash"}),
        ("distribute failover", {"distribute": "failover"}),
        ("sampling packet 10", {"sample_packets": 10}),
        ("sampling flow 10", {"sample_flows": 10}),
        ("truncate 128", {"truncate_bytes": 128}),
        ("rate-limit 5 pps", {"rate_pps": 5}),
        ("rate-limit 5 mbps", {"rate_mbps": 5}),
        ("no destination interface tunnel2", {"destinations": ("tunnel1",)}),
        ("destination interface ethernet0/1", {"destinations": ("tunnel2", "tunnel1", "ethernet0/1")}),
    ],
)
def test_each_setting_of_a_profile(setting, fields):
    plain = ProfileIntent(profile_numbers(config(BASE))["m"], ("tunnel2", "tunnel1"))
    assert mirrored(setting) == replace(plain, **fields)


def test_a_tunnel_interface_that_is_named_directly_has_a_profile_of_its_number():
    made = intent(
        f"{BASE} {SERVER} mirror-traffic interface tunnel2; exit; interface ethernet0/1; mirror-traffic interface tunnel2"
    )
    assert made.profiles == (ProfileIntent(2, ("tunnel2",)),)
    assert [s.profile for s in (*made.rules, *made.port_mirrors)] == [2, 2]


def test_an_interface_is_a_source_with_an_id_of_its_own():
    made = intent(f"{BASE} interface ethernet0/1; mirror-traffic profile m access-list web direction backward")
    (profile,), (web,) = made.profiles, made.access_lists
    assert made.port_mirrors == (PortMirrorIntent(FIRST_PORT + 1, "eth1", profile.number, web.number, "backward"),)
    names = [f"ethernet{slot}/{port}" for slot in range(100) for port in (0, 1, 10, 99, 100, 999)]
    assert len({source_id(name) for name in names}) == len(names)
    assert min(map(source_id, names)) == FIRST_PORT > 65535


def test_lists_that_nothing_uses_and_profiles_that_nothing_is_mirrored_to_are_not_made():
    assert (intent(BASE).profiles, intent(BASE).access_lists) == ((), ())
    made = intent(
        f"{BASE} mirror-profile m; access-list dns; exit; interface ethernet0/1; mirror-traffic profile m access-list web"
    )
    assert {a.number for a in made.access_lists} == {made.profiles[0].access_list, made.port_mirrors[0].access_list}
    assert len(made.access_lists) == 2
    assert all(isinstance(a, AccessListIntent) for a in made.access_lists)


def test_two_lists_of_the_same_entries_are_made_once():
    again = "access-list web2; permit tcp any any eq 80; exit; mirror-profile m; access-list web2; exit;"
    made = intent(f"{BASE}{again} interface ethernet0/1; mirror-traffic profile m access-list web")
    assert len(made.access_lists) == 1


def test_a_destination_that_is_shut_down_is_left_out_and_a_mirror_without_destinations_is_none():
    mirror = f"{BASE} {SERVER} mirror-traffic profile m; exit; interface ethernet0/1; mirror-traffic profile m; exit;"
    one = intent(f"{mirror} interface tunnel2; shutdown")
    assert one.profiles[0].destinations == ("tunnel1",)
    none = intent(f"{mirror} interface tunnel2; shutdown; exit; interface tunnel1; shutdown")
    assert (none.profiles, none.rules, none.port_mirrors, none.taps) == ((), (), (), ())


def test_a_virtual_server_that_is_not_in_force_is_not_mirrored():
    assert intent(f"{BASE} {SERVER} mirror-traffic profile m; shutdown").rules == ()


def rule_of(kind, mirror):
    """The rule of a mirrored virtual server on port 443."""
    tls = "ssl-profile web;" if kind in ("https", "ssl") else ""
    words = f"slb virtual-server v type {kind} id 3; server-pool p; auto-snat; ip 2001:db8::1 port 443; {tls} {mirror}"
    (rule,) = intent(f"{BASE} {TLS_WORDS} slb server-pool p; exit; {words}", TLS_MACHINE).rules
    assert (rule.id, str(rule.address)) == (3, "2001:db8::1")
    return rule.port, rule.protocol, rule.hop


@pytest.mark.parametrize(
    ("kind", "mirror", "port", "protocol", "hop"),
    [
        ("tcp", "mirror-traffic profile m", 443, 6, False),
        ("http", "mirror-traffic profile m", 443, 6, False),
        ("udp", "mirror-traffic profile m", 443, 17, False),
        ("https", "mirror-traffic profile m", 443, 6, True),
        ("ssl", "mirror-traffic profile m view decrypted", 443, 6, True),
        ("https", "mirror-traffic interface tunnel1 port 80", 80, 6, True),
        ("https", "mirror-traffic profile m view encrypted", 443, 6, False),
    ],
)
def test_what_tls_hides_is_copied_on_the_hop(kind, mirror, port, protocol, hop):
    assert rule_of(kind, mirror) == (port, protocol, hop)


def test_a_port_is_for_decrypted_copies_alone():
    mirrored = ServerMirror("interface", "tunnel1", 80)
    server = VirtualServer("v", "https", ip=Listener(IPv4Address("10.0.0.1"), 443), mirror_traffic=mirrored)
    assert copied_port(server) == 80
    others = {"type": "http"}, {"ip": None}, {"mirror_traffic": None}, {"mirror_traffic": replace(mirrored, view="encrypted")}
    assert {copied_port(replace(server, **other)) for other in others} == {None}


def test_a_profile_has_its_number_whatever_other_profiles_there_are():
    numbers = profile_numbers(config("mirror-profile b; exit; mirror-profile a; exit; mirror-profile 中文"))
    assert numbers["a"] == profile_numbers(config("mirror-profile a"))["a"]
    assert list(numbers) == ["b", "a", "中文"]
    assert all(FIRST_PROFILE <= n < 2**32 for n in numbers.values())


def test_all_configured_interfaces_are_tapped_and_those_that_own_a_mirrored_address():
    mirror = f"{BASE} {SERVER} mirror-traffic profile m; exit;"
    assert intent(mirror).taps == (TapIntent("eth0"),)
    assert intent(f"{mirror} interface ethernet0/1").taps == (TapIntent("eth0"), TapIntent("eth1"))


def test_taps_are_there_before_the_first_rule():
    assert intent(f"{BASE} interface ethernet0/0").taps == (TapIntent("eth0"),)
    assert intent("interface ethernet0/0").taps == ()


@pytest.mark.parametrize(("above", "below"), [("eth0", "br0"), ("br0", "eth0")])
def test_where_one_device_stands_on_another_packets_are_seen_once(above, below):
    stacked = Inventory(
        tuple(Device(d.name, d.mtu_bytes, d.addresses, d.physical, {below: above}.get(d.name)) for d in MACHINE.devices)
    )
    both = f"{BASE} interface ethernet0/0; exit; interface ethernet7/0; device br0"
    assert intent(both, stacked).taps == (TapIntent(above),)
