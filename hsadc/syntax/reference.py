"""The reference of all commands as Markdown, derived from the nodes: forms, help of each word, defaults."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations, groupby

from hsadc.model.config import SECTIONS, Config
from hsadc.syntax.edit import Setting, settings
from hsadc.syntax.grammar import Grammar, section_of
from hsadc.syntax.nodes import Form, Node
from hsadc.syntax.render import Part, arcs, default_words, line_templates
from hsadc.syntax.values import Terminal

Words = tuple[str, ...]
"""A line of the grammar: its keywords, and what `?` shows for its values."""

Helps = tuple[tuple[str, str], ...]
"""Words and their help, in the order of a line."""

_CHOICE = re.compile(r"\{[^{}]*\}")

_INTRODUCTION = """\
# Command reference

Made from the grammar by `make docs`; `?` shows the same on the device.

Keywords may be as short as is unique, in any case of letters. `[ ]` may be left out, of `{ | }` one is chosen. `A.B.C.D` is an
IPv4 address, `X:X::X:X` an IPv6 address, `/M` a prefix length, `<1-10>` a number, `WORD` a name, bare or in double quotes,
`LINE` text up to the end of the line. `no` takes a setting back to its default. `exit` leaves a mode, `end` returns to exec
mode, whose commands work in every mode.
"""


def reference(grammar: Grammar) -> Iterator[str]:
    """The lines of the document."""
    yield from _INTRODUCTION.splitlines()
    yield from _section("Exec commands", grammar.roots["exec"], {})
    yield from _section("Behind a bar: `show ... |`", grammar.roots["pipe"], {})
    yield from _section("Configuration: `configure`", grammar.roots["config"], settings(Config))
    heads = _rules(grammar.roots["config"])
    for section, cls in SECTIONS.items():
        title = " or ".join(f"`{form}`" for form in _spelt(heads[f"head_{section}"].lines))
        own = {f"{section}_{field}": setting for field, setting in settings(cls).items()}
        yield from _section(title, grammar.roots[section], own)


class _Rule:
    """A rule's lines, those of its `no` form without the `no`, and the help of its words in their order."""

    def __init__(self) -> None:
        self.lines: set[Words] = set()
        self.negated: set[Words] = set()
        self.helps: dict[tuple[str, str], None] = {}

    @property
    def line(self) -> Words:
        """The line that it is found by."""
        return min(self.lines or self.negated)


def _rules(root: Node) -> dict[str, _Rule]:
    """The rules of a mode, without those of every mode; the removal of a section is the `no` form of its head."""
    found: dict[str, _Rule] = {}
    for form, words, helps in _walk(root, (), ()):
        section = section_of(form.name)
        rule = found.setdefault(f"head_{section}" if section else form.name, _Rule())
        (rule.negated if form.negated else rule.lines).add(words[form.negated :])
        rule.helps |= dict.fromkeys(helps)
    return {name: rule for name, rule in found.items() if name not in ("leave", "to_exec", "do_exec")}


def _walk(node: Node, words: Words, helps: Helps) -> Iterator[tuple[Form, Words, Helps]]:
    if node.form is not None:
        yield node.form, words, helps
    known = dict(node.helps)
    for part, child in arcs(node):
        if isinstance(part, Terminal):
            shown = known[part.name].placeholder
            told: Helps = ((shown, known[part.name].text),)
        else:
            choices = [part] if isinstance(part, str) else sorted(part)
            shown = choices[0] if len(choices) == 1 else "{" + " | ".join(choices) + "}"
            told = tuple((choice, known[choice].text) for choice in choices)
            if len({text for _, text in told}) == 1:
                told = ((shown, told[0][1]),)
        yield from _walk(child, (*words, shown), helps if shown == "no" else (*helps, *told))


def _section(title: str, root: Node, own: Mapping[str, Setting]) -> Iterator[str]:
    """A mode; where several commands begin with one word, it is explained once, above them."""
    yield from ("", f"## {title}", "")
    rules, longest = _rules(root), _longest(root)
    defaults = {name: default_words(setting, *longest[name]) for name, setting in own.items()}
    by_word = groupby(sorted(rules, key=lambda name: rules[name].line), key=lambda name: rules[name].line[0])
    for word, names in ((word, list(found)) for word, found in by_word):
        told = {help_ for help_ in rules[names[0]].helps if help_[0] == word and len(names) > 1}
        yield from (f"- `{word}`: {text}." for _, text in told)
        yield from ("  " * len(told) + _command(rules[name], defaults.get(name, ""), told) for name in names)


def _longest(root: Node) -> dict[str, tuple[Form, Sequence[Part]]]:
    """The line of each rule of a mode that leaves nothing out."""
    lines = sorted(line_templates(root), key=lambda line: len(line[1]))
    return {form.name: (form, parts) for form, parts in lines if not form.negated}


def _command(rule: _Rule, default: str, told: Collection[tuple[str, str]]) -> str:
    if rule.lines == rule.negated:
        forms = [f"[no] {form}" for form in _spelt(rule.lines)]
    else:
        shortest: list[Words] = sorted(rule.negated, key=len)[:1]
        forms = [*_spelt(rule.lines), *(" ".join(("no", *words)) for words in shortest)]
    helps = "; ".join(f"`{word}` {text}" for word, text in rule.helps if (word, text) not in told)
    return (
        f"- {' or '.join(f'`{form}`' for form in forms)}"
        + (f": {helps}." if helps else ".")
        + (f" Default: `{default}`." if default else "")
    )


def _spelt(lines: Collection[Words]) -> list[str]:
    """The forms of a rule, one for each word that begins a line of it."""
    groups = groupby(sorted(lines), key=lambda words: words[0])
    return [" ".join(joined(set(group))) for _, group in groups]


def joined(lines: set[Words]) -> list[str]:
    """Several lines as one: `[ ]` around what may be missing, `{ | }` around alternatives."""
    if lines == {()}:
        return []
    if parts := _in_two(lines):
        return [*joined(parts[0]), *joined(parts[1])]
    if option := _option(lines):
        return [f"[{_choices(option[0])}]", *joined(option[1])]
    if len(lines) == 1:
        return list(*lines)
    choices = _choices(lines - {()})
    return [f"[{choices}]" if () in lines else "{" + choices + "}"]


def _choices(lines: set[Words]) -> str:
    """Alternatives with a bar between them; what is a choice itself brings its own."""
    forms = [" ".join(joined(set(group))) for _, group in groupby(sorted(lines), key=lambda words: words[0])]
    return " | ".join(form[1:-1] if _CHOICE.fullmatch(form) else form for form in forms)


def _in_two(lines: set[Words]) -> tuple[set[Words], set[Words]] | None:
    """Heads and tails when each head may be followed by each tail and nothing else; as many tails as can be."""
    beginnings = {words[:n] for words in lines for n in range(1, len(words) + 1)}
    for tails in sorted(({w[len(b) :] for w in lines if w[: len(b)] == b} for b in sorted(beginnings)), key=len, reverse=True):
        heads = {b for b in beginnings if all(b + tail in lines for tail in tails)}
        if tails != {()} and {head + tail for head in heads for tail in tails} == lines:
            return heads, tails
    return None


def _option(lines: set[Words]) -> tuple[set[Words], set[Words]] | None:
    """The alternatives that stand in front of each of some lines and may as well be missing, and those lines."""
    groups = {first: {w for w in lines if w[:1] == (first,)} for first in sorted({words[0] for words in lines if words})}
    for number in range(1, len(groups) + 1):
        for firsts in combinations(groups, number):
            without = lines.difference(*(groups[first] for first in firsts))
            options = {option for first in firsts if (option := _in_front(groups[first], without))}
            if len(options) == number:
                return options, without
    return None


def _in_front(with_it: set[Words], without: set[Words]) -> Words:
    """The words that make the ones of the others; none where there are no such words."""
    if not without:
        return ()
    shortest = min(with_it, key=len)
    option = shortest[: max(0, len(shortest) - len(min(without, key=len)))]
    return option if {option + other for other in without} == with_it else ()
