"""Where the order of lines means something it is part of the configuration."""

from __future__ import annotations

import pytest

from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load

grammar = load_grammar()


@pytest.mark.parametrize(
    ("head", "lines", "counts"),
    [
        ("access-list a", ("permit tcp any any", "deny ip any any"), True),
        ("mirror-profile p", ("destination interface tunnel1", "destination interface tunnel2"), True),
        ("slb server-pool p", ("real-server a", "real-server b"), False),
    ],
)
def test_the_order_of_entries(head, lines, counts):
    one, other = (load(grammar, "\n".join((head, *order))).config for order in (lines, lines[::-1]))
    assert one == load(grammar, "\n".join((head, *lines))).config
    assert (one != other) == counts


def test_an_access_list_is_no_profile():
    config = load(grammar, "access-list a\nexit\nmirror-profile a").config
    assert config.access_list["a"] != config.mirror_profile["a"]
    assert config.mirror_profile["a"] != config.access_list["a"]
