"""Whole files: blocks, auto-leave, and every mistake with its place."""

from __future__ import annotations

import gc
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

import pytest

from hsadc.errors import BadValue, ConfigError, Conflict, DanglingReference, IncompleteCommand, UnknownCommand
from hsadc.model.access_list import AccessEntry, PortRange
from hsadc.model.config import Config
from hsadc.model.interface import PortMirror, TunnelBinding
from hsadc.model.mirror_profile import RateLimit, Sampling
from hsadc.model.route import Route
from hsadc.model.server_pool import PoolMember
from hsadc.model.virtual_server import ServerMirror
from hsadc.syntax.edit import Editor
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import LINE_LENGTH, MOST_MISTAKES, apply_line, load
from hsadc.syntax.password import verify_password

grammar = load_grammar()


V = 'slb virtual-server "v"'


def loaded(*lines, base=None):
    found = load(grammar, "\n".join(lines), base)
    assert found.mistakes == ()
    return found.config


def mistakes(*lines, base=None):
    return [(m.line, m.column, type(m.error), str(m.error)) for m in load(grammar, "\n".join(lines), base).mistakes]


def test_an_empty_file_is_the_empty_configuration():
    assert loaded("", "! a comment", "   ") == Config()


def test_a_block_is_closed_by_exit_by_end_by_another_head_and_by_a_line_of_an_outer_mode():
    config = loaded(
        'tunnel gre "a"',
        "destination 1.1.1.1",
        "exit",
        'tunnel gre "b"',
        "destination 2.2.2.2",
        "interface tunnel1",
        'tunnel gre "b"',
        "hostname box",
        "interface tunnel2",
        "end",
        'tunnel gre "a"',
        "key 7",
    )
    assert {n: (t.destination, t.key) for n, t in config.gre_tunnel.items()} == {
        "a": (IPv4Address("1.1.1.1"), 7),
        "b": (IPv4Address("2.2.2.2"), None),
    }
    assert config.tunnel_interface["tunnel1"].tunnel == TunnelBinding("gre", "b")
    assert config.hostname == "box"


def test_containers_may_be_empty_and_come_again_and_lines_may_end_with_cr():
    config = loaded("interface ethernet0/0\r", "exit\r", "interface ethernet0/0\r", "  mtu 1400\r", "exit")
    assert config.ethernet["ethernet0/0"].mtu == 1400


def test_inside_a_tunnel_interface_names_the_egress_not_a_block():
    config = loaded('tunnel gre "a"', "interface ethernet0/0", "exit")
    assert config.gre_tunnel["a"].interface == "ethernet0/0"
    assert config.ethernet == {}


def test_a_value_is_replaced_an_entry_is_added():
    config = loaded(
        "interface ethernet0/0",
        "ip address 10.0.0.1/8",
        "ip address 10.0.0.2/8",
        "ip address 10.0.0.3/8 secondary",
        "ip address 10.0.0.4/8 secondary",
        "no ip address 10.0.0.3/8 secondary",
    )
    assert config.ethernet["ethernet0/0"].addresses == (IPv4Interface("10.0.0.2/8"), IPv4Interface("10.0.0.4/8"))


def test_no_restores_the_default():
    base = loaded(
        "hostname x",
        'slb virtual-server "v" type http id 1',
        "log enable",
        "ip 1.2.3.4 port 80",
        "mirror-traffic interface tunnel1",
    )
    config = loaded(
        "no hostname", "slb virtual-server v", "no log enable", "no ip 1.2.3.4 port 80", "no mirror-traffic", base=base
    )
    assert config == loaded('slb virtual-server "v" type http id 1')


def test_members_and_routes_are_told_apart_by_their_keys():
    config = loaded(
        "slb server-pool p",
        "real-server a port 80",
        "real-server b weight 2",
        "real-server a",
        "no real-server b",
        "exit",
        "ip route 10.0.0.0/8 1.1.1.1",
        "ip route 10.0.0.0/8 1.1.1.1 distance 9",
        "ip route 10.0.0.0/8 ethernet0/0 distance 10",
    )
    assert config.server_pool["p"].members == {"a": PoolMember("a")}
    assert list(config.routes.values()) == [
        Route(IPv4Network("10.0.0.0/8"), IPv4Address("1.1.1.1"), 9),
        Route(IPv4Network("10.0.0.0/8"), "ethernet0/0", 10),
    ]


WEB = AccessEntry("permit", "tcp", None, None, IPv4Network("10.0.0.1/32"), PortRange(80, 80))
ALL = AccessEntry("deny", 47, IPv6Network("2001:db8::/32"), PortRange(1, 9), None, PortRange(0, 65535))


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("permit tcp any host 10.0.0.1 eq 80", WEB),
        ("permit tcp any 10.0.0.1 eq 80", WEB),
        ("perm TCP an 10.0.0.1/32 range 80 80", WEB),
        ("deny 47 2001:DB8::/32 range 1 9 any range 0 65535", ALL),
        ("permit ip host 2001:db8::1 any", AccessEntry("permit", "ip", IPv6Network("2001:db8::1/128"))),
        ("deny icmp any any", AccessEntry("deny", "icmp")),
    ],
)
def test_an_entry_of_an_access_list(line, entry):
    config = loaded("access-list web", "permit ip any any", line)
    assert list(config.access_list["web"].entries.values()) == [AccessEntry("permit", "ip"), entry]
    assert list(loaded("access-list web", f"no {line}", base=config).access_list["web"].entries) == [AccessEntry("permit", "ip")]


@pytest.mark.parametrize("entry", ["deny tcp any range 1 9 2001:db8::/32 eq 80", "permit icmp any any"])
def test_an_entry_that_is_not_there_is_named_as_it_is_typed(entry):
    assert mistakes("access-list a", f"no {entry}") == [(2, 1, DanglingReference, f"there is no such entry: {entry}")]


def test_a_range_that_ends_before_it_begins():
    line = "permit tcp any range 90 80 any"
    assert mistakes("access-list a", line) == [(2, 28, BadValue, "no port is in range 90 80, did you mean range 80 90?")]


@pytest.mark.parametrize("typed", ["no mirror-traffic", "no mirror-traffic interface tunnel9", "no mirror-traffic profile p"])
def test_what_is_mirrored_to_an_interface_or_a_profile(typed):
    heads = ('slb virtual-server "v" type http id 1', "interface ethernet0/0")
    lines = ("mirror-traffic interface tunnel7", "mirror-traffic profile p access-list l direction forward")
    config = loaded(heads[0], lines[0], heads[1], lines[1])
    assert config.virtual_server["v"].mirror_traffic == ServerMirror("interface", "tunnel7")
    assert config.ethernet["ethernet0/0"].mirror_traffic == PortMirror("profile", "p", "l", "forward")
    config = loaded(heads[0], "mirror-traffic profile interface", heads[1], "mirror-traffic interface t1", base=config)
    assert config.virtual_server["v"].mirror_traffic == ServerMirror("profile", "interface")
    assert config.ethernet["ethernet0/0"].mirror_traffic == PortMirror("interface", "tunnel1")
    config = loaded(heads[0], typed, heads[1], typed, base=config)
    assert (config.virtual_server["v"].mirror_traffic, config.ethernet["ethernet0/0"].mirror_traffic) == (None, None)


@pytest.mark.parametrize("typed", ["no tunnel", "no tunnel gre", 'no tunnel erspan "x"'])
def test_a_tunnel_interface_is_bound_to_one_tunnel_of_any_kind(typed):
    config = loaded("interface tunnel1", "tunnel gre erspan", "tunnel erspan gre")
    assert config.tunnel_interface["tunnel1"].tunnel == TunnelBinding("erspan", "gre")
    assert config.erspan_tunnel == {}
    assert loaded("interface tunnel1", typed, base=config).tunnel_interface["tunnel1"].tunnel is None


def test_the_settings_of_a_profile():
    profile = loaded(
        "mirror-profile p",
        *("destination interface tunnel2", "destination interface e0/2", "destination interface tunnel1"),
        *("no destination interface tunnel2", "sampling flow 10", "rate-limit 5 mbps", "access-list l"),
    ).mirror_profile["p"]
    assert list(profile.destinations) == ["ethernet0/2", "tunnel1"]
    assert (profile.sampling, profile.rate_limit, profile.access_list) == (Sampling("flow", 10), RateLimit(5, "mbps"), "l")


def test_ipv6_addresses():
    config = loaded(
        *("interface ethernet0/0", "ipv6 address 2001:DB8:0::1/64", "ipv6 address fe80::1/10", "no ipv6 address fe80::1/10"),
        *("tunnel vxlan x", "source 2001:db8::1", "destination ::ffff:1.2.3.4"),
    )
    assert list(config.ethernet["ethernet0/0"].ipv6_addresses) == [IPv6Interface("2001:db8::1/64")]
    tunnel = config.vxlan_tunnel["x"]
    assert (tunnel.source, tunnel.destination) == (IPv6Address("2001:db8::1"), IPv6Address("::ffff:102:304"))


def test_every_mistake_is_found_and_says_where():
    assert mistakes(
        "interface ethernet0/0", "  mtu 1", "  descripton x", "exit", "tunnel", 'no tunnel gre "x"', "slb virtual-server v"
    ) == [
        (2, 7, BadValue, "1 is out of range, it must be 576 to 9216"),
        (3, 3, UnknownCommand, "unrecognized keyword descripton, did you mean 'description'?"),
        (5, 7, IncompleteCommand, "incomplete command"),
        (6, 1, DanglingReference, 'tunnel gre "x": there is no such object'),
        (
            7,
            1,
            ConfigError,
            f"{V}: there is no such object; to make one: {V} type {{tcp|udp|http|https|ssl}} id <1-65535>",
        ),
    ]


def test_a_thing_that_exists_cannot_be_another():
    assert mistakes("slb virtual-server v type http id 1", "slb virtual-server v type tcp id 1") == [
        (2, 1, Conflict, 'slb virtual-server "v": its type is http, delete it first to make it tcp')
    ]


def test_an_entry_that_is_not_there_cannot_be_removed():
    assert mistakes("no ip route 10.0.0.0/8 1.1.1.1")[0][3] == "there is no such entry: 10.0.0.0/8 1.1.1.1"
    assert mistakes("slb server-pool p", "no real-server x weight 7")[0][3] == "there is no such entry: x"
    assert mistakes("mirror-profile p", "no destination interface t1")[0][3] == "there is no such entry: tunnel1"


def test_exec_commands_do_not_belong_in_a_file():
    assert [m[2] for m in mistakes("show version", "do show version")] == [UnknownCommand, UnknownCommand]


@pytest.mark.parametrize("do", ["do", "DO", "d"])
def test_do_is_refused_however_it_is_spelt(do):
    assert mistakes(f"  {do} show version") == [(1, 3, UnknownCommand, f"unrecognized keyword {do}")]


@pytest.mark.parametrize("line", ["\x00\x01\x02", "hostname a\x1b[31m", "hostname a\x9b31m", "hostname \ufffd", "\udcff"])
def test_what_is_not_text_is_refused(line):
    assert "is this a text file?" in mistakes(line)[0][3]


def test_a_line_without_end_is_refused():
    assert (
        mistakes("x" * (LINE_LENGTH + 1))[0][3]
        == f"the line has {LINE_LENGTH + 1} characters, at most {LINE_LENGTH} are possible"
    )


def test_reading_stops_after_many_mistakes():
    assert len(mistakes(*["x"] * 1000)) == MOST_MISTAKES


def test_an_editor_never_touches_where_it_started():
    base = loaded('tunnel gre "a"', "exit", "ip route 10.0.0.0/8 1.1.1.1")
    before = repr(base)
    editor = Editor(base)
    for line in ('tunnel gre "a"', "key 1", "exit", "no ip route 10.0.0.0/8 1.1.1.1", 'no tunnel gre "a"'):
        apply_line(grammar, editor, line)
        middle = editor.config()
    assert middle == Config()
    assert repr(base) == before


def test_the_configuration_can_be_taken_in_the_middle_of_a_block():
    editor = Editor(Config())
    apply_line(grammar, editor, 'tunnel gre "a"')
    first = editor.config()
    apply_line(grammar, editor, "key 1")
    assert (first.gre_tunnel["a"].key, editor.config().gre_tunnel["a"].key) == (None, 1)
    assert (editor.section, editor.name) == ("gre_tunnel", "a")
    assert editor.has("gre_tunnel", "a")


def test_a_password_is_kept_as_its_hash():
    users = loaded("admin user a", "password x y", "admin user b", "password x y").admin_user
    assert all(verify_password(user.password, "x y") for user in users.values())
    assert users["a"].password != users["b"].password


def test_the_search_for_garbage_is_left_as_it_was():
    gc.disable()
    try:
        loaded("hostname a")
        assert not gc.isenabled()
    finally:
        gc.enable()
    loaded("hostname a")
    assert gc.isenabled()


def test_the_heads_of_blocks_are_remembered_for_later_errors():
    found = load(grammar, '\ntunnel gre "a"\nexit\ninterface tunnel1\nexit\ntunnel gre "a"\n')
    assert found.places == {("gre_tunnel", "a"): 2, ("tunnel_interface", "tunnel1"): 4}


@pytest.mark.parametrize(
    ("head", "line", "gone", "again"),
    [
        ("slb virtual-server v type http id 1", 'rule 5 path /x server-pool "p"', "no rule 5", "there is no such entry: rule 5"),
        ("app-profile a", "timeout client 5", "no timeout client", "there is no such entry: timeout client"),
        (
            "app-profile a",
            "header request remove X-A",
            "no header request remove X-A",
            "there is no such entry: header request remove X-A",
        ),
    ],
)
def test_an_entry_goes_by_what_tells_it_from_others(head, line, gone, again):
    loaded = load(grammar, f"{head}\n{line}\n{gone}\n{gone}\n")
    assert [(m.line, str(m.error)) for m in loaded.mistakes] == [(4, again)]
