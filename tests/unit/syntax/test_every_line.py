"""Every line of the grammar, in every mode: it reads as itself, abbreviated too; where two modes read it, that is approved."""

from __future__ import annotations

import pytest

from hsadc.errors import AmbiguousCommand, CommandError
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.match import match, understand
from hsadc.syntax.render import arcs
from tests.unit.syntax.lines import every_line, write
from tests.unit.syntax.test_nodes import paths

grammar = load_grammar()
LINES = list(every_line(grammar))


@pytest.mark.parametrize("mode", grammar.roots)
def test_every_line_reads_as_its_form(mode):
    for _, form, words in (line for line in LINES if line[0] == mode):
        assert understand(grammar.roots[mode], " ".join(words))[0] is form, words


@pytest.mark.parametrize("mode", grammar.roots)
def test_every_line_reads_the_same_with_each_keyword_as_short_as_can_be(mode):
    root = grammar.roots[mode]
    shortened = 0
    for _, _, words in (line for line in LINES if line[0] == mode):
        short = shortest(root, words)
        assert understand(root, short) == understand(root, " ".join(words)), short
        shortened += len(short) < len(" ".join(words))
    assert shortened > 5


def shortest(node, words):
    """The line with every keyword as short as it can be without being that of another one."""
    found = []
    for word in words:
        others = [w for w in (*node.keywords, *node.words) if w != word]
        lengths = (n for n in range(1, len(word)) if not any(o.startswith(word[:n]) for o in others))
        known = word in node.keywords or word in node.words
        found.append(word[: next(lengths, len(word))].upper() if known else word)
        node = node.keywords.get(word) or next(child for part, child in arcs(node) if part != word and write(part) == word)
    return " ".join(found)


def test_a_beginning_of_several_words_is_ambiguous_and_says_of_which():
    tried = 0
    for root in grammar.roots.values():
        for words, node in paths(root):
            if node.free or node.rest:
                continue
            known = sorted((*node.keywords, *node.words))
            for beginning in {w[:n] for w in known for n in range(1, len(w))} - set(known):
                if len(choices := [w for w in known if w.startswith(beginning)]) > 1:
                    with pytest.raises(AmbiguousCommand) as caught:
                        match(node, beginning)
                    assert caught.value.expected == tuple(choices), (words, beginning)
                    tried += 1
    assert tried > 30


APPROVED = {
    ("gre_tunnel", "interface ethernet0/0"): "the article: the interface that the tunnel's packets leave by",
    ("erspan_tunnel", "interface ethernet0/0"): "as in tunnel gre",
    ("vxlan_tunnel", "interface ethernet0/0"): "as in tunnel gre",
    ("tunnel_interface", 'tunnel gre "sample"'): "the article: the tunnel that the interface sends through",
    ("tunnel_interface", 'tunnel erspan "sample"'): "as tunnel gre",
    ("tunnel_interface", 'tunnel vxlan "sample"'): "as tunnel gre",
    ("mirror_profile", 'access-list "sample"'): "the list that the profile uses, as app-profile in a virtual server",
    ("virtual_server", 'app-profile "sample"'): "the article: the profile that the virtual server uses",
    ("virtual_server", 'ssl-profile "sample"'): "as app-profile",
    ("real_server", "enable"): "the vendor's word for a server that gets traffic; around it a word that does nothing",
    ("real_server", "disable"): "as enable",
}
"""Lines that mean one thing in a submode and another around it, and why that must be. Files close such blocks with `exit`."""


def test_lines_that_mean_different_things_in_a_submode_and_around_it_are_approved():
    found = {}
    for mode in grammar.roots:
        for around in grammar.modes_of(mode)[1:]:
            for line in {" ".join(words) for m, _, words in LINES if m in (mode, around)}:
                inside, outside = reading(mode, line), reading(around, line)
                if inside and outside and inside != outside:
                    found[mode, line.removeprefix("no ")] = f"{inside} in the submode, {outside} around it"
    assert {where: what for where, what in found.items() if where not in APPROVED} == {}
    assert set(APPROVED) - set(found) == set(), "approved, but no longer so"


def reading(mode, line):
    """The rule that reads the line, None when none does."""
    try:
        return understand(grammar.roots[mode], line)[0].name
    except CommandError:
        return None
