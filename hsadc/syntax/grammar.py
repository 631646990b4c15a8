"""The grammar as a whole: its text, the nodes of every mode, and the modes of the sections."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hsadc.model.config import SECTIONS
from hsadc.syntax.nodes import Node, make_nodes
from hsadc.syntax.tables import tables_of

PACKAGE = Path(__file__).parents[1]


class Grammar:
    """What the .lark files say.

    Attributes:
        roots: the first node of each mode: `exec`, `config` and one for each section.
    """

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.roots: Mapping[str, Node] = make_nodes(tables)
        sections = {mode: self.modes_of(mode)[:-1] for mode in self.roots}  # without exec, whose commands no file has
        self.file_roots: Mapping[str, list[Node]] = {mode: [self.roots[m] for m in tried] for mode, tried in sections.items()}

    @staticmethod
    def modes_of(section: str) -> tuple[str, ...]:
        """The modes in which a line typed in this one is tried, innermost first."""
        if section in ("exec", "pipe"):
            return (section,)
        return ("config", "exec") if section == "config" else (section, "config", "exec")


@cache
def section_of(rule: str) -> str | None:
    """The section that a head or a removal is for: `head_gre_tunnel` and `no_gre_tunnel` are for `gre_tunnel`."""
    section = rule.removeprefix("head_").removeprefix("no_")
    return section if section != rule and section in SECTIONS else None


@cache
def load_grammar() -> Grammar:
    """The installed grammar, read once.

    Raises:
        FileNotFoundError: the package is not whole.
    """
    return Grammar(tables_of(grammar_text()))


def grammar_text() -> str:
    """The .lark files as one text, in the order of their names."""
    folder = PACKAGE / "grammar"
    if not folder.is_dir():  # an editable install: the folder stands beside the package
        folder = PACKAGE.parent / "grammar"
    files = sorted(folder.glob("*.lark"))
    if not files:
        raise FileNotFoundError(f"no grammar in {folder}")
    return "\n".join(f.read_text("utf-8") for f in files)
