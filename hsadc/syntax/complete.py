"""What may stand at the end of a half-typed line: for `?`, TAB and menus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hsadc.errors import CommandError
from hsadc.syntax.help import Help
from hsadc.syntax.match import walk
from hsadc.syntax.nodes import Node
from hsadc.syntax.words import quote, split_words

MOST_NAMES = 100
_HALF_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*\\?')


class Candidate(NamedTuple):
    """A word that may stand here; a placeholder stands for a value and cannot be typed as it is."""

    word: str
    text: str
    placeholder: bool = False


LiveNames = Callable[[str], Iterable[str]]
"""From the @word of a terminal to the names that exist now."""


def last_word(line: str) -> str:
    """The word being typed; empty after a blank."""
    words = split_words(line)
    return words[-1] if words and line.endswith(words[-1]) else ""


def candidates(root: Node, line: str, names: LiveNames) -> list[Candidate]:
    """What may stand at the end of the line, whose last word may be half typed; keywords first, then values.

    Raises:
        CommandError: the words before the last one cannot be.
    """
    last = last_word(line)
    before = line[: len(line) - len(last)]
    node, _ = walk(root, before, split_words(before))
    found: dict[str, Candidate] = {}
    for word, help_ in node.helps:
        for c in _of(node, word, help_, last, names):
            found.setdefault(c.word, c)
    if node.form and (node.in_text or not last):
        found["<cr>"] = Candidate("<cr>", "", True)
    return sorted(found.values(), key=lambda c: (c.placeholder, c.word))


def _of(node: Node, word: str, help_: Help, last: str, names: LiveNames) -> Iterable[Candidate]:
    if word in node.keywords or word in node.words:
        if word.startswith(last.lower()):
            yield Candidate(word, help_.text)
        return
    if help_.live:
        bare = last.lstrip('"')
        live = [n for n in names(help_.live) if n.lower().startswith(bare.lower())]
        for name in live[:MOST_NAMES]:
            yield Candidate(quote(name) if help_.placeholder == "WORD" else name, help_.text)
        if len(live) > MOST_NAMES:
            yield Candidate("...", f"and {len(live) - MOST_NAMES} more", True)
    if not last or _fits(node, word, last):
        yield Candidate(help_.placeholder, help_.text, True)


def _fits(node: Node, name: str, last: str) -> bool:
    """Whether the half-typed word may be such a value."""
    terminal = next(t for t, _ in node.terminals if t.name == name)
    if not terminal.matches(last):
        return terminal.free and _HALF_QUOTED.fullmatch(last) is not None
    try:
        terminal.parse(last)
    except CommandError:
        return False
    return True
