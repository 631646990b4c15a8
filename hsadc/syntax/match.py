"""From a line to a command, or to the error that says where it goes wrong and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hsadc.errors import AmbiguousCommand, BadValue, CommandError, IncompleteCommand, UnknownCommand
from hsadc.syntax.nodes import Command, Form, Node
from hsadc.syntax.words import column_of, split_words

_STEM_AND_NUMBER = re.compile(r"([a-z]+)(\d.*)")

T = TypeVar("T")


def match(root: Node, line: str, words: Sequence[str] | None = None) -> Command:
    """Read a line from the first node of a mode; `words` are its words, where they are known.

    Raises:
        CommandError: UnknownCommand, AmbiguousCommand, IncompleteCommand or BadValue.
    """
    return make_command(*understand(root, line, words), line)


def understand(root: Node, line: str, words: Sequence[str] | None = None) -> tuple[Form, list[Any]]:
    """As `match`, but without making the command: a password is not hashed at every key stroke.

    Raises:
        CommandError: the words are not a command of this mode.
    """
    if words is None:
        words = split_words(line)
    node, values = walk(root, line, words)
    if node.form is None:
        raise IncompleteCommand(len(line.rstrip()), len(words), node.expected)
    return node.form, values


def make_command(form: Form, values: list[Any], line: str) -> Command:
    """The command that a line was understood as.

    Raises:
        BadValue: values that are right each by itself do not fit each other.
    """
    try:
        command: Command = form.command(values)
    except BadValue as e:
        words = split_words(line)
        raise BadValue(str(e), column_of(line, len(words) - 1), len(words), e.expected) from None
    return command


def match_in(roots: Sequence[Node], line: str, read: Callable[[Node, str, Sequence[str]], T]) -> tuple[int, T]:
    """Read a line with `match` or `understand` in several modes, innermost first.

    Returns:
        The index of the mode that understood it, and what `read` gave.

    Raises:
        AmbiguousCommand: its first word may also be the beginning of another word of a mode around that one.
        CommandError: of the mode that understood the most words; the innermost one when they are even.
    """
    words = split_words(line)
    furthest: CommandError | None = None
    for index, root in enumerate(roots):
        if words and not root.may_begin(words[0]):
            continue
        try:
            found = read(root, line, words)
        except CommandError as e:
            if furthest is None or e.depth > furthest.depth:
                furthest = e.with_traceback(None)  # which would keep this frame alive until garbage is collected
        else:
            _refuse_doubt(roots[index:], line, words)
            return index, found
    if furthest is not None:
        raise furthest
    return 0, read(roots[0], line, words)  # which says why not even its first word can stand


def _refuse_doubt(roots: Sequence[Node], line: str, words: Sequence[str]) -> None:
    """`sh` must not shut an interface that somebody wanted to look at: what follows has to tell which word was meant."""
    low = words[0].lower() if words else ""
    own = roots[0].begun(low)
    if not own or low in own:
        return
    others = [word for root in roots[1:] for word in root.begun(low) if word not in own and _may_become(root, line, words)]
    if others:
        raise AmbiguousCommand(_short(words[0]), column_of(line, 0), 0, sorted({*own, *others}))


def _may_become(root: Node, line: str, words: Sequence[str]) -> bool:
    """Whether a line is a command, or the beginning of one."""
    try:
        understand(root, line, words)
    except (IncompleteCommand, AmbiguousCommand):
        return True
    except CommandError:
        return False
    return True


def walk(root: Node, line: str, words: Sequence[str]) -> tuple[Node, list[Any]]:
    """Follow the words of a line.

    Returns:
        The node after the last word, and the values met on the way.

    Raises:
        CommandError: a word cannot stand where it stands.
    """
    node, values, index = root, list[Any](), 0
    try:
        for index, word in enumerate(words):
            node = node.keywords.get(word) or _step(node, word, line, index, values)
            if node.in_text:
                break
    except CommandError as e:
        e.column, e.depth = column_of(line, index), index
        raise
    return node, values


def _step(node: Node, word: str, line: str, index: int, values: list[Any]) -> Node:
    """In the order of decision: typed value, enumerated word, unique beginning, free name, rest of the line."""
    if word[0] != '"':
        for terminal, child in node.typed:
            if terminal.matches(word):
                values.append(terminal.parse(word))
                return child
        if (ahead := node.words.get(word)) is not None:
            values.append(word)
            return ahead
        if node.keywords or node.words or node.typed:
            for child, value in _by_beginning(node, word):
                values += value
                return child
    for terminal, child in node.free:
        if terminal.matches(word):
            values.append(terminal.parse(word))
            return child
    if node.rest is not None:
        terminal, child = node.rest
        values.append(terminal.parse(line[column_of(line, index) :]))
        return child
    raise UnknownCommand(_short(word), 0, 0, node.expected)


def _by_beginning(node: Node, word: str) -> Sequence[tuple[Node, Sequence[Any]]]:
    """A keyword, an enumerated word or an interface by its unique beginning, in any case of letters; empty when there is none."""
    low = word.lower()
    found: dict[str, tuple[Node, Sequence[Any]]] = {k: (child, ()) for k, child in node.keywords.items() if k.startswith(low)}
    found |= {w: (child, (w,)) for w, child in node.words.items() if w.startswith(low)}
    if low in found:
        return [found[low]]
    found |= _interfaces_by_beginning(node, low)
    if len(found) > 1 and not node.free and node.rest is None:
        raise AmbiguousCommand(_short(word), 0, 0, sorted(found))
    return list(found.values()) if len(found) == 1 else ()


def _interfaces_by_beginning(node: Node, word: str) -> dict[str, tuple[Node, Sequence[Any]]]:
    """Interfaces by a beginning of their kind and their number: `e0/0` is ethernet0/0."""
    if not (parts := _STEM_AND_NUMBER.fullmatch(word)):
        return {}
    full = ((t, t.stem + parts[2], child) for t, child in node.typed if t.stem.startswith(parts[1]))
    return {name: (child, (t.parse(name),)) for t, name, child in full if t.matches(name)}


def _short(word: str) -> str:
    return word if len(word) <= 40 else word[:40] + "..."
