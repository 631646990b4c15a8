"""Connections to real servers from the clients' own addresses: their answers, which are for the clients' addresses, are ours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set

from hsadc.dataplane.fixed_table import Chain, FixedTable
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.policy import MARK_PRIORITY, MARK_TABLE, TRANSPARENT_MARK, DefaultRoute, Policy, Rule, our_rules
from hsadc.intent.hop import DEVICE
from hsadc.intent.transparent import TransparentIntent

_INCOMPLETE = TransparentIntent(())
"""What lacks a piece: HAProxy's connections may need the others."""
_NAME = "hsadc_transparent"
_NEEDS = "what finds the sockets that packets are for (CONFIG_NFT_SOCKET)"
_FAMILIES = {4: "ipv4", 6: "ipv6"}


def transparent_families(netlink: Netlink) -> tuple[int, ...]:
    """The families of which there are such connections, in the socket's network namespace."""
    return tuple(sorted(rule.family for rule in our_rules(netlink) if rule.table == MARK_TABLE))


class TransparentDriver:
    """The driver of `TransparentIntent`, for one transaction, in the thread's network namespace. It does not own the socket."""

    kind = "transparent connections"

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink

    def observe(self, wanted: Mapping[Hashable, TransparentIntent]) -> Mapping[Hashable, TransparentIntent]:
        """What is there; while it is wanted, what lacks a piece is told as another, so that the piece is made again."""
        with Policy() as policy:
            rules, routes = _ours(policy), policy.default_routes(MARK_TABLE)
        found = TransparentIntent(tuple(sorted({r.family for r in rules} | {r.family for r in routes})))
        if not found.families:
            return {}
        return {found.key: _INCOMPLETE if wanted and not self._is_right(found, rules, routes) else found}

    def prepare(self, wanted: Mapping[Hashable, TransparentIntent]) -> None:
        """Nothing can fail later that could be tried now."""

    def create(self, new: TransparentIntent) -> None:
        """Make it.

        Raises:
            Unsupported: the kernel lacks something.
        """
        try:
            self._make(new)
        except BaseException:
            self.delete(new)
            raise

    def change(self, old: TransparentIntent, new: TransparentIntent) -> None:  # noqa: ARG002  what there is is looked for
        """Make what is missing, and remove what is too much. To go back to what lacked a piece there is nothing to do.

        Raises:
            Unsupported: the kernel lacks something; then it is as before.
        """
        if new != _INCOMPLETE:
            self._make(new)

    def delete(self, old: TransparentIntent) -> None:  # noqa: ARG002  what is there is read
        """Remove all of it."""
        with Policy() as policy:
            for rule in _ours(policy):
                policy.delete_rule(rule)
            for route in policy.default_routes(MARK_TABLE):
                policy.delete_default_route(route)
        _table(()).remove()

    def _make(self, intent: TransparentIntent) -> None:
        rules, routes = _rules(intent), self._routes(intent)
        _table(intent.families).make()
        with Policy() as policy:
            for route in routes:
                policy.set_default_route(route)
            for rule in rules:
                policy.add_rule(rule)
            for rule in _ours(policy) - rules:
                policy.delete_rule(rule)
            for route in policy.default_routes(MARK_TABLE) - routes:
                policy.delete_default_route(route)

    def _is_right(self, intent: TransparentIntent, rules: Set[Rule], routes: Set[DefaultRoute]) -> bool:
        right = rules == _rules(intent) and routes == self._routes(intent)
        return right and _table(intent.families).is_right()

    def _routes(self, intent: TransparentIntent) -> frozenset[DefaultRoute]:
        index = self._netlink.link("lo").index
        return frozenset(DefaultRoute(family, MARK_TABLE, index) for family in intent.families)


def _rules(intent: TransparentIntent) -> frozenset[Rule]:
    return frozenset(Rule(family, MARK_PRIORITY, MARK_TABLE, mark=TRANSPARENT_MARK) for family in intent.families)


def _ours(policy: Policy) -> frozenset[Rule]:
    return frozenset(rule for rule in policy.rules() if rule.table == MARK_TABLE)


def _table(families: Sequence[int]) -> FixedTable:
    """What comes over the clear hop is its own matter. The mark is what routing goes by, and all packets of a connection have it.

    `socket transparent` is true for sockets that may have addresses of others: those that HAProxy listens with on the clear hop
    are in another namespace, and none of this one does anything else.
    """
    found = (
        f"meta nfproto {_FAMILIES[f]} meta l4proto tcp socket transparent 1 meta mark set {TRANSPARENT_MARK}" for f in families
    )
    rules = (f'iifname "{DEVICE}" accept', *found)
    return FixedTable(_NAME, (Chain("received", "hook prerouting priority mangle", rules),), _NEEDS)
