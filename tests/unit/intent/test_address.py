"""Addresses that devices must have, and whose they are."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest

from hsadc.errors import Conflict
from hsadc.intent.address import AddressIntent, compile_addresses
from hsadc.intent.inventory import Device, Inventory
from hsadc.intent.ports import resolve_ports
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet

SYSTEM, LASTING = IPv4Interface("10.1.0.7/24"), IPv6Interface("2001:db8:1::7/64")
IPV4, IPV6 = IPv4Interface("10.0.0.1/24"), IPv6Interface("2001:db8::1/64")
MACHINE = Inventory(
    (Device("eth0", addresses=(SYSTEM,), ipv6_addresses=(LASTING, IPv6Interface("2001:db8::1/128"))), Device("eth1"))
)
CONFIG = Config(ethernet={"ethernet0/0": Ethernet("ethernet0/0", ip_address=IPV4, ipv6_addresses={IPV6: IPV6})})


def test_an_error_names_it():
    assert str(AddressIntent("eth0", IPv4Interface("10.0.0.1/24"))) == "10.0.0.1/24 on eth0"


def test_addresses_of_both_families_are_wanted():
    wanted = compile_addresses(CONFIG, resolve_ports(CONFIG, MACHINE))
    assert wanted == (AddressIntent("eth0", IPV4), AddressIntent("eth0", IPV6))


def test_an_ipv6_address_is_the_same_object_with_another_prefix_length():
    assert AddressIntent("eth0", IPV6).key == AddressIntent("eth0", IPv6Interface("2001:db8::1/48")).key
    assert AddressIntent("eth0", IPV4).key != AddressIntent("eth0", IPv4Interface("10.0.0.1/16")).key


def test_an_interface_has_configured_addresses_first_and_each_ipv6_address_once():
    port = resolve_ports(CONFIG, MACHINE)["ethernet0/0"]
    assert (port.addresses, port.ipv6_addresses) == ((IPV4, SYSTEM), (IPV6, LASTING))
    assert port.all_addresses == (IPV4, SYSTEM, IPV6, LASTING)


def test_who_has_an_ipv6_address_and_who_reaches_one():
    ports = resolve_ports(CONFIG, MACHINE)
    for address in (IPV6.ip, LASTING.ip, IPV4.ip):
        assert ports.owner(address) is ports["ethernet0/0"]
        assert address in ports.addresses
    assert ports.owner(IPv6Address("2001:db8::2")) is None
    assert ports.reaches(IPv6Address("2001:db8:1::99"))
    assert not ports.reaches(IPv6Address("2001:db8:2::1"))
    assert not ports.reaches(IPv4Address("10.2.0.1"))


def test_two_interfaces_with_one_ipv6_address():
    config = Config(ethernet={f"ethernet0/{n}": Ethernet(f"ethernet0/{n}", ipv6_addresses={IPV6: IPV6}) for n in range(2)})
    with pytest.raises(Conflict, match="2001:db8::1 is ethernet0/0 already"):
        resolve_ports(config, MACHINE)
