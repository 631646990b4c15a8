"""What is rendered parses to an equal configuration."""

from __future__ import annotations

from hypothesis import given, settings

from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load
from hsadc.syntax.render import Renderer
from tests.unit.syntax.strategies import configs

grammar = load_grammar()
renderer = Renderer(grammar)


@settings(max_examples=300, deadline=None)
@given(configs)
def test_what_is_rendered_parses_to_the_same(config):
    text = "\n".join(renderer.config(config))
    loaded = load(grammar, text)
    assert loaded.mistakes == ()
    assert loaded.config == config
    assert "\n".join(renderer.config(loaded.config)) == text


@settings(max_examples=100, deadline=None)
@given(configs)
def test_the_text_loaded_on_top_of_itself_changes_nothing(config):
    text = "\n".join(renderer.config(config))
    assert load(grammar, text, config).config == config
