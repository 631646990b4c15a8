"""Driver of access lists, whose rules never change: a list of other rules has another number."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from hsadc.dataplane.bpf.access_masks import masks_of
from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import decode_index, encode_access_list, list_of
from hsadc.intent.mirror import AccessListIntent

_TABLES = ("access_networks", "access_ports", "access_protos")


class AccessListDriver:
    """Makes access lists; see `Driver`. A list exists before what refers to it does."""

    kind = "access list"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: dict[int, AccessListIntent] = {}
        self._removed: dict[int, list[tuple[str, bytes, bytes]]] = {}

    def observe(self, wanted: Mapping[Hashable, AccessListIntent]) -> Mapping[Hashable, AccessListIntent]:
        """The lists in force. The number tells the rules; those of a list that another process made are not known beyond it."""
        with self._objects.lock:
            maps = self._objects.adopt()
            numbers = [decode_index(key) for key, _ in maps["access_lists"].items()] if maps else []
        return {n: wanted.get(n) or self._known.get(n) or AccessListIntent(n, ()) for n in numbers}

    def prepare(self, wanted: Mapping[Hashable, AccessListIntent]) -> None:
        """Load the programs when there is a list to make; remove what an interrupted process left of one."""
        with self._objects.lock:
            self._removed.clear()  # a transaction that is over is not undone
            maps = self._objects.load() if wanted else self._objects.adopt()
            if maps:
                numbers = {decode_index(key) for key in list(maps["access_lists"].keys())}
                for name in _TABLES:
                    for key in list(maps[name].keys()):
                        if list_of(name, key) not in numbers:
                            maps[name].delete(key)

    def create(self, new: AccessListIntent) -> None:
        """Write its tables, then let it be in force; when a removal is undone, those that were there."""
        with self._objects.lock:
            maps, known = self._objects.load(), new.rules or new.number not in self._removed
            entries = encode_access_list(new.number, masks_of(new.rules)) if known else self._removed[new.number]
            for name, key, value in entries:
                maps[name].set(key, value)
            self._known[new.number] = new

    def change(self, old: AccessListIntent, new: AccessListIntent) -> None:
        """Nothing can differ between lists of one number."""

    def delete(self, old: AccessListIntent) -> None:
        """Remove it, then its tables."""
        with self._objects.lock:
            if maps := self._objects.adopt():
                names = (*_TABLES, "access_lists")
                mine = [(name, k, v) for name in names for k, v in maps[name].items() if list_of(name, k) == old.number]
                self._removed[old.number] = mine
                for name, key, _ in reversed(mine):
                    maps[name].delete(key)
