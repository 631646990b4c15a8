"""What the kernel has of the table of virtual servers of type udp."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from hsadc.dataplane import nft
from hsadc.dataplane.datagram_rules import Endpoint, ServerRules, branches, chain_name, digest, number_of
from hsadc.dataplane.datagram_table import HOOKS, TABLE, base_rules

_NOBODY = 0
"""The number of no virtual server: whose what belongs to none is."""

Comments = tuple[str, ...]
"""Of the rules of a chain, in order; empty for a rule that has none."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table as it is.

    Attributes:
        chains: the rules' comments, by name of the chain: of the virtual servers', and of those others that are as they are made.
        servers: the virtual servers' parts, by number; 0 for what is of no virtual server.
        live: the targets that a virtual server's rule gives flows to, by its number.
    """

    chains: Mapping[str, Comments]
    servers: Mapping[int, ServerRules]
    live: Mapping[int, frozenset[Endpoint]]

    def right(self, closed: Collection[int]) -> bool:
        """Whether all that is not a virtual server's is as `base_script` makes it."""
        wanted = {name: tuple(digest(rule) for rule in rules) for name, rules in base_rules(closed).items()}
        return all(self.chains.get(name) == rules for name, rules in wanted.items())


def read() -> Table | None:
    """The table as it is now; None when there is none.

    Raises:
        Unsupported: the program nft is not there.
        ApplyError: the kernel refuses.
    """
    objects = nft.table(TABLE)
    return None if objects is None else understand(objects)


def understand(objects: Iterable[tuple[str, dict[str, Any]]]) -> Table:
    """The table that nft describes."""
    of_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kind, thing in objects:
        of_kind[kind].append(thing)
    rules: dict[str, list[dict[str, Any]]] = {chain["name"]: [] for chain in of_kind["chain"] if _as_made(chain)}
    for rule in of_kind["rule"]:
        rules.get(rule["chain"], []).append(rule)
    elements = _elements([*of_kind["map"], *of_kind["set"]])
    counters: dict[int, set[str]] = defaultdict(set)
    for counter in of_kind["counter"]:
        counters[number_of(counter["name"]) or _NOBODY].add(counter["name"])
    numbers = {n for name in rules if (n := number_of(name)) is not None}.union(elements, counters)
    servers = {n: _server(chain_name(n), rules, elements[n], counters[n]) for n in numbers}
    live = {n: _live(rules[server.branch]) for n, server in servers.items() if server.branch}
    return Table({name: _comments(found) for name, found in rules.items()}, servers, live)


def _as_made(chain: dict[str, Any]) -> bool:
    if number_of(chain["name"]) is not None:
        return "hook" not in chain
    hook = HOOKS.get(chain["name"])
    if hook is None:
        return "hook" not in chain
    return (chain.get("type"), chain.get("hook"), chain.get("prio"), chain.get("policy")) == (*hook, "accept")


def _comments(rules: Iterable[dict[str, Any]]) -> Comments:
    return tuple(rule.get("comment", "") for rule in rules)


def _elements(containers: Iterable[dict[str, Any]]) -> dict[int, dict[tuple[str, str], str]]:
    """The elements of maps and sets, by the virtual server that they are of."""
    found: dict[int, dict[tuple[str, str], str]] = defaultdict(dict)
    of_sets: list[tuple[str, str]] = []
    owners: dict[str, int] = {}
    for container in containers:
        for key, value in _pairs(container):
            if not value:
                of_sets.append((container["name"], key))
                continue
            number = number_of(value.removeprefix("goto ")) or _NOBODY
            found[number][container["name"], key] = value
            owners[key] = number
    for name, key in of_sets:
        found[owners.get(key, _NOBODY)][name, key] = ""
    return found


def _pairs(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and values as the scripts have them; of a set the values are empty."""
    for element in container.get("elem", ()):
        key, value = element if container.get("map") else (element, "")
        yield _key(key), value if isinstance(value, str) else f"goto {value['goto']['target']}"


def _key(key: dict[str, Any]) -> str:
    parts = key["concat"]
    return " . ".join(str(ip_address(part)) if isinstance(part, str) else str(part) for part in parts)


def _server(
    chain: str,
    rules: Mapping[str, Sequence[dict[str, Any]]],
    elements: Mapping[tuple[str, str], str],
    counters: Collection[str],
) -> ServerRules:
    branch = ""
    match [rule["expr"] for rule in rules.get(chain, ())]:
        case []:
            digests: Comments = ()
        case [[{"goto": {"target": branch}}]] if branch in branches(chain) and branch in rules:
            digests = _comments(rules[branch])
        case _:  # somebody else's
            branch, digests = "", ("",)
    whole = all(name in rules for name in (chain, *branches(chain)))
    return ServerRules(chain if whole else "", digests, elements, frozenset(counters), branch=branch)


def _live(rules: Iterable[dict[str, Any]]) -> frozenset[Endpoint]:
    """The targets in the map of a rule as `share` writes it."""
    found: set[Endpoint] = set()
    for expression in (e for rule in rules for e in rule["expr"]):
        match expression:
            case {"dnat": {"addr": {"map": {"data": {"set": entries}}}}}:
                found |= {(str(ip_address(value["concat"][0])), value["concat"][1]) for _, value in entries}
    return frozenset(found)
