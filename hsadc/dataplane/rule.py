"""Driver of mirror rules: which packets are copied, and to which tunnel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import Rule, decode_rule_key, encode_index, encode_rule_key
from hsadc.dataplane.tunnel import helpers
from hsadc.errors import ApplyError
from hsadc.intent.mirror import RuleIntent


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
        """Load the programs when there is a rule to make."""
        if wanted:
            with self._objects.lock:
                self._objects.load()

    def create(self, new: RuleIntent) -> None:
        """Add the rule, its counters at zero."""
        with self._objects.lock:
            value = self._encode(new)
            maps = self._objects.load()
            maps["rule_counters"].set(encode_index(new.id))
            maps["rules"].set(encode_rule_key(*new.key), value)

    def change(self, old: RuleIntent, new: RuleIntent) -> None:
        """Replace the rule between one packet and the next; its counters go on unless its id is another."""
        with self._objects.lock:
            value = self._encode(new)
            maps = self._objects.load()
            if new.id != old.id:
                maps["rule_counters"].set(encode_index(new.id))
            maps["rules"].set(encode_rule_key(*new.key), value)
            if new.id != old.id:
                maps["rule_counters"].delete(encode_index(old.id))

    def delete(self, old: RuleIntent) -> None:
        """Remove the rule and its counters."""
        with self._objects.lock:
            maps = self._objects.maps
            if maps:
                maps["rules"].delete(encode_rule_key(*old.key))
                maps["rule_counters"].delete(encode_index(old.id))
                self._objects.release()

    def _encode(self, rule: RuleIntent) -> bytes:
        helper = helpers(self._objects.netlink).get(rule.tunnel)
        if helper is None:
            raise ApplyError(f"mirror to {rule.tunnel}", "its helper device does not exist")
        return Rule(helper, rule.id).encode()
