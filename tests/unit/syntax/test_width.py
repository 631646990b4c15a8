from __future__ import annotations

import pytest

from hsadc.syntax.width import blank, cells


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("abc", 3), ("中文", 4), ("e\u0301", 1), ("a\x00b", 2), ("a\u200bb", 2), ("\x9b2J", 2), ("ａ", 2)],  # noqa: RUF001
)
def test_cells(text, width):
    assert cells(text) == width


@pytest.mark.parametrize(("text", "blanks"), [("ab", "  "), ("中", "  "), ("a\t中b", " \t   "), ("\t", "\t"), ("", "")])
def test_blank(text, blanks):
    assert blank(text) == blanks
