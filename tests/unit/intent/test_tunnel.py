"""Tunnel interfaces, and Ethernet interfaces that take copies as they are."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import pytest

from hsadc.errors import ConfigError
from hsadc.intent.inventory import Device, Inventory
from hsadc.intent.mirror import TunnelIntent
from hsadc.intent.tunnel import _encapsulation, bound_tunnel
from hsadc.model.interface import TunnelInterface
from hsadc.model.tunnel import Tunnel
from hsadc.wire.encapsulation import Encapsulation
from tests.unit.intent.words import compiled

ADC, ANALYZER = IPv4Address("10.0.0.1"), IPv4Address("10.9.0.9")
SOURCE = "source interface ethernet0/0; destination 10.9.0.9;"


def tunnels(text):
    return compiled(text)[2]


def of(kind, *settings):
    (tunnel,) = tunnels(f"tunnel {kind} t; {SOURCE} {';'.join(settings)}; exit; interface tunnel1; tunnel {kind} t")
    return tunnel


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("gre", (), Encapsulation("gre", ADC, ANALYZER)),
        ("gre", ("payload ethernet", "key 0"), Encapsulation("gre", ADC, ANALYZER, "ethernet", key=0)),
        ("gre", ("sequence", "checksum"), Encapsulation("gre", ADC, ANALYZER, sequence=True, checksum=True)),
        ("gre", ("ttl 9", "dscp 46", "dont-fragment"), Encapsulation("gre", ADC, ANALYZER, "ip", 9, 46, True)),
        ("erspan", (), Encapsulation("erspan", ADC, ANALYZER, "ethernet", version=2, session_id=1)),
        ("erspan", ("version 3", "session-id 9"), Encapsulation("erspan", ADC, ANALYZER, "ethernet", version=3, session_id=9)),
        ("erspan", ("version 1", "session-id 9"), Encapsulation("erspan", ADC, ANALYZER, "ethernet", version=1, session_id=0)),
        ("erspan", ("ttl 9", "dscp 1"), Encapsulation("erspan", ADC, ANALYZER, "ethernet", 9, 1, session_id=1)),
        ("vxlan", ("vni 7",), Encapsulation("vxlan", ADC, ANALYZER, "ethernet", vni=7)),
        ("vxlan", ("vni 7", "port 8472"), Encapsulation("vxlan", ADC, ANALYZER, "ethernet", vni=7, port=8472)),
    ],
)
def test_each_kind(kind, settings, expected):
    assert of(kind, *settings).encapsulation == expected


@dataclass(frozen=True)
class CarrierPigeon(Tunnel):
    """RFC 1149; a kind that nobody taught the compiler."""


def test_a_kind_that_is_not_known_is_a_mistake_of_ours():
    with pytest.raises(TypeError):
        _encapsulation(CarrierPigeon("t", destination=ANALYZER), ADC)


def test_ipv6():
    (tunnel,) = tunnels(
        "tunnel gre t; source interface ethernet0/0; destination 2001:db8:9::9; exit; interface tunnel1; tunnel gre t"
    )
    assert (tunnel.encapsulation.source, tunnel.inner_mtu_bytes) == (IPv6Address("2001:db8::1"), 1500 - 44)


def test_the_mtu_is_that_of_the_way_out():
    assert (of("gre").mtu_bytes, of("gre").egress) == (1500, None)  # the smallest: nobody knows which way it takes
    way = "interface ethernet0/1"
    assert (of("gre", way).mtu_bytes, of("gre", way).egress) == (9000, "eth1")
    assert of("gre", "mtu 1400").mtu_bytes == 1400
    assert of("gre", "mtu 9216").mtu_bytes == 1500
    assert of("gre", "interface ethernet0/1", "mtu 1600").mtu_bytes == 1600


def test_what_happens_to_what_does_not_fit():
    assert of("gre").oversize == "segment"
    assert of("vxlan", "vni 1", "oversize truncate").oversize == "truncate"


def test_the_source_must_be_ours():
    bind = "exit; interface tunnel1; tunnel gre t"
    assert tunnels(f"tunnel gre t; source 10.1.0.1; destination 10.9.0.9; {bind}")[0].encapsulation.source == IPv4Address(
        "10.1.0.1"
    )
    for text, why in (
        ("source 1.2.3.4; destination 10.9.0.9", "its source 1.2.3.4 is not an address of this device"),
        ("source 10.1.0.1; destination 2001:db8::9", "its source 10.1.0.1 is not an address of this device"),
        ("destination 10.9.0.9", "its source None is not an address of this device"),
        ("source interface ethernet0/1; destination 2001:db8::9", "its source interface ethernet0/1 has no IPv6 address"),
        ("source interface ethernet0/0", "it has no destination"),
    ):
        with pytest.raises(ConfigError) as wrong:
            tunnels(f"tunnel gre t; {text}; {bind}")
        assert str(wrong.value) == f'tunnel gre "t": {why}'


def test_a_machine_without_interfaces_or_addresses():
    text = "tunnel erspan t; source 10.0.0.1; destination 10.9.0.9; exit; interface tunnel1; tunnel erspan t"
    with pytest.raises(ConfigError, match=r'tunnel erspan "t": its source 10\.0\.0\.1 is not an address of this device'):
        compiled(text, Inventory())
    text = "tunnel vxlan t; source interface ethernet0/0; destination 10.9.0.9; exit; interface tunnel1; tunnel vxlan t"
    with pytest.raises(ConfigError, match='tunnel vxlan "t": its source interface ethernet0/0 has no address'):
        compiled(text, Inventory((Device("eth0"),)))


def test_what_is_shut_down_or_not_bound_is_not_in_force():
    text = f"tunnel gre t; {SOURCE} exit; interface tunnel1; tunnel gre t; exit; interface tunnel2"
    assert [t.interface for t in tunnels(text)] == ["tunnel1"]
    assert tunnels(f"{text}; exit; interface tunnel1; shutdown") == ()
    assert bound_tunnel(compiled(text)[0], TunnelInterface("tunnel2")) is None


def test_an_ethernet_interface_takes_frames_as_they_are_once():
    text = "mirror-profile a; destination interface ethernet0/1; exit; mirror-profile b; destination interface ethernet0/1; exit;"
    expected = TunnelIntent("ethernet0/1", "eth1", Encapsulation("none", payload="ethernet"), 9000)
    assert tunnels(text) == (expected,)
    assert (expected.key, expected.inner_mtu_bytes) == ("ethernet0/1", 9000)
    assert tunnels(f"{text} interface ethernet0/1; mtu 1600")[0].mtu_bytes == 1600
    assert tunnels(f"{text} interface ethernet0/1; shutdown") == ()
