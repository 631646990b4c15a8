"""What a configuration must satisfy whatever the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.config.change import Change
from hsadc.config.check import check_file
from hsadc.config.validate import validate
from hsadc.errors import ConfigError
from hsadc.model.config import SECTIONS, Config
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import MOST_MISTAKES, load
from tests.unit.config.strategies import valid_configs

SAMPLES = sorted((Path(__file__).parents[3] / "samples").glob("*.cfg"))
grammar = load_grammar()

BASE = """
interface ethernet0/0
  ip address 10.0.0.1/24
exit
tunnel gre "t"
  source interface ethernet0/0
  destination 10.9.0.2
exit
interface tunnel1
  tunnel gre "t"
exit
app-profile "a" type http
exit
slb real-server "r"
  ip 10.0.0.33
exit
slb server-pool "p"
  real-server "r"
exit
slb virtual-server "v" type http id 1
  app-profile "a"
  server-pool "p"
  ip 10.0.0.1 port 80
  mirror-traffic interface tunnel1
exit
"""


def config(text, base=None):
    found = load(grammar, text, base)
    assert found.mistakes == ()
    return found.config


def wrong(text):
    """What is wrong with BASE and these lines, whether they are read as one file or are typed into a device."""
    before = config(BASE)
    after = config(text, before)
    found = [str(error) for _, _, error in validate(Change(before, after))]
    assert found == [str(error) for _, _, error in validate(Change(Config(), after))]
    return found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('interface tunnel2\ntunnel gre "x"', 'interface tunnel2: tunnel gre "x" does not exist'),
        ('slb server-pool "p"\nreal-server "x"', 'slb server-pool "p": slb real-server "x" does not exist'),
        ('slb real-server "r"\nip 0.0.0.0', 'slb real-server "r": its ip 0.0.0.0 is not the address of a single host'),
        ('slb real-server "r"\nip 224.0.0.1', 'slb real-server "r": its ip 224.0.0.1 is not the address of a single host'),
        *(
            (text, 'slb virtual-server "v": slb real-server "r" of its pool is the virtual server itself')
            for text in (
                'slb real-server "r"\nip 10.0.0.1',
                'slb real-server "r"\nip 10.0.0.1\nport 80',
                'slb real-server "r"\nip 10.0.0.1\nport 81\nslb server-pool "p"\nreal-server "r" port 80',
            )
        ),
        ('slb virtual-server "v"\napp-profile x', 'slb virtual-server "v": app-profile "x" does not exist'),
        ('slb virtual-server "v"\nserver-pool x', 'slb virtual-server "v": slb server-pool "x" does not exist'),
        ('slb virtual-server "v"\nmirror-traffic interface tunnel9', 'slb virtual-server "v": interface tunnel9 does not exist'),
        ('tunnel gre "t"\nno destination', 'tunnel gre "t": it has no destination, and interface tunnel1 sends through it'),
        ('tunnel gre "t"\nno source', 'tunnel gre "t": it has no source, and interface tunnel1 sends through it'),
        (
            'tunnel gre "t"\ndestination 224.0.0.1',
            'tunnel gre "t": its destination 224.0.0.1 is not the address of a single other host',
        ),
        ('tunnel gre "t"\ndestination 10.0.0.1', 'tunnel gre "t": its destination 10.0.0.1 is an address of this device'),
        ("interface tunnel1\nno tunnel gre", 'slb virtual-server "v": its mirror\'s interface tunnel1 is not bound to a tunnel'),
        ("slb virtual-server w type http id 1", 'slb virtual-server "w": id 1 is slb virtual-server "v" already'),
        (
            "slb virtual-server w type http id 2\nip 10.0.0.1 port 80",
            'slb virtual-server "w": 10.0.0.1 port 80 is slb virtual-server "v" already',
        ),
        (
            "slb virtual-server w type tcp id 2\napp-profile a",
            'slb virtual-server "w": app-profile "a" is for type http, not tcp',
        ),
        (
            'interface ethernet0/0\nip address 10.9.0.2/8\nslb virtual-server "v"\nno ip',
            'tunnel gre "t": its destination 10.9.0.2 is an address of this device',
        ),
        ("interface ethernet0/0\nip address 10.0.0.7/24", 'slb virtual-server "v": 10.0.0.1 is not an address of this device'),
        ('slb virtual-server "v"\nip 10.0.0.2 port 80', 'slb virtual-server "v": 10.0.0.2 is not an address of this device'),
        (
            "interface ethernet0/1\nip address 10.1.0.255/24",
            (
                "interface ethernet0/1: 10.1.0.255/24 is not a host's address, the hosts of 10.1.0.0/24 are between its first "
                "and last address"
            ),
        ),
        (
            "ip route 0.0.0.0/0 10.0.0.2\nip route 0.0.0.0/0 10.0.0.3",
            "ip route 0.0.0.0/0 10.0.0.3: 10.0.0.2 leads there at distance 1 already, give another distance",
        ),
    ],
)
def test_one_mistake_one_line(text, message):
    assert wrong(text) == [message]


def test_a_real_server_may_be_on_this_device_at_another_port():
    assert wrong('slb real-server "r"\nip 10.0.0.1\nport 81') == []
    assert wrong('slb real-server "r"\nip 127.0.0.1') == []


def test_what_is_right():
    assert wrong("") == []
    assert wrong("interface ethernet0/1\nip address 10.1.0.0/31") == []
    assert wrong("ip route 0.0.0.0/0 10.0.0.2\nip route 0.0.0.0/0 10.0.0.3 distance 2") == []
    # An interface without addresses has what the system gives it: only the device knows.
    assert wrong('interface ethernet0/1\nexit\nslb virtual-server "v"\nip 10.0.0.2 port 80') == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('no tunnel gre "t"', 'tunnel gre "t": it is used by interface tunnel1 and cannot be deleted'),
        ("no interface tunnel1", 'interface tunnel1: it is used by slb virtual-server "v" and cannot be deleted'),
        ('no slb server-pool "p"', 'slb server-pool "p": it is used by slb virtual-server "v" and cannot be deleted'),
        ('no slb real-server "r"', 'slb real-server "r": it is used by slb server-pool "p" and cannot be deleted'),
        ('no app-profile "a"', 'app-profile "a": it is used by slb virtual-server "v" and cannot be deleted'),
    ],
)
def test_what_is_in_use_cannot_be_deleted(line, message):
    before = config(BASE)
    assert [str(e) for _, _, e in validate(Change(before, config(line, before)))] == [message]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.name)
def test_the_samples_are_right(sample):
    assert check_file(grammar, sample) == []


def test_a_check_finds_every_mistake_with_its_place(tmp_path):
    file = tmp_path / "x.cfg"
    file.write_text('tunnel gre "t"\n  destinaton 1.2.3.4\nexit\nip route 0.0.0.0/0\n')
    found = check_file(grammar, file)
    assert [(f.line, f.column, f.message) for f in found] == [
        (2, 3, "unrecognized keyword destinaton, did you mean 'destination'?"),
        (4, 19, "incomplete command"),
    ]
    assert list(found[0].lines())[1:] == [
        "    destinaton 1.2.3.4",
        "    ^ expected description, destination, end, exit, interface, key, no, source",
    ]
    assert list(found[1].lines())[2] == "                    ^ expected A.B.C.D, ethernet<slot>/<port>"


@pytest.mark.parametrize(("number", "told"), [(99, 99), (1000, MOST_MISTAKES + 1)])
def test_a_check_says_when_there_may_be_more_mistakes(tmp_path, number, told):
    file = tmp_path / "x.cfg"
    file.write_text("nonsense\n" * number)
    *_, last = found = check_file(grammar, file)
    assert len(found) == told
    assert (list(last.lines()) == [f"{file}: these are the first 100 mistakes, there may be more"]) == (told != number)


def test_a_mistake_in_the_meaning_has_the_place_of_its_block(tmp_path):
    file = tmp_path / "x.cfg"
    file.write_text('\ninterface tunnel1\n  tunnel gre "x"\nexit\nip route 0.0.0.0/0 1.1.1.1\nip route 0.0.0.0/0 1.1.1.2\n')
    found = [list(f.lines()) for f in check_file(grammar, file)]
    assert [f[0].replace(str(file), "F") for f in found] == [
        'F:2:1: interface tunnel1: tunnel gre "x" does not exist',
        "F: ip route 0.0.0.0/0 1.1.1.2: 1.1.1.1 leads there at distance 1 already, give another distance",
    ]


def test_a_long_line_is_shown_around_the_mistake(tmp_path):
    file = tmp_path / "x.cfg"
    file.write_text("hostname a " + "y" * 40000)
    (finding,) = check_file(grammar, file)
    _, text, caret = finding.lines()
    assert len(text) < 200
    assert text[caret.index("^")] == "y"


@pytest.mark.parametrize(("data", "words"), [(b"\xff\xfe", "not a text file: byte 0 is not UTF-8"), (None, "No such file")])
def test_what_cannot_be_read(tmp_path, data, words):
    file = tmp_path / "x.cfg"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(ConfigError, match=words):
        check_file(grammar, file)


@st.composite
def changes(draw):
    """A configuration that is right, and one where objects are gone, or as in another configuration."""
    before, other = draw(valid_configs()), draw(valid_configs())
    after = {"routes": other.routes}
    for section in SECTIONS:
        ours, theirs = getattr(before, section), getattr(other, section)
        taken = {name: draw(st.sampled_from([ours.get(name), theirs.get(name)])) for name in ours | theirs}
        after[section] = draw(st.sampled_from([ours, {name: thing for name, thing in taken.items() if thing is not None}]))
    return before, replace(before, **after)


@given(changes())
def test_what_has_changed_is_all_that_can_be_wrong(change):
    before, after = change
    assert validate(Change(Config(), before)) == []
    assert [found[:2] for found in validate(Change(before, after))] == [found[:2] for found in validate(Change(Config(), after))]
