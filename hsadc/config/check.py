"""A configuration file checked offline: every mistake, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hsadc.config.change import Change
from hsadc.config.store import read_text
from hsadc.config.validate import validate
from hsadc.errors import CommandError, WrongFile
from hsadc.model.config import Config
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.load import MOST_MISTAKES, load
from hsadc.syntax.width import blank

SHOWN = 160
MISTAKES_TOLD = 10
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
    findings = _check(grammar, str(path), read_text(path), Config())[1]
    if len(findings) == MOST_MISTAKES:
        findings.append(Finding(str(path), 0, 0, f"these are the first {MOST_MISTAKES} mistakes, there may be more"))
    return findings


def checked(grammar: Grammar, source: str, text: str, base: Config | None = None) -> Config:
    """The configuration that a text makes of `base`, an empty one unless given; `source` is the text's name in messages.

    Raises:
        WrongFile: it has mistakes, or what it makes is contradictory.
    """
    config, findings = _check(grammar, source, text, base or Config())
    if findings:
        lines = [next(f.lines()) for f in findings[:MISTAKES_TOLD]]
        all_found = len(findings) < MOST_MISTAKES
        if more := len(findings) - len(lines):
            lines.append(f"and {more} more" if all_found else f"and at least {more} more")
        raise WrongFile(source, lines, len(findings), all_found)
    return config


def _check(grammar: Grammar, source: str, text: str, base: Config) -> tuple[Config, list[Finding]]:
    loaded = load(grammar, text, base)
    findings = []
    for mistake in loaded.mistakes:
        wrong_words = isinstance(mistake.error, CommandError)
        expected = mistake.error.expected if isinstance(mistake.error, CommandError) else ()
        shown = mistake.text if wrong_words else ""
        findings.append(Finding(source, mistake.line, mistake.column, str(mistake.error), shown, expected))
    if not findings:
        for section, name, error in validate(Change(base, loaded.config)):
            findings.append(Finding(source, loaded.places.get((section, name), 0), 1, str(error)))
    return loaded.config, findings
