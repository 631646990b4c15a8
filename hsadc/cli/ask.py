"""A question for a secret: what a command returns that cannot go on without one, and the line that is typed unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hsadc.cli.batch import LINE_LIMIT
from hsadc.cli.keys import Key


@dataclass(frozen=True, slots=True)
class Ask:
    """A question.

    Attributes:
        prompt: what is shown where the answer is to be typed.
        take: is given the answer and goes on: with lines, or with another question. What it raises is the command's error.
        abandoned: what is said when nobody answers.
        lines: what is printed before the question.
    """

    prompt: str
    take: Callable[[str], Iterable[str] | Ask]
    abandoned: str
    lines: tuple[str, ...] = ()


class Secret:
    """A line that is typed without being shown.

    Attributes:
        text: what has been typed.
        done: True when the line is ended.
        given: False when it was abandoned with Ctrl-C, or with Ctrl-D before anything was typed.
    """

    def __init__(self) -> None:
        self.text = ""
        self.done = False
        self.given = True

    def press(self, key: Key | str) -> None:
        """Take a key, or a run of text; keys that move a cursor do nothing, as nobody sees where it is."""
        if isinstance(key, str):
            self.text = (self.text + key)[: LINE_LIMIT + 1]
        elif key is Key.HELP:
            self.text += "?"
        elif key is Key.BACK:
            self.text = self.text[:-1]
        elif key is Key.KILL_HEAD:
            self.text = ""
        elif key is Key.INTERRUPT or (key is Key.END_OF_INPUT and not self.text):
            self.done, self.given = True, False
        elif key in (Key.ENTER, Key.LEAVE):
            self.done = True

    @property
    def answer(self) -> str | None:
        """The line; None when it was abandoned."""
        return self.text if self.given else None
