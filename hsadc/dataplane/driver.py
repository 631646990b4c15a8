"""What a driver is: observe, create, change and delete for one kind of object."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol, TypeVar


class Keyed(Protocol):
    """An intent's object: equal objects need no work, objects of one key are changed in place."""

    @property
    def key(self) -> Hashable:
        """What tells it from others of its kind."""
        ...


T = TypeVar("T", bound=Keyed)


class Driver(Protocol[T]):
    """Makes one kind of object; each call is one step of a transaction and can be undone by its opposite.

    Each method raises `ApplyError` (or OSError, NetlinkError: the reconciler turns them into one that names the step).
    """

    kind: str
    """What the operator sees in an error, such as `address`."""

    def observe(self, wanted: Mapping[Hashable, T]) -> Mapping[Hashable, T]:
        """What is there now: all objects that hsadc made, and those of `wanted` that are there whoever made them."""
        ...

    def prepare(self, wanted: Mapping[Hashable, T]) -> None:
        """Everything that can fail, before anything is changed: load programs, check files."""
        ...

    def create(self, new: T) -> None:
        """Make it."""
        ...

    def change(self, old: T, new: T) -> None:
        """Change it in place, without a moment in which neither is in force."""
        ...

    def delete(self, old: T) -> None:
        """Remove it; also right when it is gone already."""
        ...
