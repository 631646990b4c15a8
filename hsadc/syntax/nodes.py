"""Nodes: Lark's LALR tables, walked once and kept as dictionaries.

Lark decides what may follow what, but is not run per line. A node is the parser's state after some words. All nodes are
made when the grammar is read (a line has no recursion, so there is an end), and then never change, so that threads can share
them. Reading a line, help, completion, error carets and the writing of commands all come from the same nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lark import Lark, Token
from lark.parsers.lalr_interactive_parser import InteractiveParser

from hsadc.syntax.help import Help, HelpTexts
from hsadc.syntax.values import VALUE_RULES, Terminal, make_terminal

LONGEST_COMMAND = 40
_END = "$END"
_ENUMERATION = re.compile(r"\(\?:((?:\w|\\-|\|)+)\)|[a-z\\-]+")


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


class Form(NamedTuple):
    """The shape of a command: its rule, and for each argument the number of the value in the line, a nested form, or None."""

    name: str
    negated: bool
    slots: tuple[int | Form | None, ...]

    def command(self, values: list[Any]) -> Any:
        """The command (or the value of a value rule) made of a line's values."""
        args = tuple(s.command(values) if isinstance(s, Form) else None if s is None else values[s] for s in self.slots)
        build = VALUE_RULES.get(self.name)
        return build(*args) if build else Command(self.name, self.negated, args)


@dataclass(slots=True, eq=False)
class Node:
    """What may follow after some words.

    Attributes:
        path: the terminals that lead here from the start, literal keywords as their words in quotes.
        keywords: the next node for each keyword.
        words: the next node for each enumerated word (a value out of a fixed list).
        typed: values that are told by their form, such as addresses.
        free: names, which may be any word.
        rest: text up to the end of the line.
        form: the command, when the line may end here.
        in_text: True within text up to the end of the line: more words change nothing.
        helps: what `?` shows here: the keyword, enumerated word or terminal's name, and its help.
    """

    path: tuple[str, ...]
    keywords: dict[str, Node] = field(default_factory=dict)
    words: dict[str, Node] = field(default_factory=dict)
    typed: list[tuple[Terminal, Node]] = field(default_factory=list)
    free: list[tuple[Terminal, Node]] = field(default_factory=list)
    rest: tuple[Terminal, Node] | None = None
    form: Form | None = None
    in_text: bool = False
    helps: list[tuple[str, Help]] = field(default_factory=list)

    @property
    def expected(self) -> list[str]:
        """The words and placeholders that may stand here, sorted; `<cr>` when the line may end."""
        shown = {h.placeholder if h.placeholder and not word.islower() else word for word, h in self.helps}
        return sorted(shown) + (["<cr>"] if self.form else [])


class NodeBuilder:
    """Walks Lark's tables from each start symbol and leaves nodes behind."""

    def __init__(self, grammar: str, starts: list[str]) -> None:
        self.helps = HelpTexts(grammar)
        self.lark = Lark(grammar, parser="lalr", lexer="contextual", start=starts, debug=True)  # debug: states stay sets of rules
        self.literals: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.terminals: dict[str, Terminal] = {}
        for t in self.lark.terminals:
            pattern = t.pattern.to_regexp()
            if t.name.startswith("__ANON") or (t.pattern.type == "str" and t.priority == 0):
                self.literals[t.name] = t.pattern.value
            elif t.priority == 1 and _ENUMERATION.fullmatch(pattern):
                self.lists[t.name] = re.sub(r"[\\()?:]", "", pattern).split("|")
            else:
                h = self.helps.of(t.name)
                self.terminals[t.name] = make_terminal(t.name, pattern, t.priority, h.placeholder, h.live)

    def build(self) -> Mapping[str, Node]:
        """The first node of each start symbol."""
        return {start: self._root(start) for start in self.lark.options.start}

    def _root(self, start: str) -> Node:
        parser = self.lark.parse_interactive(start=start)
        parser.parser_state.parse_conf.callbacks = {}  # states only: no trees while exploring
        root = Node(())
        todo = [(root, (), parser)]
        while todo:
            node, tokens, parser = todo.pop()
            todo += self._fill(node, tokens, parser)
            if len(tokens) > LONGEST_COMMAND:
                raise ValueError(f"{start}: a command has no end: {node.path}")
            if node.form is not None:
                node.form = self._form(start, tokens)
        return root

    def _fill(self, node: Node, tokens: tuple[str, ...], parser: InteractiveParser) -> list[Any]:
        """Find what may follow; the new nodes are given back to be filled in turn."""
        todo = []
        for name, rule in accepts(parser, self._has_help):
            if name == _END:
                node.form = Form("", False, ())
                continue
            ahead = parser.copy(deepcopy_values=False)  # type: ignore[no-untyped-call]
            ahead.feed_token(Token(name, ""))
            word = self.literals.get(name)
            child = Node((*node.path, f'"{word}"' if word else name))
            self._hang(node, name, rule, child)
            todo.append((child, (*tokens, name), ahead))
        return todo

    def _hang(self, node: Node, name: str, rule: str, child: Node) -> None:
        if name in self.literals:
            word = self.literals[name]
            node.keywords[word] = child
            node.helps.append((word, self.helps.of(word, rule)))
            return
        h = self.helps.of(name, rule)
        if name in self.lists:
            node.words.update(dict.fromkeys(self.lists[name], child))
            node.helps += [(word, Help(h.text)) for word in self.lists[name]]
            return
        terminal = self.terminals[name]
        node.helps.append((name, h))
        if terminal.rest:
            node.rest, child.in_text = (terminal, child), True
        else:
            (node.free if terminal.free else node.typed).append((terminal, child))

    def _has_help(self, name: str, rule: str) -> bool:
        return self.helps.has(self.literals.get(name, name), rule)

    def _form(self, start: str, tokens: tuple[str, ...]) -> Form:
        """Give the path to Lark once, numbers standing for values: its tree is the form of all such lines."""
        parser, number = self.lark.parse_interactive(start=start), 0
        for name in tokens:
            parser.feed_token(Token(name, self.literals.get(name) or str(number)))
            number += name not in self.literals
        return _form_of(parser.feed_eof().children[0])  # type: ignore[no-untyped-call]


def accepts(parser: InteractiveParser, has_help: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    """Each terminal that the parser would shift, and the rule that reads it.

    As Lark's `InteractiveParser.accepts()`, which does not tell the rule, and so no place for help. The keys of the table alone
    would be too many: LALR merges look-aheads. Where several rules read the terminal, one with help for it comes first.
    """
    state = parser.parser_state
    table, found = state.parse_conf.states, []
    for name in filter(str.isupper, table[state.position]):
        stack = list(state.state_stack)
        while (hit := table[stack[-1]].get(name)) is not None:
            action, argument = hit
            if action.name == "Shift":
                rules = {r.rule.origin.name for r in stack[-1] if not r.is_satisfied and r.next.name == name}
                found.append((name, min(rules, key=lambda r: (not has_help(name, r), r))))
                break
            if argument.expansion:
                del stack[-len(argument.expansion) :]
            stack.append(table[stack[-1]][argument.origin.name][1])
            if name == _END and stack[-1] == state.parse_conf.end_state:
                found.append((_END, ""))
                break
    return found


def _form_of(tree: Any) -> Form:
    negated, slots = False, list[int | Form | None]()
    for child in tree.children:
        if child is None:
            slots.append(None)
        elif hasattr(child, "data"):
            slots.append(_form_of(child))
        elif child.type == "NO":
            negated = True
        else:
            slots.append(int(child))
    return Form(str(tree.data), negated, tuple(slots))
