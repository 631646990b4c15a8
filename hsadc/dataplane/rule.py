"""Drivers of what is copied: virtual servers' packets, by address and port, and all packets of a device."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import Source, decode_index, decode_rule_key, encode_index, encode_rule_key
from hsadc.dataplane.bpf.syscall import Map
from hsadc.errors import ApplyError
from hsadc.intent.mirror import PortMirrorIntent, RuleIntent


def sources(maps: Mapping[str, Map], name: str) -> Iterator[tuple[bytes, Source]]:
    """What is copied by one of the maps `rules` and `port_mirrors`, by its encoded key."""
    for key, value in maps[name].items():
        yield key, Source.decode(value)


def ids_in_use(maps: Mapping[str, Map]) -> set[bytes]:
    """The encoded ids that rules and devices count under."""
    return {encode_index(s.id) for name in ("rules", "port_mirrors") for _, s in sources(maps, name)}


def forget_counters(maps: Mapping[str, Map]) -> None:
    """Remove the counters of ids that nothing has (any more).

    Before a transaction and not with the source: a virtual server that moves has two rules for a moment, and both count under
    its id.
    """
    for key in set(maps["source_counters"].keys()) - ids_in_use(maps):
        maps["source_counters"].delete(key)


def put_source(maps: Mapping[str, Map], name: str, key: bytes, source: Source) -> None:
    """Add or replace a source between one packet and the next. Counters first: without them the tap copies nothing."""
    number = encode_index(source.id)
    if maps["source_counters"].get(number) is None:
        maps["source_counters"].set(number)
    maps[name].set(key, source.encode())


class RuleDriver:
    """Makes rules; see `Driver`. A rule's profile exists before the rule does."""

    kind = "mirror rule"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def observe(self, wanted: Mapping[Hashable, RuleIntent]) -> Mapping[Hashable, RuleIntent]:  # noqa: ARG002  all are ours
        """The rules in the map."""
        with self._objects.lock:
            maps = self._objects.adopt()
            found = [_rule(key, s) for key, s in (sources(maps, "rules") if maps else ())]
        return {rule.key: rule for rule in found}

    def prepare(self, wanted: Mapping[Hashable, RuleIntent]) -> None:
        """Load the programs when there is a rule to make; remove counters that nothing counts under."""
        with self._objects.lock:
            if maps := self._objects.load() if wanted else self._objects.adopt():
                forget_counters(maps)

    def create(self, new: RuleIntent) -> None:
        """Add the rule; the counters of its id begin at zero, or go on when another rule has that id until now."""
        self._put(new)

    def change(self, old: RuleIntent, new: RuleIntent) -> None:  # noqa: ARG002  the key is the same
        """Replace the rule between one packet and the next; its counters go on unless its id is another."""
        self._put(new)

    def delete(self, old: RuleIntent) -> None:
        """Remove the rule."""
        with self._objects.lock:
            if maps := self._objects.adopt():
                maps["rules"].delete(encode_rule_key(*old.key))
                self._objects.release()

    def _put(self, rule: RuleIntent) -> None:
        with self._objects.lock:
            put_source(self._objects.load(), "rules", encode_rule_key(*rule.key), Source(rule.id, rule.profile))


def _rule(key: bytes, source: Source) -> RuleIntent:
    address, port, protocol, hop = decode_rule_key(key)
    return RuleIntent(source.id, address, port, protocol, source.profile, hop)


class PortMirrorDriver:
    """Makes mirrors of whole devices; see `Driver`."""

    kind = "interface mirror"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def observe(self, wanted: Mapping[Hashable, PortMirrorIntent]) -> Mapping[Hashable, PortMirrorIntent]:  # noqa: ARG002
        """The devices in the map that are still there."""
        with self._objects.lock:
            maps = self._objects.adopt()
            if not maps:
                return {}
            names = {link.index: link.name for link in self._objects.netlink.links()}
            found: dict[Hashable, PortMirrorIntent] = {}
            for key, s in sources(maps, "port_mirrors"):
                if (name := names.get(decode_index(key))) is None:
                    maps["port_mirrors"].delete(key)  # the device is gone, and another one may get its index
                else:
                    found[name] = PortMirrorIntent(s.id, name, s.profile, s.access_list, s.direction)
            return found

    def prepare(self, wanted: Mapping[Hashable, PortMirrorIntent]) -> None:
        """Load the programs when there is a device to mirror; remove counters that nothing counts under."""
        with self._objects.lock:
            if maps := self._objects.load() if wanted else self._objects.adopt():
                forget_counters(maps)

    def create(self, new: PortMirrorIntent) -> None:
        """Copy the device's packets from now on."""
        self._put(new)

    def change(self, old: PortMirrorIntent, new: PortMirrorIntent) -> None:  # noqa: ARG002  the key is the same
        """Replace how they are copied, between one packet and the next."""
        self._put(new)

    def delete(self, old: PortMirrorIntent) -> None:
        """Copy them no longer."""
        with self._objects.lock:
            maps = self._objects.adopt()
            link = self._objects.netlink.find_link(old.device)
            if maps and link is not None:
                maps["port_mirrors"].delete(encode_index(link.index))
                self._objects.release()

    def _put(self, mirror: PortMirrorIntent) -> None:
        with self._objects.lock:
            link = self._objects.netlink.find_link(mirror.device)
            if link is None:
                raise ApplyError(f"mirror {mirror.device}", "the device does not exist")
            source = Source(mirror.id, mirror.profile, mirror.access_list, mirror.direction)
            put_source(self._objects.load(), "port_mirrors", encode_index(link.index), source)
