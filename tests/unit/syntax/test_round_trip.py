"""What is rendered parses to an equal configuration."""

from __future__ import annotations

import os

from hypothesis import given, settings

from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load
from hsadc.syntax.render import Renderer
from tests.unit.syntax.strategies import configs

grammar = load_grammar()
renderer = Renderer(grammar)
EXAMPLES = int(os.environ.get("HSADC_EXAMPLES", "400"))
"""How many configurations; more than a run in CI has time for are tried before a release."""


@settings(max_examples=EXAMPLES, deadline=None)
@given(configs)
def test_what_is_rendered_parses_to_the_same(config):
    text = "\n".join(renderer.config(config))
    loaded = load(grammar, text)
    assert loaded.mistakes == ()
    assert loaded.config == config
    assert "\n".join(renderer.config(loaded.config)) == text


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(configs)
def test_the_text_loaded_on_top_of_itself_changes_nothing(config):
    text = "\n".join(renderer.config(config))
    assert load(grammar, text, config).config == config
