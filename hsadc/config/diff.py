"""What changes from one configuration to another, block by block; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hsadc.model.config import SECTIONS, Config
from hsadc.syntax.render import Renderer


@dataclass(frozen=True, slots=True)
class Change:
    """What changes in one block, or at the top level.

    Attributes:
        block: the block's head; None for the global settings.
        removed: lines that go, indented as they are shown; with the head and `exit` when the whole block goes.
        added: lines that come; with the head and `exit` when the whole block comes.
    """

    block: str | None
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def difference(renderer: Renderer, old: Config, new: Config) -> list[Change]:
    """The changes from `old` to `new`: global settings first, then each block that changes, once.

    What both share is passed over without being written as text. The order of entries is no difference.
    """
    top = Change(None, *(tuple(renderer.config(c)) for c in _global_settings_that_differ(old, new)))
    changes = [top] if top.removed or top.added else []
    for section in SECTIONS:
        changes += _blocks(renderer, section, getattr(old, section), getattr(new, section))
    return changes


def unified(changes: Iterable[Change], old: str, new: str) -> Iterator[str]:
    """The changes as a unified diff; `old` and `new` name the two sides. Nothing when there are none."""
    for index, change in enumerate(changes):
        if index == 0:
            yield from (f"--- {old}", f"+++ {new}")
        whole = change.block in change.removed or change.block in change.added
        if change.block is not None and not whole:
            yield f" {change.block}"
        yield from (f"-{line}" for line in change.removed)
        yield from (f"+{line}" for line in change.added)


def count(changes: Sequence[Change]) -> tuple[int, int]:
    """How many lines come and go."""
    return sum(len(c.added) for c in changes), sum(len(c.removed) for c in changes)


def _global_settings_that_differ(old: Config, new: Config) -> tuple[Config, Config]:
    """Two configurations without blocks, and without the settings that both share."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for name in (f.name for f in fields(Config) if f.name not in SECTIONS):
        a, b = getattr(old, name), getattr(new, name)
        if isinstance(a, Mapping):
            ours[name] = {k: v for k, v in a.items() if b.get(k) != v}
            theirs[name] = {k: v for k, v in b.items() if a.get(k) != v}
        elif a != b:
            ours[name], theirs[name] = a, b
    return Config(**ours), Config(**theirs)


def _blocks(renderer: Renderer, section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if old is new:
        return
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) == new.get(name):
            continue
        removed, added = (tuple(renderer.block(section, side[name])) if name in side else () for side in (old, new))
        if removed[:1] == added[:1]:
            gone, come = set(removed) - set(added), set(added) - set(removed)
            yield Change(removed[0], tuple(x for x in removed if x in gone), tuple(x for x in added if x in come))
            continue
        if removed:
            yield Change(removed[0], removed=removed)
        if added:
            yield Change(added[0], added=added)
