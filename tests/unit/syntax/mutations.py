"""Lines that are nearly right, and lines that are not right at all."""

from __future__ import annotations

import os
import random

from hsadc.syntax.grammar import Grammar
from tests.unit.syntax.lines import every_line

FUZZ_LINES = int(os.environ.get("HSADC_FUZZ", "8000"))
"""How many lines a test tries; a million before a release."""

ODD = '"\\\t\0\x1b\x7f\x85\u2028\ufeff\ufffd\udcff!?|%{}$<>-/.0\uff19é中\u0301\U0001f600 '


class Mutator:
    """Takes valid lines apart; `seed` makes the same lines again.

    Attributes:
        modes: the modes of the grammar.
    """

    def __init__(self, seed: int, grammar: Grammar) -> None:
        self.random = random.Random(seed)
        self.modes = list(grammar.roots)
        self._lines: dict[str, list[str]] = {mode: [] for mode in self.modes}
        for mode, _, words in every_line(grammar):
            self._lines[mode].append(" ".join(words))
        self._words = sorted({word for lines in self._lines.values() for line in lines for word in line.split()})
        self._changes = (
            self._cut,
            self._double,
            self._swap,
            self._drop,
            self._odd,
            self._quote,
            self._other,
            self._case,
            self._gap,
        )

    def line(self, mode: str) -> str:
        """A line, most often of this mode, with no to three changes; one in a thousand is very long."""
        line = self.random.choice(self._lines[mode if self.random.random() < 0.7 else self.random.choice(self.modes)])
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            line = self.random.choice(self._changes)(line)
        return line * self.random.choice((100, 3000)) if self.random.random() < 0.001 else line

    def _place(self, line: str) -> int:
        return self.random.randrange(len(line) + 1)

    def _cut(self, line: str) -> str:
        return line[: self._place(line)]

    def _double(self, line: str) -> str:
        start, end = sorted((self._place(line), self._place(line)))
        return line[:end] + line[start:]

    def _swap(self, line: str) -> str:
        words = line.split(" ")
        self.random.shuffle(words)
        return " ".join(words)

    def _drop(self, line: str) -> str:
        start, end = sorted((self._place(line), self._place(line)))
        return line[:start] + line[end:]

    def _odd(self, line: str) -> str:
        at = self._place(line)
        char = self.random.choice(ODD) if self.random.random() < 0.8 else chr(self.random.randrange(0x110000))
        return line[:at] + char + line[at + self.random.randrange(2) :]

    def _quote(self, line: str) -> str:
        words = line.split(" ")
        at = self.random.randrange(len(words))
        words[at] = f'"{words[at]}"'
        return " ".join(words)

    def _other(self, line: str) -> str:
        words = line.split(" ")
        words[self.random.randrange(len(words))] = self.random.choice(self._words)
        return " ".join(words)

    def _case(self, line: str) -> str:
        return self.random.choice((str.upper, str.title, str.swapcase))(line)

    def _gap(self, line: str) -> str:
        return line.replace(" ", self.random.choice(("  ", "\t", "", "\u3000", " \\ ")))
