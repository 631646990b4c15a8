"""The grammar and the functions of the exec commands fit each other; a forgotten step fails here by its name."""

from __future__ import annotations

import inspect

from hsadc.cli.commands import COMMANDS
from hsadc.cli.session import Session
from hsadc.syntax.grammar import load_grammar
from tests.unit.syntax.test_nodes import everything

grammar = load_grammar()
exec_forms = {node.form for node in everything(grammar.roots["exec"]) if node.form}
config_forms = {node.form for mode, root in grammar.roots.items() if mode != "exec" for node in everything(root) if node.form}
MOVES = set(Session._MOVES)


def test_every_exec_rule_is_done_by_a_function_or_moves_the_session():
    assert {form.name for form in exec_forms} <= set(COMMANDS) | MOVES


def test_no_function_is_without_a_rule():
    assert set(COMMANDS) <= {form.name for form in exec_forms}


def test_every_move_is_a_rule_of_its_modes_and_no_command():
    assert {form.name for form in exec_forms | config_forms} >= MOVES
    assert not MOVES & set(COMMANDS)


def test_the_parameters_fit_every_form_of_the_rule():
    for form in exec_forms:
        if form.name in COMMANDS:
            signature = inspect.signature(COMMANDS[form.name])
            signature.bind(None, *form.slots)
            for parameter, slot in zip(list(signature.parameters.values())[1:], form.slots, strict=False):
                assert slot is not None or parameter.default is None, (form, "an optional word left out is None")


def test_do_takes_the_same_commands():
    done = {form.slots[0].name for form in config_forms if form.name == "do_exec"}
    assert done == {form.name for form in exec_forms} - {"leave"}


def test_every_function_says_what_it_does():
    assert [name for name, f in COMMANDS.items() if not f.__doc__] == []
