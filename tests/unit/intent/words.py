"""Configurations for the tests of this folder, written as an operator writes them, and the machine that they are for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface

from hsadc.intent.inventory import Device, Inventory
from hsadc.intent.material import Material
from hsadc.intent.mirror import TunnelIntent
from hsadc.intent.ports import Ports, resolve_ports
from hsadc.intent.tunnel import compile_tunnels
from hsadc.model.config import Config
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load

GRAMMAR = load_grammar()
MACHINE = Inventory(
    (
        Device("eth0", 1500, (IPv4Interface("10.0.0.1/24"),), ipv6_addresses=(IPv6Interface("2001:db8::1/64"),)),
        Device("eth1", 9000, (IPv4Interface("10.1.0.1/24"),)),
        Device("br0", physical=False),
    )
)
TLS_WORDS = "pki trust-domain d; certificate file c.pem; key file k.pem; exit; ssl-profile web; trust-domain d; exit;"
"""For virtual servers of types https and ssl."""
TLS_MACHINE = replace(MACHINE, materials={"d": Material(identity=b"CERTIFICATE KEY")})


def config(text: str, base: Config | None = None) -> Config:
    """The configuration after these lines; `;` ends a line, too."""
    found = load(GRAMMAR, text.replace(";", "\n"), base)
    assert found.mistakes == ()
    return found.config


def compiled(text: str, machine: Inventory = MACHINE) -> tuple[Config, Ports, tuple[TunnelIntent, ...]]:
    """The configuration, its interfaces and its tunnels."""
    made = config(text)
    ports = resolve_ports(made, machine)
    return made, ports, compile_tunnels(made, ports)
