"""The reference: as the grammar is now, and forms that say exactly the lines they were made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.reference import joined, reference

FILE = Path(__file__).parents[3] / "docs" / "cli-reference.md"


def test_the_reference_is_that_of_the_grammar():
    assert FILE.read_text() == "".join(f"{line}\n" for line in reference(load_grammar())), "run make docs"


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        (["a"], "a"),
        (["a", "a b"], "a [b]"),
        (["a b", "a c"], "a {b | c}"),
        (["a c", "b c"], "{a | b} c"),
        (["a", "a b", "a c"], "a [b | c]"),
        (["a", "a b x", "a c y", "a b x c y"], "a [b x] [c y]"),
        (["a b x", "a c"], "a {b x | c}"),
        (["a x", "b x", "a y", "b y"], "{a | b} {x | y}"),
        (["s c p", "s c r p", "s k p", "s c q", "s c r q", "s k q"], "s {c [r] | k} {p | q}"),
        (["a b", "b"], "[a] b"),
        (["b", "c", "a b", "a c"], "[a] {b | c}"),
        (["a d", "a b d", "a c c d"], "a [b | c c] d"),
        (["d", "b d", "c c d", "e", "b e", "c c e"], "[b | c c] {d | e}"),
        (["a x y", "a {b | c} y z", "a q"], "a {q | x y | {b | c} y z}"),
        (["a x", "a {b | c}"], "a {x | b | c}"),
    ],
)
def test_lines_become_one_form(lines, form):
    assert " ".join(joined({tuple(line.split()) for line in lines})) == form


def test_a_setting_of_the_grammar_is_described():
    text = FILE.read_text()
    assert "- `mtu <576-9216>` or `no mtu`: `mtu` Maximum transmission unit; `<576-9216>` Bytes of an IP packet." in text
    assert "- `[no] real-server WORD [port <1-65535>] [weight <1-255>] [priority <1-100>]`: " in text
    assert "Default: `weighted-round-robin`." in text
    assert "; `<0-63>` Code point (RFC 2474). Default: `0`." in text
    ends = "{A.B.C.D/M|X:X::X:X/M | any | host A.B.C.D|X:X::X:X} [eq <0-65535> | range <0-65535> <0-65535>]"
    assert f"- `[no] {{deny | permit}} {{<0-255> | icmp | ip | tcp | udp}} {ends} {ends}`: `deny` Leave flows" in text


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("- `persistence ", "; `<1-1440>` Minutes. Default: `timeout 30 name HSADC`."),
        ("- `rule <1-65535> ", "`/PATH` Beginning of a path, such as /images/."),
        ("- `mirror-traffic {interface tunnel<1-65535> | profile WORD} [port ", " Default: `view decrypted`."),
        ("- `[no] ip route ", " Default: `distance 1`."),
        ("- `[no] real-server ", " Default: `priority 1`."),
    ],
)
def test_defaults_of_several_words_are_as_typed(line, end):
    (found,) = [text for text in reference(load_grammar()) if text.startswith(line)]
    assert found.endswith(end)
