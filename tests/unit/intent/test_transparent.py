"""Which virtual servers need connections from the clients' own addresses."""

from __future__ import annotations

import pytest

from hsadc.intent.compile import compile_config
from hsadc.intent.inventory import Inventory
from hsadc.intent.transparent import TransparentIntent, compile_transparent
from hsadc.model.virtual_server import Listener, VirtualServer
from tests.unit.intent.words import MACHINE, config

FOUR, SIX = (Listener(a.ip, 80) for a in (MACHINE.devices[0].addresses[0], MACHINE.devices[0].ipv6_addresses[0]))


def server(kind: str = "http", ip: Listener | None = FOUR, auto_snat: bool = False) -> VirtualServer:
    return VirtualServer("v", kind, ip=ip, auto_snat=auto_snat)


def made(servers: list[VirtualServer], *there: int) -> tuple[TransparentIntent, ...]:
    """What they come to on a machine where some are there already."""
    return compile_transparent(servers, Inventory(transparent=there))


@pytest.mark.parametrize("kind", ["tcp", "http", "https", "ssl"])
def test_those_without_auto_snat_need_them(kind):
    assert made([server(kind)]) == (TransparentIntent((4,)),)
    assert made([server(kind, auto_snat=True)]) == ()


def test_those_that_haproxy_does_not_serve_need_none():
    assert made([server("udp"), server(ip=None)]) == ()


def test_by_the_families_of_their_addresses():
    assert made([server(ip=SIX)]) == (TransparentIntent((6,)),)
    both = made([server(ip=SIX), server(), server(ip=SIX)])
    assert both == (TransparentIntent((4, 6)),)
    assert str(both[0]) == "IPv4 and IPv6"
    assert both[0].key == TransparentIntent((4,)).key


def test_they_stay_while_old_connections_may_need_them():
    assert made([server(auto_snat=True)], 6) == (TransparentIntent((6,)),)
    assert made([server()], 6) == (TransparentIntent((4, 6)),)
    assert made([server("udp")], 4, 6) == ()
    assert made([], 4, 6) == ()


def test_they_are_in_the_intent():
    words = "slb server-pool p; exit; slb virtual-server v type tcp id 1; server-pool p; ip 10.0.0.1 port 80;"
    assert compile_config(config(words), MACHINE).intent.transparents == (TransparentIntent((4,)),)
    assert compile_config(config(f"{words} auto-snat"), MACHINE).intent.transparents == ()
