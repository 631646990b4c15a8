"""A configuration file checked offline: every mistake, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hsadc.config.store import read_text
from hsadc.config.validate import validate
from hsadc.errors import CommandError
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.load import load
from hsadc.syntax.width import blank

SHOWN = 160
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a file from elsewhere does not get to drive the terminal


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a file.

    Attributes:
        file: the file's name as it was given.
        line: from 1; 0 when it is not about one line.
        column: from 1.
        message: one line.
        text: the line itself; empty when the mistake is not in its words.
        expected: what could stand there.
    """

    file: str
    line: int
    column: int
    message: str
    text: str = ""
    expected: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The finding for people: place and message, and for a mistake in the words the line, a caret and what was expected."""
        yield f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"
        if self.text:
            start = max(0, self.column - 1 - SHOWN // 2)
            text = _CONTROL.sub(" ", self.text)
            yield f"  {text[start : start + SHOWN]}"
            expected = f" expected {', '.join(self.expected)}" if self.expected else ""
            yield f"  {blank(text[start : self.column - 1])}^{expected}"


def check_file(grammar: Grammar, path: Path) -> list[Finding]:
    """Parse and validate a file; no privileges are needed and nothing is changed.

    Raises:
        ConfigError: the file cannot be read, or is not text.
    """
    loaded = load(grammar, read_text(path))
    findings = []
    for mistake in loaded.mistakes:
        wrong_words = isinstance(mistake.error, CommandError)
        expected = mistake.error.expected if isinstance(mistake.error, CommandError) else ()
        text = mistake.text if wrong_words else ""
        findings.append(Finding(str(path), mistake.line, mistake.column, str(mistake.error), text, expected))
    if not findings:
        for section, name, error in validate(loaded.config):
            findings.append(Finding(str(path), loaded.places.get((section, name), 0), 1, str(error)))
    return findings
