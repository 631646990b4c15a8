"""Where the grammar is found: inside an installed package, beside an editable one."""

from __future__ import annotations

import re

import pytest

from hsadc.syntax import grammar
from hsadc.syntax.grammar import grammar_text


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of an installed package."""
    monkeypatch.setattr(grammar, "PACKAGE", tmp_path)
    (tmp_path / "grammar").mkdir()
    return tmp_path


def test_beside_the_package():
    assert "line_config:" in grammar_text()


def test_inside_the_package_in_the_order_of_the_names(package):
    (package / "grammar" / "b.lark").write_text('line_exec: "b"')
    (package / "grammar" / "a.lark").write_text('line_config: "a"')
    (package / "grammar" / "README").write_text("not a grammar")
    assert grammar_text() == 'line_config: "a"\nline_exec: "b"'


def test_a_package_that_is_not_whole(package):
    with pytest.raises(FileNotFoundError, match=re.escape(f"no grammar in {package / 'grammar'}")):
        grammar_text()
