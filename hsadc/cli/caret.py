"""An error in a line as the terminal shows it: a caret below the word that is wrong, and a sentence."""

from __future__ import annotations

from hsadc.errors import AmbiguousCommand, CommandError, IncompleteCommand
from hsadc.syntax.width import blank


def explain(error: CommandError, prompt: str, line: str) -> list[str]:
    """The lines below `prompt` and `line`."""
    margin = blank(prompt + line[: error.column])
    return [f"{margin}^-----{error}", _sentence(error, line)]


def _sentence(error: CommandError, line: str) -> str:
    if isinstance(error, AmbiguousCommand):
        return f'% Ambiguous command: "{line.strip()}"'
    if isinstance(error, IncompleteCommand):
        return "% Incomplete command."
    return "% Invalid input detected at '^' marker."
