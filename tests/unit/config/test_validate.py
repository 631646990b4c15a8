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


NO_MIRROR = "slb virtual-server v\nno mirror-traffic"


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
        ("interface tunnel1\nno tunnel", 'slb virtual-server "v": its mirror\'s interface tunnel1 is not bound to a tunnel'),
        ('interface tunnel2\ntunnel vxlan "t"', 'interface tunnel2: tunnel vxlan "t" does not exist'),
        ('interface tunnel2\ntunnel erspan "t"', 'interface tunnel2: tunnel erspan "t" does not exist'),
        (
            "tunnel vxlan x\nsource 10.0.0.1\ndestination 10.9.0.2\nexit\ninterface tunnel2\ntunnel vxlan x",
            'tunnel vxlan "x": it has no vni, and interface tunnel2 sends through it',
        ),
        (
            "tunnel erspan x\nsource 10.0.0.1\nexit\ninterface tunnel2\ntunnel erspan x",
            'tunnel erspan "x": it has no destination, and interface tunnel2 sends through it',
        ),
        *(
            (
                f'tunnel gre "t"\nsource interface ethernet0/0\ndestination {address}',
                f'tunnel gre "t": its destination {address} is not the address of a single other host',
            )
            for address in ("0.0.0.0", "255.255.255.255", "127.0.0.1", "::", "::1", "ff02::1", "::ffff:a09:2")
        ),
        (
            "interface ethernet0/1\nipv6 address 2001:db8::1/64\nexit\ntunnel vxlan x\ndestination 2001:db8::1",
            'tunnel vxlan "x": its destination 2001:db8::1 is an address of this device',
        ),
        (
            'tunnel gre "t"\nsource 10.0.0.1\ndestination 2001:db8::9',
            'tunnel gre "t": its source 10.0.0.1 is IPv4 and its destination 2001:db8::9 is not, give both of one family',
        ),
        (
            "tunnel erspan x\nsource 2001:db8::9\ndestination 10.9.0.2",
            'tunnel erspan "x": its source 2001:db8::9 is IPv6 and its destination 10.9.0.2 is not, give both of one family',
        ),
        (
            'tunnel gre "t"\noversize fragment\ndont-fragment',
            'tunnel gre "t": oversize fragment sends fragments, and dont-fragment forbids them: take one of the two',
        ),
        ("mirror-profile p\naccess-list l", 'mirror-profile "p": access-list "l" does not exist'),
        ("mirror-profile p\ndestination interface t9", 'mirror-profile "p": interface tunnel9 does not exist'),
        ('slb virtual-server "v"\nmirror-traffic profile p', 'slb virtual-server "v": mirror-profile "p" does not exist'),
        ("interface ethernet0/1\nmirror-traffic profile p", 'interface ethernet0/1: mirror-profile "p" does not exist'),
        ("interface ethernet0/1\nmirror-traffic interface t9", "interface ethernet0/1: interface tunnel9 does not exist"),
        (
            "interface ethernet0/1\nmirror-traffic interface t1 access-list l",
            'interface ethernet0/1: access-list "l" does not exist',
        ),
        (
            "interface tunnel2\nexit\ninterface ethernet0/1\nmirror-traffic interface t2",
            "interface ethernet0/1: its mirror's interface tunnel2 is not bound to a tunnel",
        ),
        (
            'mirror-profile p\nexit\nslb virtual-server "v"\nmirror-traffic profile p',
            'mirror-profile "p": it has no destination, and slb virtual-server "v" is mirrored to it',
        ),
        (
            "mirror-profile p\nexit\ninterface ethernet0/1\nmirror-traffic profile p",
            'mirror-profile "p": it has no destination, and interface ethernet0/1 is mirrored to it',
        ),
        (
            (
                "interface tunnel2\nmirror-profile p\ndestination interface t2\n"
                "destination interface e0/2\nexit\ninterface ethernet0/1\nmirror-traffic profile p"
            ),
            'mirror-profile "p": its destination interface tunnel2 is not bound to a tunnel',
        ),
        (
            "mirror-profile p\n" + "\n".join(f"destination interface e0/{n}" for n in range(9)),
            'mirror-profile "p": it has 9 destinations, at most 8 are possible',
        ),
        *(
            (
                f"mirror-profile p\ndestination interface e0/2\nexit\n{user}",
                (
                    'interface ethernet0/2: it is mirrored, and mirror-profile "p" sends copies out of it, which would be copied '
                    "again"
                ),
            )
            for user in (
                "interface ethernet0/2\nmirror-traffic profile p",
                "interface ethernet0/1\nmirror-traffic profile p\ninterface ethernet0/2\nmirror-traffic interface t1",
                "interface ethernet0/2\nmirror-traffic interface t1\nslb virtual-server v\nmirror-traffic profile p",
            )
        ),
        (
            "access-list l\n" + "\n".join(f"permit {n} any any" for n in range(65)),
            'access-list "l": it has 65 entries, at most 64 are possible',
        ),
        (
            "access-list l\npermit tcp 10.0.0.1 2001:db8::/32",
            (
                'access-list "l": permit tcp 10.0.0.1/32 2001:db8::/32: one end is IPv4 and the other IPv6, they must be of one '
                "family"
            ),
        ),
        *(
            (
                f"access-list l\ndeny {protocol} {ends}",
                f'access-list "l": deny {protocol} {ends}: {protocol} has no ports, say tcp or udp',
            )
            for protocol, ends in (("ip", "any any eq 80"), ("icmp", "any eq 1 any"), ("47", "any any range 1 2"))
        ),
        *(
            (f"interface ethernet0/1\nipv6 address {address}", f"interface ethernet0/1: {address} is not a host's address")
            for address in ("::1/128", "ff02::1/64", "::/1", "::ffff:a00:1/128")
        ),
        (
            "interface ethernet0/1\nipv6 address 2001:db8::/64",
            (
                "interface ethernet0/1: 2001:db8::/64 is not a host's address, the first one of 2001:db8::/64 is that of all its "
                "routers"
            ),
        ),
        ("slb virtual-server w type http id 1", 'slb virtual-server "w": id 1 is slb virtual-server "v" already'),
        (
            "slb virtual-server w type http id 2\nip 10.0.0.1 port 80",
            'slb virtual-server "w": 10.0.0.1 port 80 is slb virtual-server "v" already',
        ),
        (
            "slb virtual-server w type tcp id 2\napp-profile a",
            'slb virtual-server "w": app-profile is for type http or https, and this one is of type tcp',
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
    assert wrong('slb real-server "r"\nip 127.0.0.1\nslb virtual-server "v"\nauto-snat') == []


def test_what_is_right():
    assert wrong("") == []
    assert wrong("interface ethernet0/1\nip address 10.1.0.0/31") == []
    assert wrong("ip route 0.0.0.0/0 10.0.0.2\nip route 0.0.0.0/0 10.0.0.3 distance 2") == []
    assert wrong('tunnel gre "t"\nsource interface ethernet0/0\ndestination 2001:db8::9\ndont-fragment\noversize fragment') == []
    assert wrong('tunnel gre "t"\nno destination\ndont-fragment\noversize fragment\ninterface t1\nno tunnel\n' + NO_MIRROR) == []
    assert wrong("tunnel vxlan x\nsource 10.0.0.1\ndestination 10.9.0.2\nvni 0\ninterface tunnel2\ntunnel vxlan x") == []
    assert wrong("mirror-profile p") == []
    assert wrong("interface tunnel2\nmirror-profile p\ndestination interface t2") == []
    assert wrong("access-list l\npermit 6 any any eq 80\npermit 17 any eq 1 any\npermit udp 2001:db8::1 eq 53 any") == []
    assert wrong("interface ethernet0/1\nipv6 address fe80::1/10\nipv6 address 2001:db8::/127") == []
    assert wrong("access-list l\n" + "\n".join(f"permit {n} any any" for n in range(64))) == []
    eight = "\n".join(f"destination interface e0/{n}" for n in range(8))
    assert wrong(f"mirror-profile p\n{eight}\ninterface ethernet0/8\nmirror-traffic profile p") == []
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


MIRRORED = """
access-list "l"
exit
tunnel vxlan "x"
  source 10.0.0.1
  destination 10.9.0.3
  vni 7
exit
interface tunnel2
  tunnel vxlan "x"
exit
mirror-profile "p"
  destination interface tunnel2
  access-list "l"
exit
interface ethernet0/1
  mirror-traffic profile "p" access-list "m"
exit
access-list "m"
exit
interface ethernet0/2
  mirror-traffic interface tunnel1
exit
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('no tunnel vxlan "x"', 'tunnel vxlan "x": it is used by interface tunnel2 and cannot be deleted'),
        ("no interface tunnel2", 'interface tunnel2: it is used by mirror-profile "p" and cannot be deleted'),
        ("no interface tunnel1", "interface tunnel1: it is used by interface ethernet0/2 and cannot be deleted"),
        ('no access-list "l"', 'access-list "l": it is used by mirror-profile "p" and cannot be deleted'),
        ('no access-list "m"', 'access-list "m": it is used by interface ethernet0/1 and cannot be deleted'),
        ('no mirror-profile "p"', 'mirror-profile "p": it is used by interface ethernet0/1 and cannot be deleted'),
    ],
)
def test_what_mirrors_cannot_be_deleted(line, message):
    before = config(BASE + MIRRORED + NO_MIRROR)
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
        (
            "    ^ expected checksum, description, destination, dont-fragment, dscp, end, exit, interface, key, mtu, no, "
            "oversize, payload, receiver, sequence, source, ttl"
        ),
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
