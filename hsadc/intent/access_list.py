"""Access lists, as the dataplane compares them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network

from hsadc.intent.mirror import ANY_ICMP, ANY_PORT, ANY_PROTOCOL, AccessListIntent, AccessRule
from hsadc.intent.number import number_each
from hsadc.model.access_list import AccessEntry, AccessList
from hsadc.model.config import Config

_EVERYTHING, _MAPPED = IPv6Network("::/0"), IPv6Network("::ffff:0:0/96")
_PROTOCOLS = {"ip": ANY_PROTOCOL, "icmp": ANY_ICMP, "tcp": 6, "udp": 17}


def compile_access_lists(config: Config) -> Mapping[str, AccessListIntent]:
    """All lists by name, each with its number; two lists of the same entries are one."""
    rules = {name: _rules(access_list) for name, access_list in config.access_list.items()}
    contents = {name: repr(entries).encode() for name, entries in rules.items()}
    numbers = number_each(contents.values(), first=1)
    return {name: AccessListIntent(numbers[contents[name]], entries) for name, entries in rules.items()}


def _rules(access_list: AccessList) -> tuple[AccessRule, ...]:
    return tuple(map(_rule, access_list.entries.values()))


def _rule(entry: AccessEntry) -> AccessRule:
    protocol = entry.protocol if isinstance(entry.protocol, int) else _PROTOCOLS[entry.protocol]
    ends = [(p.first, p.last) if p else ANY_PORT for p in (entry.source_ports, entry.destination_ports)]
    return AccessRule(entry.action == "permit", protocol, _network(entry.source), ends[0], _network(entry.destination), ends[1])


def _network(network: IPv4Network | IPv6Network | None) -> IPv4Network | IPv6Network | None:
    """As the dataplane compares it, which maps IPv4 addresses into IPv6 ones: ::/0 holds them too, and is any address."""
    if network == _EVERYTHING:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((network.network_address.packed[12:], network.prefixlen - _MAPPED.prefixlen))
    return network
