"""Driver of mirror rules: which packets are copied, and to which tunnel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import Rule, decode_rule_key, encode_index, encode_rule_key
from hsadc.dataplane.bpf.syscall import Map
from hsadc.dataplane.tunnel import helpers
from hsadc.errors import ApplyError
from hsadc.intent.mirror import RuleIntent


def rules(maps: Mapping[str, Map]) -> dict[bytes, Rule]:
    """The rules in the map, by their encoded key."""
    values = {key: maps["rules"].get(key) for key in list(maps["rules"].keys())}
    return {key: Rule.decode(value) for key, value in values.items() if value is not None}


class RuleDriver:
    """Makes rules; see `Driver`. A rule's tunnel exists before the rule does."""

    kind = "mirror rule"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def observe(self, wanted: Mapping[Hashable, RuleIntent]) -> Mapping[Hashable, RuleIntent]:  # noqa: ARG002  # all are ours
        """The rules in the map; one whose helper device is gone has no tunnel, and so is equal to none that is wanted."""
        found: dict[Hashable, RuleIntent] = {}
        with self._objects.lock:
            maps = self._objects.adopt()
            if not maps:
                return {}
            interfaces = {ifindex: interface for interface, ifindex in helpers(self._objects.netlink).items()}
            for key, rule in rules(maps).items():
                intent = RuleIntent(rule.id, *decode_rule_key(key), interfaces.get(rule.helper, ""))
                found[intent.key] = intent
        return found

    def prepare(self, wanted: Mapping[Hashable, RuleIntent]) -> None:
        """Load the programs when there is a rule to make; remove the counters of ids that no rule has (any more).

        Here and not with the rule: a virtual server that moves has two rules for a moment, and both count under its id.
        """
        with self._objects.lock:
            maps = self._objects.load() if wanted else self._objects.adopt()
            if maps:
                used = {encode_index(rule.id) for rule in rules(maps).values()}
                for key in set(maps["rule_counters"].keys()) - used:
                    maps["rule_counters"].delete(key)

    def create(self, new: RuleIntent) -> None:
        """Add the rule; the counters of its id begin at zero, or go on when another rule has that id until now."""
        self._put(new)

    def change(self, old: RuleIntent, new: RuleIntent) -> None:  # noqa: ARG002  the key is the same
        """Replace the rule between one packet and the next; its counters go on unless its id is another."""
        self._put(new)

    def delete(self, old: RuleIntent) -> None:
        """Remove the rule."""
        with self._objects.lock:
            maps = self._objects.adopt()
            if maps:
                maps["rules"].delete(encode_rule_key(*old.key))
                self._objects.release()

    def _put(self, rule: RuleIntent) -> None:
        """Counters first: without them the tap copies nothing."""
        with self._objects.lock:
            value, number = self._encode(rule), encode_index(rule.id)
            maps = self._objects.load()
            if maps["rule_counters"].get(number) is None:
                maps["rule_counters"].set(number)
            maps["rules"].set(encode_rule_key(*rule.key), value)

    def _encode(self, rule: RuleIntent) -> bytes:
        helper = helpers(self._objects.netlink).get(rule.tunnel)
        if helper is None:
            raise ApplyError(f"mirror to {rule.tunnel}", "its helper device does not exist")
        return Rule(helper, rule.id).encode()
