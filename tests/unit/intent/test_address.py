from __future__ import annotations

from ipaddress import IPv4Interface

from hsadc.intent.address import AddressIntent


def test_an_error_names_it():
    assert str(AddressIntent("eth0", IPv4Interface("10.0.0.1/24"))) == "10.0.0.1/24 on eth0"
