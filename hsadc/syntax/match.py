"""From a line to a command, or to the error that says where it goes wrong and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from hsadc.errors import AmbiguousCommand, BadValue, CommandError, IncompleteCommand, UnknownCommand
from hsadc.syntax.nodes import Command, Form, Node
from hsadc.syntax.words import column_of, split_words

_STEM_AND_NUMBER = re.compile(r"([a-z]+)(\d.*)")

T = TypeVar("T")


def match(root: Node, line: str) -> Command:
    """Read a line from the first node of a mode.

    Raises:
        CommandError: UnknownCommand, AmbiguousCommand, IncompleteCommand or BadValue.
    """
    form, values = understand(root, line)
    try:
        command: Command = form.command(values)
    except BadValue as e:
        words = split_words(line)
        raise BadValue(str(e), column_of(line, len(words) - 1), len(words), e.expected) from None
    return command


def understand(root: Node, line: str) -> tuple[Form, list[Any]]:
    """As `match`, but without making the command: a password is not hashed at every key stroke.

    Raises:
        CommandError: the words are not a command of this mode.
    """
    words = split_words(line)
    node, values = walk(root, line, words)
    if node.form is None:
        raise IncompleteCommand(len(line.rstrip()), len(words), node.expected)
    return node.form, values


def match_in(roots: Sequence[Node], line: str, read: Callable[[Node, str], T]) -> tuple[int, T]:
    """Read a line with `match` or `understand` in several modes, innermost first.

    Returns:
        The index of the mode that understood it, and what `read` gave.

    Raises:
        CommandError: of the mode that understood the most words; the innermost one when they are even.
    """
    furthest: CommandError | None = None
    for index, root in enumerate(roots):
        try:
            return index, read(root, line)
        except CommandError as e:
            if furthest is None or e.depth > furthest.depth:
                furthest = e
    assert furthest is not None, "there is always a mode"  # noqa: S101
    raise furthest


def walk(root: Node, line: str, words: Sequence[str]) -> tuple[Node, list[Any]]:
    """Follow the words of a line.

    Returns:
        The node after the last word, and the values met on the way.
    """
    node, values = root, []
    for index, word in enumerate(words):
        following = node.keywords.get(word)
        if following is None:
            try:
                following, found = _step(node, word, line, index)
            except CommandError as e:
                raise _placed(e, line, index) from None
            values += found
            if following.in_text:
                return following, values
        node = following
    return node, values


def _step(node: Node, word: str, line: str, index: int) -> tuple[Node, list[Any]]:
    """In the order of decision: typed value, enumerated word, unique beginning, free name, rest of the line."""
    quoted = word.startswith('"')
    if not quoted:
        for terminal, child in node.typed:
            if terminal.matches(word):
                return child, [terminal.parse(word)]
        if (found := _by_beginning(node, word)) is not None:
            return found
    for terminal, child in node.free:
        if terminal.matches(word):
            return child, [terminal.parse(word)]
    if node.rest is not None:
        terminal, child = node.rest
        return child, [terminal.parse(line[column_of(line, index) :])]
    close = get_close_matches(word.lower()[:80], [w for w, h in node.helps if not h.placeholder], 1, 0.7)
    raise UnknownCommand(_short(word), 0, 0, node.expected, close[0] if close else None)


def _by_beginning(node: Node, word: str) -> tuple[Node, list[Any]] | None:
    """A keyword, an enumerated word or an interface by its unique beginning, in any case of letters."""
    low = word.lower()
    found: dict[str, tuple[Node, list[Any]]] = {k: (child, []) for k, child in node.keywords.items() if k.startswith(low)}
    found |= {w: (child, [w]) for w, child in node.words.items() if w.startswith(low)}
    if low in found:
        return found[low]
    found |= interfaces_by_beginning(node, low)
    if len(found) == 1:
        return next(iter(found.values()))
    if found and not node.free and node.rest is None:
        raise AmbiguousCommand(_short(word), 0, 0, sorted(found))
    return None


def interfaces_by_beginning(node: Node, word: str) -> dict[str, tuple[Node, list[Any]]]:
    """Interfaces by a beginning of their kind and their number: `e0/0` is ethernet0/0."""
    if not (parts := _STEM_AND_NUMBER.fullmatch(word)):
        return {}
    full = ((t, t.stem + parts[2], child) for t, child in node.typed if t.stem.startswith(parts[1]))
    return {name: (child, [t.parse(name)]) for t, name, child in full if t.matches(name)}


def _placed(error: CommandError, line: str, index: int) -> CommandError:
    error.column, error.depth = column_of(line, index), index
    return error


def _short(word: str) -> str:
    return word if len(word) <= 40 else word[:40] + "..."
