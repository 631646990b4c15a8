"""Access lists, as the dataplane compares them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from zlib import crc32

from hsadc.intent.mirror import ANY_ICMP, ANY_PORT, ANY_PROTOCOL, AccessListIntent, AccessRule
from hsadc.model.access_list import AccessEntry, AccessList

_EVERYTHING = IPv6Network("::/0")
_PROTOCOLS = {"ip": ANY_PROTOCOL, "icmp": ANY_ICMP, "tcp": 6, "udp": 17}


def compile_access_list(access_list: AccessList) -> AccessListIntent:
    """A list and its number; two lists of the same entries are one."""
    rules = tuple(map(_rule, access_list.entries.values()))
    return AccessListIntent(crc32(repr(rules).encode()) or 1, rules)


def _rule(entry: AccessEntry) -> AccessRule:
    protocol = entry.protocol if isinstance(entry.protocol, int) else _PROTOCOLS[entry.protocol]
    ends = [(p.first, p.last) if p else ANY_PORT for p in (entry.source_ports, entry.destination_ports)]
    return AccessRule(entry.action == "permit", protocol, _network(entry.source), ends[0], _network(entry.destination), ends[1])


def _network(network: IPv4Network | IPv6Network | None) -> IPv4Network | IPv6Network | None:
    """IPv4 addresses are compared as IPv6 ones, so that ::/0 holds them too: it is any address."""
    return None if network == _EVERYTHING else network
