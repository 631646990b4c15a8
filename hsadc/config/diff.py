"""What changes from one configuration to another, block by block; pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hsadc.config.change import Change
from hsadc.model.config import ORDERED, SECTIONS, Config
from hsadc.syntax.render import Renderer


@dataclass(frozen=True, slots=True)
class Hunk:
    """What changes in one block, or among the global settings.

    Attributes:
        block: the block's head; None for the global settings.
        removed: lines that go, indented as they are shown; with the head and `exit` when the whole block goes.
        added: lines that come; with the head and `exit` when the whole block comes.
    """

    block: str | None
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def difference(renderer: Renderer, change: Change) -> list[Hunk]:
    """What a change does: to the global settings first, then to each block, once; nothing when both sides are equal.

    What both share is passed over without being written as text. The order of entries is a difference in access lists and mirror
    profiles alone, where a line that has moved goes and comes.
    """
    top = Hunk(None, *(tuple(renderer.config(c)) for c in _global_settings_that_differ(change)))
    hunks = [top] if top.removed or top.added else []
    for section in SECTIONS:
        hunks += _blocks(renderer, section, change)
    return hunks


def unified(hunks: Iterable[Hunk], old: str, new: str) -> Iterator[str]:
    """The changes as a unified diff; `old` and `new` name the two sides. Nothing when there are none."""
    for index, hunk in enumerate(hunks):
        if index == 0:
            yield from (f"--- {old}", f"+++ {new}")
        whole = hunk.block in hunk.removed or hunk.block in hunk.added
        if hunk.block is not None and not whole:
            yield f" {hunk.block}"
        yield from (f"-{line}" for line in hunk.removed)
        yield from (f"+{line}" for line in hunk.added)


def count(hunks: Sequence[Hunk]) -> tuple[int, int]:
    """How many lines come and go."""
    return sum(len(h.added) for h in hunks), sum(len(h.removed) for h in hunks)


def _global_settings_that_differ(change: Change) -> tuple[Config, Config]:
    """Two configurations without blocks, and without the settings that both share."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for name in (f.name for f in fields(Config) if f.name not in SECTIONS):
        a, b = getattr(change.before, name), getattr(change.after, name)
        if isinstance(a, Mapping):
            differing = [k for k in change.differing(name) if a.get(k) != b.get(k)]
            ours[name], theirs[name] = ({k: side[k] for k in differing if k in side} for side in (a, b))
        elif a != b:
            ours[name], theirs[name] = a, b
    return Config(**ours), Config(**theirs)


def _blocks(renderer: Renderer, section: str, change: Change) -> Iterator[Hunk]:
    old, new = getattr(change.before, section), getattr(change.after, section)
    for name in change.differing(section):
        if old.get(name) == new.get(name):
            continue
        removed, added = (tuple(renderer.block(section, side[name])) if name in side else () for side in (old, new))
        if removed[:1] == added[:1]:
            kept = _in_their_order(removed, added) if section in ORDERED else set(removed) & set(added)
            yield Hunk(removed[0], tuple(x for x in removed if x not in kept), tuple(x for x in added if x not in kept))
            continue
        if removed:
            yield Hunk(removed[0], removed=removed)
        if added:
            yield Hunk(added[0], added=added)


def _in_their_order(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """As many lines of both, none of which is there twice, as stand in the same order in both."""
    place = {line: index for index, line in enumerate(new)}
    before: dict[str, str | None] = {}
    ends: list[str] = []  # of the runs of length 1, 2, ... the line that stands earliest in `new`
    for line in (line for line in old if line in place):
        length = bisect_left(ends, place[line], key=place.__getitem__)
        before[line] = ends[length - 1] if length else None
        ends[length : length + 1] = [line]
    kept, last = set[str](), ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return kept
