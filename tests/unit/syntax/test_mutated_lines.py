"""Whatever a line is, reading it ends in a command or in an error that shows its place."""

from __future__ import annotations

from collections import defaultdict

from hsadc.errors import CommandError, HsadcError
from hsadc.syntax.complete import candidates, last_word
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load
from hsadc.syntax.match import match_in, understand
from hsadc.syntax.render import Renderer
from tests.unit.syntax.mutations import FUZZ_LINES, Mutator

grammar = load_grammar()
NAMES = defaultdict(lambda: ("one", 'a"b\\', "中 文"))


def test_a_line_is_understood_or_refused_and_completed():
    mutator = Mutator(1, grammar)
    refused = 0
    for _ in range(FUZZ_LINES):
        mode = mutator.random.choice(mutator.modes)
        line = mutator.line(mode)
        modes = [grammar.roots[m] for m in grammar.modes_of(mode)]
        errors = [refusal(match_in, modes, line, understand), refusal(candidates, modes[0], line, NAMES.__getitem__)]
        for error in filter(None, errors):
            assert 0 <= error.column <= len(line), line
            assert str(error), line
        assert line.endswith(last_word(line))
        refused += errors[0] is not None
    assert 0.2 < refused / FUZZ_LINES < 0.9, "the lines are neither all right nor all wrong"


def refusal(call, *args):
    try:
        call(*args)
    except CommandError as e:
        return e
    return None


def test_a_file_of_such_lines_is_loaded_or_refused_and_what_is_loaded_can_be_saved(monkeypatch):
    monkeypatch.setattr("hsadc.syntax.password.hash_password", lambda _: "$scrypt$ln=14,r=8,p=1$U29k$cCO9yzr9c0hGHNBs2Dkf2Q")
    mutator, renderer = Mutator(2, grammar), Renderer(grammar)
    for _ in range(FUZZ_LINES // 40):
        text = "\n".join(mutator.line(mutator.random.choice(mutator.modes)) for _ in range(40))
        loaded = load(grammar, text)
        for mistake in loaded.mistakes:
            assert isinstance(mistake.error, HsadcError)
            assert 1 <= mistake.column <= len(mistake.text) + 1
            assert str(mistake.error)
        saved = "\n".join(renderer.config(loaded.config))
        again = load(grammar, saved)
        assert again.mistakes == (), saved
        assert again.config == loaded.config
