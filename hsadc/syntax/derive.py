"""Lark's LALR tables, walked once and written down as plain lists: the only module that imports Lark.

Lark decides what may follow what, but is not run per line, and not at every start: what is derived here is kept by `tables`.

    tables    {"patterns": {terminal: [pattern, priority]}, "lists": {terminal: {word: help}},
               "states": [state, ...], "modes": {mode: number}}
    state     [form, [arc, ...], in text]                         form is None where the line may not end
    arc       [keyword or terminal, help, placeholder, @live, number]
    form      [rule, negated, [slot, ...]]                        a slot is the number of a value in the line, a form, or None

States are numbered in the order of `states`, each after all that may follow it. What is equal stands there once: after
`permit tcp` follows the same as after `deny 47`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from lark import Lark, Token
from lark.parsers.lalr_interactive_parser import InteractiveParser

from hsadc.syntax.help import HelpTexts
from hsadc.syntax.values import REST_OF_LINE

LONGEST_COMMAND = 40
_END = "$END"
_ENUMERATION = re.compile(r"\(\?:((?:\w|\\-|\|)+)\)|[a-z\\-]+")


def derive(grammar: str) -> dict[str, Any]:
    """The tables of a grammar; each rule `line_X` is the mode X.

    Raises:
        ValueError: a command has no end.
    """
    starts = re.findall(r"^(line_\w+):", grammar, re.MULTILINE)
    walk = _Walk(grammar, starts)
    modes = {start.removeprefix("line_"): walk.mode(start) for start in starts}
    return {"patterns": walk.patterns, "lists": walk.lists, "states": walk.states, "modes": modes}


class _Walk:
    """From each start symbol through all states of the parser; a line has no recursion, so there is an end."""

    def __init__(self, grammar: str, starts: list[str]) -> None:
        self._helps = HelpTexts(grammar)
        self._lark = Lark(
            grammar, parser="lalr", lexer="contextual", start=starts, debug=True
        )  # debug: states stay sets of rules
        self._literals: dict[str, str] = {}
        self.lists: dict[str, dict[str, str]] = {}
        self.patterns: dict[str, tuple[str, int]] = {}
        self.states: list[list[Any]] = []
        self._numbers: dict[str, int] = {}
        for t in self._lark.terminals:
            pattern = t.pattern.to_regexp()
            if t.name.startswith("__ANON") or (t.pattern.type == "str" and t.priority == 0):
                self._literals[t.name] = t.pattern.value
            elif t.priority == 1 and _ENUMERATION.fullmatch(pattern):
                words = re.sub(r"[\\()?:]", "", pattern).split("|")
                self.lists[t.name] = {word: self._helps.of(f"{t.name}.{word}").text for word in words}
            else:
                self.patterns[t.name] = pattern, t.priority

    def mode(self, start: str) -> int:
        """The number of a mode's first state."""
        parser = self._lark.parse_interactive(start=start)
        parser.parser_state.parse_conf.callbacks = {}  # states only: no trees while exploring
        return self._state(start, (), parser)

    def _state(self, start: str, tokens: tuple[str, ...], parser: InteractiveParser) -> int:
        if len(tokens) > LONGEST_COMMAND:
            raise ValueError(f"{start}: a command has no end: {' '.join(tokens)}")
        form, arcs = None, []
        for name, rule in sorted(accepts(parser, self._has_help)):  # Lark's order is another one at each start
            if name == _END:
                form = self._form(start, tokens)
                continue
            ahead = parser.copy(deepcopy_values=False)  # type: ignore[no-untyped-call]
            ahead.feed_token(Token(name, ""))
            word = self._literals.get(name, name)
            h = self._helps.of(word, rule)
            arcs.append([word, h.text, h.placeholder, h.live, self._state(start, (*tokens, name), ahead)])
        in_text = bool(tokens) and self.patterns.get(tokens[-1], ("", 0))[1] == REST_OF_LINE
        return self._number([form, sorted(arcs, key=lambda arc: str(arc[0])), in_text])

    def _number(self, state: list[Any]) -> int:
        number = self._numbers.setdefault(json.dumps(state), len(self.states))
        if number == len(self.states):
            self.states.append(state)
        return number

    def _has_help(self, name: str, rule: str) -> bool:
        return self._helps.has(self._literals.get(name, name), rule)

    def _form(self, start: str, tokens: tuple[str, ...]) -> list[Any]:
        """Give the path to Lark once, numbers standing for values: its tree is the form of all such lines."""
        parser, number = self._lark.parse_interactive(start=start), 0
        for name in tokens:
            parser.feed_token(Token(name, self._literals.get(name) or str(number)))
            number += name not in self._literals
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


def _form_of(tree: Any) -> list[Any]:
    negated, slots = False, list[Any]()
    for child in tree.children:
        if child is None:
            slots.append(None)
        elif hasattr(child, "data"):
            slots.append(_form_of(child))
        elif child.type == "NO":
            negated = True
        else:
            slots.append(int(child))
    return [str(tree.data), negated, slots]
