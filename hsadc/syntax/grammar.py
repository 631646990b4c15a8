"""The grammar as a whole: its text, the nodes of every mode, and the modes of the sections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from hsadc.model.config import SECTIONS
from hsadc.syntax.nodes import Node, NodeBuilder


class Grammar:
    """What the .lark files say.

    Attributes:
        roots: the first node of each mode: `exec`, `config` and one for each section.
    """

    def __init__(self, text: str) -> None:
        starts = re.findall(r"^(line_\w+):", text, re.MULTILINE)
        roots = NodeBuilder(text, starts).build()
        self.roots: Mapping[str, Node] = {start.removeprefix("line_"): root for start, root in roots.items()}

    @staticmethod
    def modes_of(section: str) -> tuple[str, ...]:
        """The modes in which a line typed in this one is tried, innermost first."""
        return {"exec": ("exec",), "config": ("config", "exec")}.get(section, (section, "config", "exec"))


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
    return Grammar(grammar_text())


def grammar_text() -> str:
    """The .lark files as one text, in the order of their names."""
    folder = resources.files("hsadc").joinpath("grammar")
    if not folder.is_dir():  # an editable install: the folder stands beside the package
        folder = Path(__file__).parents[2] / "grammar"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".lark")), key=lambda f: f.name)
    if not files:
        raise FileNotFoundError(f"no grammar in {folder}")
    return "\n".join(f.read_text("utf-8") for f in files)
