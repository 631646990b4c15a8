"""Rules and access lists on many packets at once."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import numpy as np
from numpy.typing import NDArray

from hsadc.dataplane.replay.batch import Flags, Integers
from hsadc.dataplane.replay.columns import Columns, Words
from hsadc.intent.mirror import ANY_PORT, ANY_PROTOCOL, AccessListIntent, AccessRule, RuleIntent

NO_RULE = -1


class RuleTable:
    """The rules of IPv4 addresses, by number; each is found in as many steps as their number has bits.

    Attributes:
        rules: the rules; a packet is told by the index of its rule.
    """

    def __init__(self, rules: Iterable[RuleIntent]) -> None:
        keyed = {_key(rule): rule for rule in rules if isinstance(rule.address, IPv4Address)}
        self.rules = [keyed[key] for key in sorted(keyed)]
        self._keys = np.array(sorted(keyed), np.uint64)
        self._ports = np.zeros(65536, np.bool_)
        self._ports[[rule.port for rule in self.rules]] = True

    def find(self, columns: Columns) -> tuple[Integers, Flags]:
        """The rule of each plain packet, NO_RULE without one, and whether the packet goes to its address."""
        found = np.full(len(columns.plain), NO_RULE, np.int64)
        forward = np.zeros(len(columns.plain), np.bool_)
        if not self.rules:
            return found, forward
        there = np.flatnonzero(columns.plain & self._ports[columns.destination_port])
        self._look_up(found, there, columns.destination, columns.destination_port, columns.protocol)
        np.not_equal(found, NO_RULE, out=forward)
        back = np.flatnonzero(columns.plain & ~forward & self._ports[columns.source_port])
        self._look_up(found, back, columns.source, columns.source_port, columns.protocol)
        return found, forward

    def _look_up(self, found: Integers, some: Integers, address: Words, port: Words, protocol: Words) -> None:
        key = address[some].astype(np.uint64) << np.uint64(24)
        key |= (port[some] << np.uint32(8) | protocol[some]).astype(np.uint64)
        place = np.searchsorted(self._keys, key)
        place[place == len(self._keys)] = 0
        hit = self._keys[place] == key
        found[some[hit]] = place[hit]


def _key(rule: RuleIntent) -> int:
    return int(rule.address) << 24 | rule.port << 8 | rule.protocol


def permitted(intent: AccessListIntent, columns: Columns, some: Integers) -> Flags:
    """Which of some plain packets a list permits."""
    permits = np.zeros(len(some), np.bool_)
    left = np.arange(len(some))
    for rule in intent.rules:
        if not left.size:
            break
        hit = _matches(rule, columns, some[left])
        permits[left[hit]] = rule.permit
        left = left[~hit]
    return permits


def _matches(rule: AccessRule, columns: Columns, some: Integers) -> Flags:
    if rule.protocol not in (ANY_PROTOCOL, 6, 17):
        return np.zeros(len(some), np.bool_)
    sources = columns.source[some], columns.source_port[some]
    destinations = columns.destination[some], columns.destination_port[some]
    hit = _is_end(rule.source, rule.source_ports, *sources) & _is_end(rule.destination, rule.destination_ports, *destinations)
    hit |= _is_end(rule.source, rule.source_ports, *destinations) & _is_end(rule.destination, rule.destination_ports, *sources)
    return hit if rule.protocol == ANY_PROTOCOL else hit & (columns.protocol[some] == rule.protocol)


def _is_end(network: IPv4Network | IPv6Network | None, ports: tuple[int, int], address: Words, port: Words) -> NDArray[np.bool_]:
    hit = np.ones(len(address), np.bool_) if ports == ANY_PORT else (port >= ports[0]) & (port <= ports[1])
    if isinstance(network, IPv6Network):
        return np.zeros(len(address), np.bool_)
    if network is not None:
        hit &= address & np.uint32(int(network.netmask)) == np.uint32(int(network.network_address))
    return hit
