"""What the analyzers' programs cannot decode."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from hsadc.intent.compile import compile_config
from hsadc.intent.receiver import RECEIVERS, undecodable
from hsadc.wire.encapsulation import Encapsulation
from tests.unit.intent.words import MACHINE, config

ERSPAN = {version: Encapsulation("erspan", version=version) for version in (1, 2, 3)}
SHAPES = (Encapsulation("gre"), Encapsulation("gre", payload="ethernet"), *ERSPAN.values(), Encapsulation("vxlan"))
OTHER_PORT = Encapsulation("vxlan", port=8472)


def test_what_each_receiver_cannot_decode():
    """GRE, ERSPAN II and VXLAN on its own port are decoded by all."""
    refused = {(r, e.kind, e.version) for r in RECEIVERS for e in SHAPES if undecodable(r, e)}
    assert refused == {("suricata", "erspan", 3), ("snort3", "erspan", 1), ("snort3", "erspan", 3)}


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_a_receiver_must_be_told_of_another_vxlan_port(receiver):
    why = undecodable(receiver, OTHER_PORT)
    assert why is None if receiver == "generic" else why.startswith(f"{receiver} decodes VXLAN on port 4789 unless")


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_vxlan_over_ipv6_has_a_checksum_that_must_be_allowed(receiver):
    outer = Encapsulation("vxlan", IPv6Address("fd00::1"), IPv6Address("fd00::2"), payload="ethernet")
    assert "udp6zerocsumrx" in undecodable(receiver, outer)


def test_what_would_be_right_is_said():
    for version in (1, 3):
        why = undecodable("snort3", ERSPAN[version])
        assert why.endswith("use version 2, or tunnel gre with payload ethernet")


TUNNEL = "source interface ethernet0/0; destination 10.9.0.9; mtu 1400; receiver suricata; version 3; exit"


def test_a_commit_says_it_once_of_a_tunnel_in_force():
    text = f"tunnel erspan t; {TUNNEL}; interface tunnel1; tunnel erspan t; exit; interface tunnel2; tunnel erspan t; exit;"
    expected = 'tunnel erspan "t": suricata ignores ERSPAN type III: use version 2, or tunnel gre with payload ethernet'
    assert compile_config(config(text), MACHINE).warnings == (expected,)
    down = f"{text} interface tunnel1; shutdown; exit; interface tunnel2; shutdown; exit; interface tunnel3"
    assert compile_config(config(down), MACHINE).warnings == ()


@pytest.mark.parametrize(("kind", "settings"), [("gre", ""), ("erspan", "version 3;"), ("vxlan", "vni 1; port 8472;")])
@pytest.mark.parametrize("receiver", RECEIVERS)
def test_the_receiver_changes_nothing_in_the_dataplane(kind, settings, receiver):
    def intent(of):
        tunnel = f"source interface ethernet0/0; destination 10.9.0.9; {settings} receiver {of}"
        return compile_config(config(f"tunnel {kind} t; {tunnel}; exit; interface tunnel1; tunnel {kind} t"), MACHINE).intent

    assert intent(receiver) == intent("generic")
