"""Values: what is rendered parses, what is of another kind is not rendered."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from hsadc.errors import BadValue
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.nodes import Command
from hsadc.syntax.render import Renderer
from hsadc.syntax.values import make_terminal
from hsadc.syntax.words import column_of, quote, split_words, unquote

address = make_terminal("IPV4", r"[\d.]+", 2, "A.B.C.D", "")
prefix = make_terminal("PREFIX", r"[\d./]+", 2, "A.B.C.D/M", "")
network = make_terminal("NETWORK", r"[\d./]+", 2, "A.B.C.D/M", "")
number = make_terminal("PORT", r"\d+", 2, "<1-65535>", "")
name = make_terminal("NAME", r"\S+", -1, "WORD", "pool")
ethernet = make_terminal("ETHERNET", r"ethernet\d+/\d+", 2, "ethernet<slot>/<port>", "")


def test_a_value_of_another_kind_is_not_rendered():
    assert address.render(IPv4Address("1.2.3.4")) == "1.2.3.4"
    assert address.render(IPv4Interface("1.2.3.4/8")) is None
    assert prefix.render(IPv4Interface("1.2.3.4/8")) == "1.2.3.4/8"
    assert network.render(IPv4Network("1.0.0.0/8")) == "1.0.0.0/8"
    assert network.render(IPv4Interface("1.0.0.0/8")) is None
    assert number.render(80) == "80"
    assert number.render(0) is None
    assert number.render(True) is None
    assert name.render("a b") == '"a b"'
    assert name.render(7) is None
    assert ethernet.render("ethernet0/0") == "ethernet0/0"
    assert ethernet.render("tunnel1") is None


def test_a_command_that_the_grammar_has_no_line_for_is_a_bug():
    with pytest.raises(ValueError, match="no line for"):
        Renderer(load_grammar()).command(Command("gre_tunnel_key", False, (-1,)))
    with pytest.raises(ValueError, match="no line for"):
        Renderer(load_grammar()).command(Command("gre_tunnel_key", False, (1, 2)))


def test_what_is_an_address_for_the_pattern_but_not_for_the_library_is_refused():
    with pytest.raises(BadValue, match="is not valid"):
        address.parse("1.2.3")


def test_stems():
    assert ethernet.stem == "ethernet"
    assert name.stem == ""


def test_words():
    line = 'a "b \\" c" "d'
    assert split_words(line) == ["a", '"b \\" c"', '"d']
    assert [column_of(line, n) for n in range(4)] == [0, 2, 11, 13]
    assert unquote(quote('x "\\ y')) == 'x "\\ y'
    assert unquote("bare") == "bare"


@pytest.mark.parametrize(
    "line", ['a "b" c', '"b"', ' a "b"', 'a "b c"  d', 'a"b" c', 'a "b"c', 'a "b\\" c', '""', '"', 'a "b" "c"', 'a\t"b"\tc']
)
def test_one_quoted_name_is_split_as_many_are(line):
    assert split_words(line) == re.findall(r'"(?:[^"\\]|\\.)*"(?=\s|$)|"[^"]*$|\S+', line)
