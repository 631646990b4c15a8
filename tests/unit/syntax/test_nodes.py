"""The nodes say what Lark says, and every word has help."""

from __future__ import annotations

import re

import pytest
from lark import Lark, Token

from hsadc.model.config import SECTIONS, Config
from hsadc.syntax.derive import accepts, derive
from hsadc.syntax.edit import settings
from hsadc.syntax.grammar import Grammar, grammar_text, load_grammar

grammar = load_grammar()


def everything(node):
    return (found for _, found in paths(node))


def paths(node, words=()):
    """Each node below, with the words and placeholders that lead to it."""
    yield words, node
    for word, child in children(node):
        yield from paths(child, (*words, word))


def children(node):
    lists = {id(c): ("|".join(w for w, child in node.words.items() if child is c), c) for c in node.words.values()}
    return [*node.keywords.items(), *lists.values(), *((t.name, c) for t, c in node.terminals)]


@pytest.mark.parametrize(
    ("text", "least"),
    [(grammar_text(), 300), ('line_x: a e b | b e\na: "a"\nb: "b"\ne: | "c"', 5)],
    ids=["ours", "with a rule that may be empty"],
)
def test_in_every_state_we_accept_what_lark_accepts(text, least):
    starts = re.findall(r"^(line_\w+):", text, re.MULTILINE)
    lark = Lark(text, parser="lalr", start=starts, debug=True)
    states = 0
    for start in starts:
        root = lark.parse_interactive(start=start)
        root.parser_state.parse_conf.callbacks = {}
        todo = [root]
        while todo:
            parser = todo.pop()
            ours = {name for name, _ in accepts(parser, lambda *_: False)}
            theirs = {t for t in parser.accepts() if t.isupper() or t == "$END"}
            assert ours == theirs
            states += 1
            for name in ours - {"$END"}:
                ahead = parser.copy(deepcopy_values=False)
                ahead.feed_token(Token(name, ""))
                todo.append(ahead)
    assert states >= least


def test_every_word_has_help():
    missing = {
        f"{mode}: {' '.join(words)} {word}"
        for mode, root in grammar.roots.items()
        for words, node in paths(root)
        for word, help_ in node.helps
        if not help_.text
    }
    assert missing == set()


def test_every_setting_of_the_grammar_has_a_field_and_the_other_way_round():
    modes = [root for mode, root in grammar.roots.items() if mode not in ("exec", "pipe")]
    rules = {node.form.name for root in modes for node in everything(root) if node.form}
    rules -= {"leave", "to_exec", "do_exec"} | {r for r in rules if r.startswith(("head_", "no_"))}
    fields = {f"{section}_{field}" for section, cls in SECTIONS.items() for field in settings(cls)} | set(settings(Config))
    assert rules == fields


def test_every_section_has_a_head_a_mode_and_a_removal():
    forms = {node.form.name for node in everything(grammar.roots["config"]) if node.form}
    for section in SECTIONS:
        assert f"head_{section}" in forms
        assert section in grammar.roots
        assert f"no_{section}" in forms


def test_a_command_without_end_is_refused():
    with pytest.raises(ValueError, match="no end"):
        derive('line_x: x\nx: "a"+')


def test_the_modes_around_a_mode():
    assert Grammar.modes_of("exec") == ("exec",)
    assert Grammar.modes_of("config") == ("config", "exec")
    assert Grammar.modes_of("gre_tunnel") == ("gre_tunnel", "config", "exec")
