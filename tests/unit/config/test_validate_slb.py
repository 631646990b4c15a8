"""What virtual servers, pools, monitors and profiles must satisfy whatever the machine."""

from __future__ import annotations

import pytest

from hsadc.config.change import Change
from hsadc.config.validate import validate
from hsadc.model.config import Config
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load

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
ssl-profile "s"
exit
app-profile "a"
exit
slb monitor "m" type icmp
exit
slb real-server "r"
  ip 10.0.0.33
exit
slb server-pool "p"
  real-server "r"
exit
slb server-pool "empty"
exit
slb virtual-server "v" type http id 1
  server-pool "p"
  auto-snat
  ip 10.0.0.1 port 80
exit
"""
TLS = 'slb virtual-server "w" type https id 2\nserver-pool "p"\nauto-snat\nip 10.0.0.1 port 443\n'
UDP = 'slb virtual-server "w" type udp id 2\nserver-pool "p"\nauto-snat\nip 10.0.0.1 port 53\n'
SECURE = 'slb virtual-server "w" type ssl id 2\nserver-pool "p"\nauto-snat\nip 10.0.0.1 port 443\n'
CHAIN = """
slb real-server "next"
  ip 10.0.0.1
  port 81
exit
slb server-pool "empty"
  real-server "next"
exit
slb virtual-server "v"
  server-pool "empty"
exit
slb virtual-server "x" type tcp id 9
  ip 10.0.0.1 port 81
  server-pool "p"
  auto-snat
exit
"""
W, P = 'slb virtual-server "w"', 'slb server-pool "p"'

MISTAKES = [
    (UDP + "log enable", f"{W}: log enable is for type http, https, ssl or tcp, and this one is of type udp"),
    (UDP + "max-connection 5", f"{W}: max-connection is for type http, https, ssl or tcp, and this one is of type udp"),
    (UDP + "ssl-profile s", f"{W}: ssl-profile is for type https or ssl, and this one is of type udp"),
    (TLS + "redirect https", f"{W}: redirect https is for type http, and this one is of type https"),
    (
        "slb virtual-server v\nmirror-traffic interface t1 port 81",
        'slb virtual-server "v": mirror-traffic with a port is for type https or ssl, and this one is of type http',
    ),
    (
        TLS + "mirror-traffic interface t1 port 80 view encrypted",
        f"{W}: mirror-traffic with a port is for decrypted copies, and view encrypted copies what is on the wire",
    ),
    (
        TLS + "mirror-traffic interface t1 view encrypted http2 raw",
        f"{W}: mirror-traffic with http2 is for decrypted copies, and view encrypted copies what is on the wire",
    ),
    (
        TLS + 'mirror-traffic interface t1 port 80\nslb virtual-server "x" type ssl id 3\nip 10.0.0.1 port 993\n'
        'server-pool "p"\nauto-snat\nmirror-traffic interface t1 port 80',
        f'slb virtual-server "x": in decrypted copies 10.0.0.1 port 80 is {W} already',
    ),
    (
        SECURE + "mirror-traffic interface t1 http2 raw",
        f"{W}: mirror-traffic with http2 is for type https, and this one is of type ssl",
    ),
    (
        "slb server-pool p\npersistence cookie timeout 5",
        f"{P}: persistence cookie has no timeout: the cookie lasts as long as the browser",
    ),
    ("slb server-pool p\npersistence source-ip name SID", f"{P}: persistence source-ip has no name: names are for cookies"),
    (
        'slb server-pool "p"\nbackup-pool "p"',
        f"{P}: its backup pools lead back to it: {P} cannot be its backup-pool",
    ),
    (
        "slb virtual-server v\nserver-pool empty",
        'slb virtual-server "v": its slb server-pool "empty" has no real-server with an ip',
    ),
    ("slb real-server r\nno ip", f'slb virtual-server "v": its {P} has no real-server with an ip'),
    (
        "slb real-server r\nip 2001:db8::1\nslb virtual-server v\nno auto-snat",
        f'slb virtual-server "v": its {P} has no real-server with an ip of IPv4, which it needs without auto-snat',
    ),
    ("slb real-server r\nip 2001:db8::1\n" + UDP, f"{W}: its {P} has no real-server with an ip of IPv4, which it needs"),
    (
        UDP + 'slb server-pool "p"\nload-balance least-connection',
        f"{W}: load-balance least-connection of its {P} is for type http, https, ssl or tcp, and this one is of type udp",
    ),
    (
        SECURE + 'slb server-pool "p"\npersistence cookie',
        f"{W}: persistence cookie of its {P} is for type http or https, and this one is of type ssl",
    ),
    ("slb monitor m\nhttp get /x", 'slb monitor "m": http is for type http or https, and this one is of type icmp'),
    ("slb monitor m\nudp answer", 'slb monitor "m": udp is for type udp, and this one is of type icmp'),
    ("slb monitor m\nport 5", 'slb monitor "m": port is for type http, https, tcp or udp, and this one is of type icmp'),
    (
        "app-profile a\nheader request insert X-A",
        'app-profile "a": header request insert X-A has no value: header request insert X-A VALUE',
    ),
    (
        'app-profile a\nheader response replace X-A ""',
        'app-profile "a": header response replace X-A has no value: header response replace X-A VALUE',
    ),
    (
        "app-profile a\nheader response remove X-A 5",
        'app-profile "a": header response remove X-A takes out all headers of that name, it has no value',
    ),
    (
        "ssl-profile s\nmax-version tlsv1.1",
        'ssl-profile "s": its max-version tlsv1.1 is older than its min-version tlsv1.2',
    ),
    (
        "slb real-server r\nip fe80::1",
        'slb real-server "r": its ip fe80::1 is of one link, and nothing says which: take another address of the server',
    ),
    (
        "slb real-server r\nip febf::1\nslb virtual-server v\nno server-pool",
        'slb real-server "r": its ip febf::1 is of one link, and nothing says which: take another address of the server',
    ),
    (
        UDP + "slb real-server r\nip 127.0.0.1",
        (
            f'{W}: slb real-server "r" of its pool is this device itself: '
            "127.0.0.1 needs type http, https, ssl or tcp, with auto-snat"
        ),
    ),
    (
        "slb real-server r\nip 127.0.0.1\nslb virtual-server v\nno auto-snat",
        'slb virtual-server "v": slb real-server "r" of its pool is this device itself: 127.0.0.1 needs auto-snat',
    ),
    (
        'slb virtual-server "u" type tcp id 2\nip 2001:db8::1 port 80\nserver-pool "p"\nslb real-server r\nip ::1',
        'slb virtual-server "u": slb real-server "r" of its pool is this device itself: ::1 needs auto-snat',
    ),
    (
        "ssl-profile s\nmin-version tlsv1.1",
        'ssl-profile "s": none of the default ciphers is for tlsv1.1: name some with cipher, too',
    ),
    (
        'slb virtual-server "v"\nrule 1 header X-A } server-pool p',
        'slb virtual-server "v": rule 1: a header cannot be compared with } alone',
    ),
    (
        'slb server-pool "empty"\nreal-server r\nload-balance uri-hash\nslb server-pool "p"\nbackup-pool "empty"\n' + SECURE,
        f'{W}: load-balance uri-hash of its slb server-pool "empty" is for type http or https, and this one is of type ssl',
    ),
    (
        'slb real-server self\nip 10.0.0.1\nslb server-pool empty\nreal-server self\nslb server-pool "p"\nbackup-pool "empty"',
        'slb virtual-server "v": slb real-server "self" of its pool is the virtual server itself',
    ),
    ("slb server-pool p\nmonitor x", f'{P}: slb monitor "x" does not exist'),
    ("slb virtual-server v\nrule 1 server-pool x", 'slb virtual-server "v": slb server-pool "x" does not exist'),
    (
        "slb virtual-server v\nrule 1 server-pool empty",
        'slb virtual-server "v": its slb server-pool "empty" has no real-server with an ip',
    ),
]

RIGHT = [
    UDP,
    TLS + "mirror-traffic interface t1 http2 raw",
    "slb real-server r\nip 2001:db8::1",
    "slb real-server r\nip ::1",
    "slb real-server r\nip 127.0.0.1\nport 8080",
    "slb real-server r\nip 169.254.0.5",
    "slb real-server r\nip 127.0.0.1\nslb virtual-server v\nno auto-snat\nshutdown",
    "slb real-server r\nip 127.0.0.1\nslb virtual-server v\nno auto-snat\nno ip",
    "slb virtual-server v\nserver-pool empty\nshutdown",
    'slb virtual-server "u" type udp id 2\nip 10.0.0.1 port 80\nserver-pool "p"',
    'slb virtual-server "u" type tcp id 2\nip 2001:db8::1 port 80\nserver-pool "p"\nauto-snat',
    "slb server-pool p\nbackup-pool q\nslb server-pool q\nbackup-pool o\nreal-server r\nslb server-pool o\nreal-server r",
    "slb server-pool p\npersistence cookie name SID\nslb server-pool empty\npersistence source-ip timeout 5",
    "ssl-profile s\nmin-version tlsv1.2\nmax-version tlsv1.2",
    "ssl-profile s\nmin-version tlsv1.0\ncipher ALL:@SECLEVEL=0",
    CHAIN,
    "app-profile a\nheader request remove X-A\nheader request replace X-B b",
]


def config(text: str, base: Config | None = None) -> Config:
    found = load(grammar, text, base)
    assert found.mistakes == ()
    return found.config


def wrong(text: str) -> list[str]:
    base = config(BASE)
    assert validate(Change(Config(), base)) == []
    return [str(error) for _, _, error in validate(Change(base, config(text, base)))]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_one_mistake_one_line(text: str, message: str) -> None:
    assert wrong(text) == [message]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right(text: str) -> None:
    assert wrong(text) == []


def test_pools_that_lead_round_without_the_changed_one_are_found_once() -> None:
    ring = "slb server-pool empty\nbackup-pool e2\nreal-server r\nslb server-pool e2\nbackup-pool empty\nreal-server r"
    text = f'slb server-pool "p"\nbackup-pool "empty"\n{ring}'
    assert [line.partition(":")[0] for line in wrong(text)] == ['slb server-pool "empty"', 'slb server-pool "e2"']


def test_virtual_servers_that_lead_to_each_other_are_both_told() -> None:
    text = """
slb real-server "one"
  ip 10.0.0.1
exit
slb server-pool "to-x"
  real-server "one" port 81
exit
slb server-pool "to-v"
  real-server "one" port 80
exit
slb virtual-server "v"
  server-pool "to-x"
exit
slb virtual-server "x" type tcp id 9
  ip 10.0.0.1 port 81
  server-pool "to-v"
  auto-snat
exit
"""
    assert wrong(text) == [
        'slb virtual-server "v": slb virtual-server "x" is a real server of its pools, and leads back to it',
        'slb virtual-server "x": slb virtual-server "v" is a real server of its pools, and leads back to it',
    ]
