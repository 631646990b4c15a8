"""Nodes: what may follow after some words, as dictionaries.

A node is the state of Lark's parser after some words. All nodes are made at once, out of what `derive` wrote down, and then never
change, so that threads can share them. Reading a line, help, completion, error carets and the writing of commands all come from
the same nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from hsadc.syntax.help import Help
from hsadc.syntax.values import VALUE_RULES, Terminal, make_terminal


class Command(NamedTuple):
    """A line that was understood.

    Attributes:
        name: the grammar's rule.
        negated: True for the `no` form.
        args: its values in order; None stands for an optional part that was left out.
    """

    name: str
    negated: bool = False
    args: tuple[Any, ...] = ()


class Form:
    """The shape of a command.

    Attributes:
        name: its rule.
        negated: True for the `no` form.
        slots: for each argument the number of the value in the line, a nested form, or None.
    """

    __slots__ = ("_constant", "_places", "_rule", "name", "negated", "slots")

    def __init__(self, name: str, negated: bool, slots: Sequence[Any]) -> None:
        """`slots` is as in the tables: a nested form is a list of its name, negation and slots."""
        self.name = name
        self.negated = negated
        self.slots: tuple[int | Form | None, ...] = tuple(Form(*s) if isinstance(s, list) else s for s in slots)
        self._rule = VALUE_RULES.get(name)
        self._constant = None if slots else Command(name, negated)
        nested = self._rule is not None or any(isinstance(s, Form) for s in self.slots)
        self._places = None if nested else [-1 if s is None else s for s in slots]  # -1: the None that `command` puts last

    def command(self, values: Sequence[Any]) -> Any:
        """The command (or the value of a value rule) made of a line's values."""
        if self._constant is not None:
            return self._constant
        if self._places is not None:
            padded = (*values, None)
            return Command(self.name, self.negated, tuple([padded[n] for n in self._places]))
        args = tuple(s.command(values) if isinstance(s, Form) else None if s is None else values[s] for s in self.slots)
        return self._rule.build(*args) if self._rule else Command(self.name, self.negated, args)

    def values(self, args: Sequence[Any]) -> list[Any] | None:
        """The values of the line that says these arguments, which is the way back; None when it cannot say them."""
        if self._places is not None:
            return [a for a in args if a is not None]
        found: list[Any] = []
        for slot, arg in zip(self.slots, args, strict=True):
            if not isinstance(slot, Form):
                found += () if arg is None else (arg,)
            elif (values := slot._values_of(arg)) is not None:
                found += values
            else:
                return None
        return found

    def _values_of(self, value: Any) -> list[Any] | None:
        parts = self._rule.parts(value) if self._rule else None
        return None if parts is None else self.values(parts)

    @property
    def missing(self) -> Iterable[tuple[bool, ...]]:
        """Which arguments are None in what it may say; a value rule may stand for None too."""
        return product(*((True, False) if isinstance(s, Form) else (s is None,) for s in self.slots))


@dataclass(slots=True, eq=False)
class Node:
    """What may follow after some words.

    Attributes:
        form: the command, when the line may end here.
        keywords: the next node for each keyword.
        words: the next node for each enumerated word (a value out of a fixed list).
        typed: values that are told by their form, such as addresses.
        free: names, which may be any word.
        rest: text up to the end of the line.
        in_text: True within text up to the end of the line: more words change nothing.
        helps: what `?` shows here: the keyword, enumerated word or terminal's name, and its help.
    """

    form: Form | None
    keywords: dict[str, Node] = field(default_factory=dict)
    words: dict[str, Node] = field(default_factory=dict)
    typed: list[tuple[Terminal, Node]] = field(default_factory=list)
    free: list[tuple[Terminal, Node]] = field(default_factory=list)
    rest: tuple[Terminal, Node] | None = None
    in_text: bool = False
    helps: list[tuple[str, Help]] = field(default_factory=list)
    _expected: tuple[str, ...] = ()

    @property
    def expected(self) -> tuple[str, ...]:
        """The words and placeholders that may stand here, sorted; `<cr>` when the line may end."""
        if not self._expected:
            shown = {h.placeholder if h.placeholder and not word.islower() else word for word, h in self.helps}
            self._expected = (*sorted(shown), *(["<cr>"] if self.form else []))
        return self._expected

    @property
    def terminals(self) -> list[tuple[Terminal, Node]]:
        """All values that may stand here, and what follows each."""
        return [*self.typed, *self.free, *([self.rest] if self.rest else [])]

    def may_begin(self, word: str) -> bool:
        """Whether a word may stand here: a keyword's beginning, or any value."""
        if word in self.keywords or self.words or self.typed or self.free or self.rest:
            return True
        return bool(self.begun(word.lower()))

    def begun(self, beginning: str) -> list[str]:
        """The keywords with this beginning, which is in small letters."""
        return [keyword for keyword in self.keywords if keyword.startswith(beginning)]


def make_nodes(tables: Mapping[str, Any]) -> Mapping[str, Node]:
    """The first node of each mode, out of what `derive` gave."""
    lists, patterns = tables["lists"], tables["patterns"]

    @cache
    def terminal(name: str, placeholder: str, live: str) -> Terminal:
        pattern, priority = patterns[name]
        return make_terminal(name, pattern, priority, placeholder, live)

    nodes: list[Node] = []
    for form, arcs, in_text in tables["states"]:
        node = Node(form and Form(*form), in_text=in_text)
        for name, text, placeholder, live, ahead in arcs:
            child = nodes[ahead]
            if name in patterns:
                _hang(node, terminal(name, placeholder, live), child)
                node.helps.append((name, Help(text, placeholder, live)))
            elif name in lists:
                node.words.update(dict.fromkeys(lists[name], child))
                node.helps += [(word, Help(own or text)) for word, own in lists[name].items()]
            else:
                node.keywords[name] = child
                node.helps.append((name, Help(text)))
        nodes.append(node)
    return {mode: nodes[root] for mode, root in tables["modes"].items()}


def _hang(node: Node, terminal: Terminal, child: Node) -> None:
    if terminal.rest:
        node.rest = terminal, child
    else:
        (node.free if terminal.free else node.typed).append((terminal, child))
