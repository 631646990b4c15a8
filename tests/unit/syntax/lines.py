"""Every line of the grammar, written with sample values."""

from __future__ import annotations

import re
from functools import cache

from hypothesis import find
from hypothesis import strategies as st

from hsadc.errors import BadValue
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.render import line_templates
from hsadc.syntax.values import Terminal

BY_NAME = {
    "MASK": "255.255.255.255",
    "HASH": "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHNBs2Dkf2Q",
    "SSH_KEY": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEYNiQDdVDQzP3ZXm3sylgzjceSFsE1EObd9f4J4rkqI me",
}
"""Values that a regular expression does not make, or that fit the others of their line."""

USUAL = (
    '"sample"',
    "100",
    "1",
    "10.0.0.1",
    "10.0.0.1/24",
    "10.0.0.0/8",
    "255.255.255.0",
    "ethernet0/0",
    "tunnel1",
    "2001:db8::1",
    "2001:db8::1/64",
)


@cache
def sample(terminal: Terminal) -> str:
    """A word that the terminal takes."""

    def is_value(word: str) -> bool:
        try:
            return bool(terminal.matches(word)) and terminal.parse(word) is not None
        except BadValue:
            return False

    usual = next(filter(is_value, [BY_NAME.get(terminal.name, ""), *USUAL]), None)
    return usual or find(st.from_regex(re.compile(terminal.pattern, re.ASCII), fullmatch=True), is_value)


def write(part: object) -> str:
    """A piece of a line as it may be typed."""
    return part if isinstance(part, str) else sample(part) if isinstance(part, Terminal) else min(part)


def every_line(grammar: Grammar):
    """The mode, the form and the words of each line of the grammar."""
    for mode, root in grammar.roots.items():
        for form, parts in line_templates(root):
            yield mode, form, [write(part) for part in parts]
