"""What changes from one configuration to another."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import fields

import pytest
from hypothesis import given

from hsadc.config.change import Change
from hsadc.config.diff import Hunk, count, difference, unified
from hsadc.errors import HsadcError
from hsadc.model.config import Config
from hsadc.syntax.edit import Editor
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import apply_line, load
from hsadc.syntax.render import Renderer
from tests.unit.config.memory import FULL
from tests.unit.config.strategies import valid_configs

grammar = load_grammar()
renderer = Renderer(grammar)
BASE = load(grammar, FULL).config


def changed(lines):
    loaded = load(grammar, lines, BASE)
    assert loaded.mistakes == ()
    return difference(renderer, Change(BASE, loaded.config))


def test_each_changed_block_is_there_once_with_its_head_and_only_the_lines_that_change():
    changes = changed(
        """
        hostname core
        no ip route 0.0.0.0/0 10.0.0.254
        ip route 10.20.0.0/16 10.77.0.1 distance 9
        slb real-server "r"
          no port
          weight 7
        exit
        no tunnel gre "spare"
        slb server-pool "new"
        exit
        no slb virtual-server "off"
        slb virtual-server "off" type http id 2
        """
    )
    assert list(unified(changes, "startup", "running")) == [
        "--- startup",
        "+++ running",
        '-hostname "edge"',
        "-ip route 0.0.0.0/0 10.0.0.254",
        "-ip route 10.20.0.0/16 10.77.0.1",
        '+hostname "core"',
        "+ip route 10.20.0.0/16 10.77.0.1 distance 9",
        '-tunnel gre "spare"',
        "-exit",
        ' slb real-server "r"',
        "-  port 80",
        "+  weight 7",
        '+slb server-pool "new"',
        "+exit",
        '-slb virtual-server "off" type tcp id 2',
        "-  shutdown",
        "-exit",
        '+slb virtual-server "off" type http id 2',
        "+exit",
    ]
    assert changes[2] == Hunk('slb real-server "r"', ("  port 80",), ("  weight 7",))
    assert count(changes) == (7, 9)


def test_the_same_configuration_differs_in_nothing():
    assert changed("") == []
    assert list(unified([], "a", "b")) == []
    assert changed('slb server-pool "p"\nno real-server "r"\nreal-server "r" port 8080 weight 9') == [], "order is no difference"


LIST = ("permit tcp any any", "deny udp any any", "permit icmp any any", "deny ip any any")


@pytest.mark.parametrize(
    ("order", "removed", "added"),
    [
        ((1, 0, 2, 3), 1, 1),
        ((3, 2, 1, 0), 3, 3),
        ((3, 0, 1, 2), 1, 1),
        ((1, 2, 3, 0), 1, 1),
        ((2, 3), 2, 0),
        ((3, 2), 3, 1),
        ((), 4, 0),
        ((0, 1, 2, 3), 0, 0),
    ],
)
def test_in_an_access_list_what_has_moved_goes_and_comes(order, removed, added):
    old, new = (load(grammar, "\n".join(("access-list a", *lines))).config for lines in (LIST, [LIST[n] for n in order]))
    changes = difference(renderer, Change(old, new))
    assert count(changes) == (added, removed)
    for change in changes:
        assert change.block == 'access-list "a"'
        kept = [line for line in renderer.config(old) if line not in change.removed]
        assert kept == [line for line in renderer.config(new) if line not in change.added]


def test_the_order_of_a_profiles_destinations_is_a_difference():
    old, new = (
        load(grammar, f"mirror-profile p\ndestination interface {a}\ndestination interface {b}").config
        for a, b in (("tunnel1", "tunnel2"), ("tunnel2", "tunnel1"))
    )
    assert old != new
    assert count(difference(renderer, Change(old, new))) == (1, 1)


@given(valid_configs(), valid_configs())
def test_without_what_is_removed_and_with_what_is_added_one_is_the_other(old, new):
    changes = difference(renderer, Change(old, new))
    assert (changes == []) == (old == new)
    lines = Counter(renderer.config(old))
    lines.subtract(line for c in changes for line in c.removed)
    lines.update(line for c in changes for line in c.added)
    assert +lines == Counter(renderer.config(new))
    assert min(lines.values(), default=0) >= 0
    assert len({(c.block, bool(c.removed)) for c in changes}) == len(changes)
    back = difference(renderer, Change(new, old))
    assert count(back) == count(changes)[::-1]


@given(valid_configs(), valid_configs())
def test_an_editor_knows_all_that_its_lines_have_touched(old, new):
    editor = Editor(old)
    gone = [name for name in old.virtual_server if name not in new.virtual_server]
    removals = [f'slb virtual-server "{name}"' for name in gone] + list(renderer.config(Config(routes=old.routes)))
    for line in (*(f"no {removal}" for removal in removals), *renderer.config(new)):
        with suppress(HsadcError):  # what exists in another form
            apply_line(grammar, editor, line)
    config = editor.config()
    for section in (f.name for f in fields(Config) if f.name != "hostname"):
        compared = Change(old, config).differing(section)
        assert sorted(map(str, Change(old, config, editor.touched).differing(section))) == sorted(map(str, compared))


@given(valid_configs())
def test_from_nothing_every_line_is_added(config):
    added, removed = count(difference(renderer, Change(Config(), config)))
    assert (added, removed) == (len(list(renderer.config(config))), 0)


def test_blocks_that_both_share_are_not_written_as_text():
    class Counting(Renderer):
        blocks = 0

        def block(self, section, block):
            self.blocks += 1
            return super().block(section, block)

    counting = Counting(grammar)
    old = load(grammar, "\n".join(f'slb real-server "{n}"' for n in range(1000))).config
    new = load(grammar, 'slb real-server "500"\nweight 7\nslb real-server "x"', old).config
    assert count(difference(counting, Change(old, new))) == (3, 0)
    assert counting.blocks == 3
