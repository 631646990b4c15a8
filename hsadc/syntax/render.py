"""From a configuration to its text: the nodes walked backwards.

The text is canonical: sections in the order of Config's fields, two blanks of indent, names quoted, defaults left out, every
block closed by `exit`. What is rendered parses to an equal configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

from hsadc.model.config import SECTIONS, Config
from hsadc.syntax.edit import HEAD, Kind, Setting, settings
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.nodes import Command, Form, Node
from hsadc.syntax.values import Terminal

Key = tuple[str, bool, tuple[bool, ...]]
Part = str | Terminal | frozenset[str]
"""A piece of a line: a keyword, a value, or a word out of a list."""


class Renderer:
    """Writes commands and configurations as text."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    @cached_property
    def _templates(self) -> dict[Key, dict[Form, list[Sequence[Part]]]]:
        """The lines that a command may be written as: by rule, negation, and which optional arguments are missing."""
        found: dict[Key, dict[Form, list[Sequence[Part]]]] = {}
        for mode, root in self._grammar.roots.items():
            for form, parts in line_templates(root) if mode != "exec" else ():
                if all(part.written for part in parts if isinstance(part, Terminal)):
                    for missing in form.missing:
                        found.setdefault((form.name, form.negated, missing), {}).setdefault(form, []).append(parts)
        return found

    def command(self, command: Command) -> str:
        """A command as one line.

        Raises:
            ValueError: no line of the grammar says this; a bug.
        """
        key = (command.name, command.negated, tuple([a is None for a in command.args]))
        for form, templates in self._templates.get(key, {}).items():
            if (values := form.values(command.args)) is not None:
                for parts in templates:
                    if (line := _fill(parts, values)) is not None:
                        return line
        raise ValueError(f"the grammar has no line for {command}")

    def config(self, config: Config) -> Iterator[str]:
        """The lines of a configuration."""
        for f in fields(config):
            value = getattr(config, f.name)
            if f.name in SECTIONS:
                for block in value.values():
                    yield from self.block(f.name, block)
            else:
                yield from map(self.command, _commands(settings(Config)[f.name], f.name, value))

    def block(self, section: str, block: Any) -> Iterator[str]:
        """The lines of one block, from its head to `exit`."""
        head = tuple(getattr(block, a) for a in HEAD if hasattr(block, a))
        yield self.command(Command(f"head_{section}", False, head))
        for setting in settings(type(block)).values():
            for command in _commands(setting, f"{section}_{setting.field}", getattr(block, setting.field)):
                yield f"  {self.command(command)}"
        yield "exit"


def _commands(setting: Setting, rule: str, value: Any) -> Iterator[Command]:
    """The commands that set a field to its value; none for the default."""
    if setting.kind is Kind.ENTRIES:
        yield from (Command(rule, False, _arguments(v)) for v in value.values())
    elif value != setting.default:
        yield Command(rule, False, () if setting.kind is Kind.FLAG else _arguments(value))


def _arguments(value: Any) -> tuple[Any, ...]:
    cls: Any = type(value)
    defaults = _defaults(cls)
    return (value,) if defaults is None else tuple([None if (v := getattr(value, name)) == d else v for name, d in defaults])


def default_words(setting: Setting, form: Form, parts: Sequence[Part]) -> str:
    """What a setting is without a line for it, or where the line leaves it out, as it would be typed; empty for nothing.

    Args:
        setting: a switch has no default to speak of.
        form: of the longest line that sets it.
        parts: the pieces of that line.
    """
    if setting.item is None:
        return "" if setting.default is None or setting.default is False else str(setting.default)
    keywords = [before for before, part in pairwise(("", *parts)) if not isinstance(part, str)]
    defaults = zip(form.slots, _defaults(setting.item) or (), strict=True)
    told = ((slot, default) for slot, (_, default) in defaults if default not in (None, "", MISSING))
    return " ".join(f"{keywords[slot]} {default}" for slot, default in told if isinstance(slot, int))


@cache
def _defaults(cls: Any) -> tuple[tuple[str, Any], ...] | None:
    """The fields of a value of several words and their defaults; None for a plain value."""
    return tuple((f.name, f.default) for f in fields(cls)) if is_dataclass(cls) else None


def line_templates(node: Node, parts: Sequence[Part] = ()) -> Iterator[tuple[Form, Sequence[Part]]]:
    """Each line that may follow a node: its form and its pieces, `parts` being those before the node."""
    if node.form is not None:
        yield node.form, parts
    for part, child in arcs(node):
        yield from line_templates(child, (*parts, part))


def arcs(node: Node) -> Iterator[tuple[Part, Node]]:
    """What may stand at a node as one piece of a line, and the node behind it."""
    yield from node.keywords.items()
    for child in {id(c): c for c in node.words.values()}.values():
        yield frozenset(w for w, c in node.words.items() if c is child), child
    yield from node.terminals


def _fill(parts: Sequence[Part], values: list[Any]) -> str | None:
    """The line with these values, None when one of them is of another kind or their number differs."""
    words, remaining = [], iter(values)
    for part in parts:
        if isinstance(part, str):
            words.append(part)
            continue
        value = next(remaining, None)
        word = part.render(value) if isinstance(part, Terminal) else value if value in part else None
        if word is None:
            return None
        words.append(word)
    return " ".join(words) if next(remaining, None) is None else None
