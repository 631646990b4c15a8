"""Help texts and placeholders: the //? comments of the grammar."""

from __future__ import annotations

import re
from typing import NamedTuple

_COMMENT = re.compile(r"//\?\s+(\S+)\s+(.*)")
_RULE = re.compile(r"(_?[a-z]\w*)(?:\{.*?\})?\s*:")


class Help(NamedTuple):
    """What is known of a keyword or terminal: its text, and for a value its placeholder and the live names that complete it."""

    text: str = ""
    placeholder: str = ""
    live: str = ""


class HelpTexts:
    """Looks up help: comments above a group of rules hold in those rules; a word's first one is also its default."""

    def __init__(self, grammar: str) -> None:
        self._texts: dict[tuple[str, str], Help] = {}
        block: dict[str, Help] = {}
        in_rules = True
        for line in grammar.splitlines():
            if comment := _COMMENT.match(line):
                if in_rules:
                    block, in_rules = {}, False
                block[comment[1]] = _read(comment[1], comment[2])
                self._texts.setdefault(("", comment[1]), block[comment[1]])
            elif rule := _RULE.match(line):
                in_rules = True
                self._texts.update({(rule[1], word): text for word, text in block.items()})
            elif not line.strip():
                block, in_rules = {}, True

    def of(self, word: str, rule: str = "") -> Help:
        """The help of a keyword or terminal where this rule reads it."""
        return self._texts.get((rule, word)) or self._texts.get(("", word)) or Help()

    def has(self, word: str, rule: str) -> bool:
        """Whether the rule has a help of its own for the word."""
        return (rule, word) in self._texts


def _read(word: str, rest: str) -> Help:
    if not word.isupper():
        return Help(rest)
    placeholder, _, text = rest.partition(" ")
    live = ""
    if text.startswith("@"):
        live, _, text = text[1:].partition(" ")
    return Help(text, placeholder, live)
