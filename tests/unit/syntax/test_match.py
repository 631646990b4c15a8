"""Lines to commands: abbreviation, values, and errors with their place."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from hsadc.errors import AmbiguousCommand, BadValue, IncompleteCommand, UnknownCommand
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.match import match, match_in
from hsadc.syntax.nodes import Command

grammar = load_grammar()


@pytest.mark.parametrize(
    ("mode", "line", "command"),
    [
        ("exec", "conf t", Command("enter_config")),
        ("exec", "CONFIGURE", Command("enter_config")),
        ("exec", "sh run", Command("show_running_config")),
        ("exec", "sh conf", Command("show_running_config")),
        ("exec", "sh conf start", Command("show_startup_config")),
        ("exec", "wr", Command("save")),
        ("exec", "copy running-config startup-config", Command("save")),
        ("exec", "save before the change", Command("save", False, ("before the change",))),
        ("exec", "sh int e0/0", Command("show_interface", False, ("ethernet0/0",))),
        ("exec", "sh tunnel gre", Command("show_tunnel_gre", False, (None,))),
        ("config", "int tun1", Command("head_tunnel_interface", False, ("tunnel1",))),
        ("config", "interface ETH0/1", Command("head_ethernet", False, ("ethernet0/1",))),
        ("config", 'tunnel gre "a b"', Command("head_gre_tunnel", False, ("a b",))),
        ("config", 'tunnel gre "a\\"b\\\\"', Command("head_gre_tunnel", False, ('a"b\\',))),
        ("config", "tunnel gre gre", Command("head_gre_tunnel", False, ("gre",))),
        ("config", 'no tunnel gre "x"', Command("no_gre_tunnel", True, ("x",))),
        ("config", "slb virt l7 type http id 1", Command("head_virtual_server", False, ("l7", "http", 1))),
        ("config", "slb virt l7", Command("head_virtual_server", False, ("l7", None, None))),
        (
            "config",
            "ip route 10.0.0.0 255.0.0.0 1.2.3.4",
            Command("routes", False, (IPv4Network("10.0.0.0/8"), IPv4Address("1.2.3.4"), None)),
        ),
        ("config", "do show version", Command("do_exec", False, (Command("show_version"),))),
        ("ethernet", "ip addr 10.0.0.1 255.255.255.0", Command("ethernet_ip_address", False, (IPv4Interface("10.0.0.1/24"),))),
        ("ethernet", "no ip address", Command("ethernet_ip_address", True)),
        ("ethernet", 'description "a  b"', Command("ethernet_description", False, ("a  b",))),
        ("ethernet", 'description a  "b" c ', Command("ethernet_description", False, ('a  "b" c',))),
        ("gre_tunnel", "source interface e0/0", Command("gre_tunnel_source", False, ("ethernet0/0",))),
        ("gre_tunnel", "source 1.2.3.4", Command("gre_tunnel_source", False, (IPv4Address("1.2.3.4"),))),
        ("virtual_server", "ip 1.2.3.4 port 80", Command("virtual_server_ip", False, (IPv4Address("1.2.3.4"), 80))),
        ("virtual_server", "no ip", Command("virtual_server_ip", True)),
        (
            "virtual_server",
            "no mirror-traffic interface tunnel1",
            Command("virtual_server_mirror_traffic", True, ("interface", "tunnel1", None, None, None)),
        ),
        ("server_pool", "real-server 中文 weight 7", Command("server_pool_members", False, ("中文", None, 7, None))),
    ],
)
def test_a_line_becomes_a_command(mode, line, command):
    assert match(grammar.roots[mode], line) == command


@pytest.mark.parametrize(
    ("mode", "line", "error", "column", "words"),
    [
        ("config", "tunnel gree x", UnknownCommand, 7, "unrecognized keyword gree, did you mean 'gre'?"),
        ("config", 'tunnel gre "x"y', UnknownCommand, 11, 'unrecognized keyword "x"y'),
        ("config", 'tunnel gre "x', UnknownCommand, 11, 'unrecognized keyword "x'),
        ("config", '"tunnel" gre x', UnknownCommand, 0, None),
        ("config", "tunnel gre x y", UnknownCommand, 13, "unrecognized keyword y"),
        ("config", "x" * 100, UnknownCommand, 0, f"unrecognized keyword {'x' * 40}..."),
        ("config", 'tunnel gre ""', BadValue, 11, "a name has 1 to 63 characters, this one has 0"),
        ("config", "tunnel gre " + "x" * 64, BadValue, 11, "a name has 1 to 63 characters, this one has 64"),
        ("config", "tunnel gre a\u2028b", UnknownCommand, 13, None),
        ("config", 'tunnel gre "a\u2028b"', BadValue, 11, None),
        ("config", "  hostname ", IncompleteCommand, 10, "incomplete command"),
        ("config", "interface t99999", UnknownCommand, 10, "unrecognized keyword t99999"),
        ("config", "a", AmbiguousCommand, 0, "ambiguous command a"),
        ("config", "ip route 10.0.0.1/8 1.2.3.4", BadValue, 9, "10.0.0.1/8 is not a network, did you mean 10.0.0.0/8?"),
        (
            "config",
            "ip route 10.0.0.1 255.0.0.0 1.2.3.4",
            BadValue,
            28,
            "10.0.0.1 255.0.0.0 is not a network, did you mean 10.0.0.0 255.0.0.0?",
        ),
        ("config", "ip route 10.0.0.0 255.0.255.0 1.2.3.4", BadValue, 30, None),
        ("config", "slb virtual-server x type http id 0", BadValue, 34, "0 is out of range, it must be 1 to 65535"),
        ("virtual_server", "ip 1.2.3.4 port 65536", BadValue, 16, "65536 is out of range, it must be 1 to 65535"),
        ("virtual_server", "ip 1.2.3.256 port 80", UnknownCommand, 3, None),
        ("ethernet", "ip address 01.2.3.4/24", BadValue, 11, None),
        (
            "ethernet",
            "ip address 1.2.3.4/0",
            BadValue,
            11,
            "1.2.3.4/0 has no network, the prefix length of an interface is 1 to 32",
        ),
        ("ethernet", "ip address 1.2.3.4 0.0.0.0", BadValue, 19, None),
        (
            "ethernet",
            "ipv6 address 2001:db8::1/0",
            BadValue,
            13,
            "2001:db8::1/0 has no network, the prefix length of an interface is 1 to 128",
        ),
        ("ethernet", "ipv6 address 2001:db8::1/129", UnknownCommand, 13, None),
        ("ethernet", "ipv6 address 10.0.0.1/8", UnknownCommand, 13, None),
        ("gre_tunnel", "destination fe80::1%eth0", UnknownCommand, 12, None),
        ("gre_tunnel", "destination 1:2:3", BadValue, 12, None),
        (
            "access_list",
            "permit tcp 2001:db8::1/32 any",
            BadValue,
            11,
            "2001:db8::1/32 is not a network, did you mean 2001:db8::/32?",
        ),
        ("access_list", "permit tcp host 10.0.0.0/8 any", UnknownCommand, 16, None),
        ("access_list", "permit 256 any any", BadValue, 7, "256 is out of range, it must be 0 to 255"),
        ("vxlan_tunnel", "vni 16777216", BadValue, 4, "16777216 is out of range, it must be 0 to 16777215"),
        ("mirror_profile", "sampling packet 1", BadValue, 16, "1 is out of range, it must be 2 to 1000000"),
        (
            "admin_user",
            "password hashed foo",
            BadValue,
            16,
            "this is not a hash as show running-config prints it ($scrypt$...); a password stands without 'hashed'",
        ),
        (
            "admin_user",
            "ssh-key foo",
            BadValue,
            8,
            "this is not a public key, it must be a line as in id_ed25519.pub: TYPE BASE64 [COMMENT]",
        ),
    ],
)
def test_a_wrong_line_says_where_and_why(mode, line, error, column, words):
    with pytest.raises(error) as caught:
        match(grammar.roots[mode], line)
    assert caught.value.column == column
    if words is not None:
        assert str(caught.value) == words


def test_an_error_says_what_was_expected():
    with pytest.raises(UnknownCommand) as caught:
        match(grammar.roots["gre_tunnel"], "source 1.2.3")
    assert caught.value.expected == ("A.B.C.D", "X:X::X:X", "interface")
    with pytest.raises(IncompleteCommand) as caught:
        match(grammar.roots["exec"], "show tunnel")
    assert caught.value.expected == ("erspan", "gre", "vxlan")


def test_of_several_modes_the_error_that_got_furthest_is_shown():
    modes = [grammar.roots[m] for m in ("gre_tunnel", "config", "exec")]
    assert match_in(modes, "show version", match)[0] == 2
    assert match_in(modes, "interface ethernet0/0", match)[0] == 0
    assert match_in(modes, "interface tunnel1", match)[0] == 1
    with pytest.raises(UnknownCommand, match="tunnel99999"):
        match_in(modes, "interface tunnel99999", match)
    with pytest.raises(UnknownCommand, match="ethernet0"):
        match_in(modes, "source interface ethernet0", match)
    with pytest.raises(UnknownCommand, match="did you mean 'source'"):
        match_in(modes, "sourc2 interface ethernet0", match)
    with pytest.raises(UnknownCommand, match="versio2"):
        match_in(modes, "show versio2", match)


@pytest.mark.parametrize(("mode", "line"), [("real_server", "port \u0663"), ("config", "interface ethernet0/\u0661")])
def test_a_number_has_ascii_digits(mode, line):
    with pytest.raises(UnknownCommand):
        match(grammar.roots[mode], line)
