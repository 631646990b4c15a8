"""Driver of mirror rules: which packets are copied, and to which tunnel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import Rule, decode_rule_key, encode_index, encode_rule_key
from hsadc.dataplane.bpf.syscall import Map
from hsadc.dataplane.tunnel import helpers
from hsadc.errors import ApplyError
from hsadc.intent.mirror import RuleIntent


def ids_in_force(maps: Mapping[str, Map]) -> set[int]:
    """The ids under which the rules in the map count."""
    values = (maps["rules"].get(key) for key in list(maps["rules"].keys()))
    return {Rule.decode(value).id for value in values if value is not None}


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
            for key in list(maps["rules"].keys()):
                value = maps["rules"].get(key)
                if value is not None:
                    rule, (address, port, protocol) = Rule.decode(value), decode_rule_key(key)
                    intent = RuleIntent(rule.id, address, port, protocol, interfaces.get(rule.helper, ""))
                    found[intent.key] = intent
        return found

    def prepare(self, wanted: Mapping[Hashable, RuleIntent]) -> None:
        """Load the programs when there is a rule to make; remove the counters of rules that are gone."""
        with self._objects.lock:
            maps = self._objects.load() if wanted else self._objects.adopt()
            if maps:
                for key in set(maps["rule_counters"].keys()) - {encode_index(i) for i in ids_in_force(maps)}:
                    maps["rule_counters"].delete(key)

    def create(self, new: RuleIntent) -> None:
        """Add the rule; its counters begin at zero unless another rule counts under its id."""
        with self._objects.lock:
            self._set(new)

    def change(self, old: RuleIntent, new: RuleIntent) -> None:  # noqa: ARG002  the key is the same
        """Replace the rule between one packet and the next; its counters go on unless its id is another."""
        with self._objects.lock:
            self._set(new)

    def delete(self, old: RuleIntent) -> None:
        """Remove the rule; its counters stay until the next `prepare`, a rule that takes its place may count on under its id."""
        with self._objects.lock:
            maps = self._objects.adopt()
            if maps:
                maps["rules"].delete(encode_rule_key(*old.key))
                self._objects.release()

    def _set(self, rule: RuleIntent) -> None:
        value, maps, counters = self._encode(rule), self._objects.load(), encode_index(rule.id)
        if maps["rule_counters"].get(counters) is None:  # without them the tap copies nothing
            maps["rule_counters"].set(counters)
        maps["rules"].set(encode_rule_key(*rule.key), value)

    def _encode(self, rule: RuleIntent) -> bytes:
        helper = helpers(self._objects.netlink).get(rule.tunnel)
        if helper is None:
            raise ApplyError(f"mirror to {rule.tunnel}", "its helper device does not exist")
        return Rule(helper, rule.id).encode()
