"""Driver of access lists, whose rules never change: a list of other rules has another number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping

from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import decode_access_rule, decode_pair, encode_access_rule, encode_pair
from hsadc.intent.mirror import AccessListIntent, AccessRule


class AccessListDriver:
    """Makes access lists; see `Driver`. A list exists before what refers to it does."""

    kind = "access list"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def observe(self, wanted: Mapping[Hashable, AccessListIntent]) -> Mapping[Hashable, AccessListIntent]:  # noqa: ARG002
        """The lists in the map."""
        found: defaultdict[int, dict[int, AccessRule]] = defaultdict(dict)
        with self._objects.lock:
            if maps := self._objects.adopt():
                for key, value in maps["access_rules"].items():
                    number, place = decode_pair(key)
                    found[number][place] = decode_access_rule(value)
        return {n: AccessListIntent(n, tuple(rules[i] for i in sorted(rules))) for n, rules in found.items()}

    def prepare(self, wanted: Mapping[Hashable, AccessListIntent]) -> None:
        """Load the programs when there is a list to make."""
        if wanted:
            with self._objects.lock:
                self._objects.load()

    def create(self, new: AccessListIntent) -> None:
        """Write its rules."""
        with self._objects.lock:
            rules = self._objects.load()["access_rules"]
            for place, rule in enumerate(new.rules):
                rules.set(encode_pair(new.number, place), encode_access_rule(rule))

    def change(self, old: AccessListIntent, new: AccessListIntent) -> None:
        """Only where an interrupted process left a part of it."""
        self.create(new)
        self._cut(old, len(new.rules))

    def delete(self, old: AccessListIntent) -> None:
        """Remove its rules."""
        self._cut(old, 0)

    def _cut(self, old: AccessListIntent, length: int) -> None:
        with self._objects.lock:
            if maps := self._objects.adopt():
                for place in range(length, len(old.rules)):
                    maps["access_rules"].delete(encode_pair(old.number, place))
