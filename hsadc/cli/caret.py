"""An error in a line as the terminal shows it: a caret below the word that is wrong, and a sentence."""

from __future__ import annotations

from hsadc.cli.shell import masked
from hsadc.errors import AmbiguousCommand, CommandError, IncompleteCommand
from hsadc.syntax.width import blank

_MOST_EXPECTED = 6


def explain(error: CommandError, prompt: str, line: str) -> list[str]:
    """The lines below `prompt` and `line`: the first two are what tools look for, the third helps people when it is short."""
    margin = blank(prompt + line[: error.column])
    lines = [f"{margin}^-----{error}", _sentence(error, line)]
    # Of a first word that is in no mode, only what one of them expects is known.
    known = error.depth > 0 or isinstance(error, AmbiguousCommand)
    if known and 0 < len(error.expected) <= _MOST_EXPECTED:
        lines.append(f"  expected: {' | '.join(error.expected)}")
    return lines


def _sentence(error: CommandError, line: str) -> str:
    if isinstance(error, AmbiguousCommand):
        return f'% Ambiguous command: "{masked(line.strip())}"'
    if isinstance(error, IncompleteCommand):
        return "% Incomplete command."
    return "% Invalid input detected at '^' marker."
