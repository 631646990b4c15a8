"""What may stand at the end of a half-typed line."""

from __future__ import annotations

import pytest

from hsadc.errors import UnknownCommand
from hsadc.syntax.complete import MOST_NAMES, candidates, last_word
from hsadc.syntax.grammar import load_grammar

grammar = load_grammar()
live = {
    "gre_tunnel": ["to-a", "to b", "中文"],
    "erspan_tunnel": ["zeek"],
    "tunnel_interface": ["tunnel1"],
    "mirror_profile": ["both"],
    "access_list": ["web"],
    "ethernet": ["ethernet0/0", "ethernet0/1"],
    "server_pool": [f"p{n}" for n in range(300)],
}


def words(mode, line):
    return [c.word for c in candidates(grammar.roots[mode], line, lambda kind: live.get(kind, ()))]


@pytest.mark.parametrize(
    ("mode", "line", "expected"),
    [
        ("exec", "s", ["save", "show"]),
        ("exec", "S", ["save", "show"]),
        ("exec", "sh", ["show"]),
        ("exec", "show i", ["interface", "ip", "ipv6"]),
        ("exec", "show ip ", ["route"]),
        ("exec", "show tunnel gre ", ['"to b"', '"to-a"', '"中文"', "<cr>", "WORD"]),
        ("exec", "show tunnel gre to", ['"to b"', '"to-a"', "WORD"]),
        ("exec", 'show tunnel gre "to ', ['"to b"', "WORD"]),
        ("gre_tunnel", "source ", ["interface", "A.B.C.D", "X:X::X:X"]),
        ("gre_tunnel", "destination 2001:db8::1", ["X:X::X:X"]),
        ("gre_tunnel", "oversize ", ["drop", "fragment", "segment", "truncate"]),
        ("gre_tunnel", "payload e", ["ethernet"]),
        ("erspan_tunnel", "version 4", []),
        ("tunnel_interface", "tunnel ", ["erspan", "gre", "vxlan"]),
        ("tunnel_interface", "tunnel erspan ", ['"zeek"', "WORD"]),
        ("tunnel_interface", "no tunnel ", ["erspan", "gre", "vxlan", "<cr>"]),
        ("virtual_server", "mirror-traffic ", ["interface", "profile"]),
        ("virtual_server", "mirror-traffic interface ", ["tunnel1", "tunnel<1-65535>"]),
        ("virtual_server", "mirror-traffic profile ", ['"both"', "WORD"]),
        ("ethernet", 'mirror-traffic profile "both" ', ["access-list", "direction", "<cr>"]),
        ("ethernet", 'mirror-traffic profile "both" access-list ', ['"web"', "WORD"]),
        ("ethernet", 'mirror-traffic profile "both" access-list "web" ', ["direction", "<cr>"]),
        ("ethernet", "ipv6 address ", ["X:X::X:X/M"]),
        ("mirror_profile", "destination interface t", ["tunnel1"]),
        ("mirror_profile", "rate-limit 10 ", ["mbps", "pps"]),
        ("mirror_profile", "access-list ", ['"web"', "WORD"]),
        ("access_list", "permit tcp ", ["any", "host", "A.B.C.D/M|X:X::X:X/M"]),
        ("access_list", "permit ", ["icmp", "ip", "tcp", "udp", "<0-255>"]),
        ("access_list", "permit tcp any eq 80 an", ["any"]),
        ("access_list", "permit tcp any eq 80 any ", ["eq", "range", "<cr>"]),
        ("exec", "show running-config tunnel ", ["erspan", "gre", "vxlan", "<cr>"]),
        ("exec", "show running-config mirror-profile ", ['"both"', "<cr>", "WORD"]),
        ("gre_tunnel", "source interface ", ["ethernet0/0", "ethernet0/1", "ethernet<slot>/<port>"]),
        ("gre_tunnel", "source interface ethernet0/1", ["ethernet0/1", "ethernet<slot>/<port>"]),
        ("gre_tunnel", "source 1.2", []),
        ("gre_tunnel", "source 1.2.3.4", ["A.B.C.D"]),
        ("gre_tunnel", "source 1.2.3.4 ", ["<cr>"]),
        ("gre_tunnel", "key 99999999999", []),
        ("gre_tunnel", "key 4294967296", []),
        (
            "server_pool",
            "load-balance ",
            ["least-connection", "random", "round-robin", "source-hash", "uri-hash", "weighted-round-robin"],
        ),
        ("server_pool", "load-balance ro", ["round-robin"]),
        ("exec", "save x", ["LINE"]),
        ("exec", "save x y", ["<cr>"]),
        ("exec", "save x y ", ["<cr>"]),
        ("exec", 'show tunnel gre "to a', ["WORD"]),
        ("exec", 'show tunnel gre "to-a"x', []),
        ("exec", 'show tunnel gre "x\\', ["WORD"]),
    ],
)
def test_candidates(mode, line, expected):
    assert words(mode, line) == expected


def test_many_names_are_cut():
    found = words("exec", "show slb server-pool ")
    assert len([w for w in found if w.startswith('"')]) == MOST_NAMES
    assert "..." in found


def test_each_candidate_has_help():
    found = candidates(grammar.roots["config"], "", lambda _: ())
    assert {c.word for c in found if not c.text} == set()


def test_a_wrong_word_before_the_last_is_an_error():
    with pytest.raises(UnknownCommand):
        words("exec", "shw int")


def test_the_last_word():
    assert [last_word(line) for line in ("", "a ", "a b", 'a "b c', 'a "b c"')] == ["", "", "b", '"b c', '"b c"']
