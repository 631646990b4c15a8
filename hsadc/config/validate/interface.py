"""Interfaces: their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Interface

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict
from hsadc.model.config import Config

_BROADCAST = IPv4Address("255.255.255.255")


def addresses(change: Change) -> Iterator[Found]:
    """Each is one that a host may have."""
    for name, port in change.changed("ethernet").items():
        for address in port.addresses:
            network = address.network
            if network.prefixlen < 31 and address.ip in (network.network_address, network.broadcast_address):
                why = f"{address} is not a host's address, the hosts of {network} are between its first and last address"
                yield conflict("ethernet", name, why)
        for address in port.ipv6_addresses:
            if not is_one_host(address.ip) or address.ip.is_loopback:
                yield conflict("ethernet", name, f"{address} is not a host's address")
            elif _is_of_all_routers(address):
                why = f"{address} is not a host's address, the first one of {address.network} is that of all its routers"
                yield conflict("ethernet", name, why)


def _is_of_all_routers(address: IPv6Interface) -> bool:
    """RFC 4291, section 2.6.1; RFC 6164 has no such address where two routers alone are."""
    return address.network.prefixlen < 127 and address.ip == address.network.network_address


def is_one_host(address: IPv4Address | IPv6Address) -> bool:
    """Whether it may be the address of one host, this one or another; an IPv4 address in IPv6's form is on no wire."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return False
    return not (address.is_multicast or address.is_unspecified or address == _BROADCAST)


def is_ours(config: Config, address: IPv4Address | IPv6Address) -> bool:
    """Whether an interface of this configuration has the address."""
    ports = config.ethernet.values()
    if isinstance(address, IPv6Address):
        return any(address == a.ip for p in ports for a in p.ipv6_addresses)
    return any(address == a.ip for p in ports for a in p.addresses)


def may_be_ours(config: Config, address: IPv4Address | IPv6Address) -> bool:
    """Without the machine: an interface without configured addresses has what the system gives it, which is not known here.

    IPv6 addresses of the configuration are in addition to what the system gives.
    """
    ports = config.ethernet.values()
    return address.version == 6 or not ports or not all(p.addresses for p in ports) or is_ours(config, address)
