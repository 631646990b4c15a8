"""Drivers of what exists in this process alone: intents in a table, for the core to be made from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from hsadc.dataplane.driver import Keyed
from hsadc.errors import ApplyError

T = TypeVar("T", bound=Keyed)


class Table(Generic[T]):
    """Intents by key; see `Driver`. Used under one lock by whoever changes a part of the configuration.

    Args:
        kind: what the operator sees in an error.
        changed: called after each change.
        missing: names what an intent refers to and is not there.
    """

    def __init__(self, kind: str, changed: Callable[[], None], missing: Callable[[T], Iterable[str]] = lambda _: ()) -> None:
        self.kind = kind
        self._changed = changed
        self._missing = missing
        self._intents: dict[Hashable, T] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._intents

    def all(self) -> tuple[T, ...]:
        """What is there, in the order in which it was made."""
        return tuple(self._intents.values())

    def observe(self, wanted: Mapping[Hashable, T]) -> Mapping[Hashable, T]:  # noqa: ARG002  all are ours
        """What is there; a new process finds nothing, as the mirror ended with the old one."""
        return dict(self._intents)

    def prepare(self, wanted: Mapping[Hashable, T]) -> None:
        """Nothing can fail later that could be tried now."""

    def create(self, new: T) -> None:
        """Add it.

        Raises:
            ApplyError: it refers to something that is not there.
        """
        for name in self._missing(new):
            raise ApplyError(f"{self.kind} {new.key}", f"{name} does not exist")
        self._intents[new.key] = new
        self._changed()

    def change(self, old: T, new: T) -> None:
        """Replace it between two packets; it stays in its place among the others.

        Raises:
            ApplyError: it refers to something that is not there.
        """
        if old.key != new.key:
            raise ValueError(f"{old.key!r} cannot become {new.key!r}")
        self.create(new)

    def delete(self, old: T) -> None:
        """Remove it; also right when it is gone already."""
        if self._intents.pop(old.key, None) is not None:
            self._changed()
