"""A whole file of commands: all of it, or every mistake in it."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from hsadc.errors import BadValue, CommandError, ConfigError, HsadcError, UnknownCommand
from hsadc.model.config import Config
from hsadc.syntax.edit import Editor
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.match import make_command, match_in, understand
from hsadc.syntax.nodes import Command, Form

LINE_LENGTH = 65536
MOST_MISTAKES = 100
KNOWN_LINES = 4096
"""Files say the same again and again, `exit` above all: so many lines are remembered while one is read."""

_NOT_TEXT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")  # surrogates are bytes that were no UTF-8


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that cannot be.

    Attributes:
        line: its number, from 1.
        text: the line.
        error: what is wrong with it; a CommandError says where in the line.
    """

    line: int
    text: str
    error: HsadcError

    @property
    def column(self) -> int:
        """Where in the line, from 1."""
        return 1 + (self.error.column if isinstance(self.error, CommandError) else len(self.text) - len(self.text.lstrip()))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A read file: `config` is what the good lines make; it is of use only when there are no mistakes.

    `places` has the line numbers of the heads of blocks, by section and name, for errors that are found later.
    """

    config: Config
    mistakes: tuple[Mistake, ...]
    places: dict[tuple[str, str], int]


def load(grammar: Grammar, text: str, base: Config | None = None) -> Loaded:
    """Read commands in configuration mode, on top of `base` (an empty configuration).

    A line that does not fit an open block but the modes around it closes the block. Blocks may be empty and may come again.
    """
    editor = Editor(base or Config())
    mistakes: list[Mistake] = []
    places: dict[tuple[str, str], int] = {}
    read = lru_cache(KNOWN_LINES)(partial(_understand, grammar))
    with _no_garbage():
        for number, line in enumerate(_lines(text), 1):
            try:
                command = _apply(editor, line, read)
            except (CommandError, ConfigError) as e:
                mistakes.append(Mistake(number, line, e))
                if len(mistakes) >= MOST_MISTAKES:
                    break
            else:
                if command is not None and command.name.startswith("head_"):
                    places.setdefault((command.name.removeprefix("head_"), command.args[0]), number)
    return Loaded(editor.config(), tuple(mistakes), places)


def _lines(text: str) -> list[str]:
    r"""Lines end at \n or \r\n only: other separators of Unicode are part of a line, and refused there."""
    return text.removesuffix("\r").replace("\r\n", "\n").split("\n")


@contextmanager
def _no_garbage() -> Iterator[None]:
    """What a file makes, stays: looking for garbage among it again and again would take a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def apply_line(grammar: Grammar, editor: Editor, line: str) -> None:
    """Carry out one line on a configuration being changed.

    Raises:
        CommandError: the line is not a command of this mode or those around it.
        ConfigError: it cannot be done.
    """
    _apply(editor, line, partial(_understand, grammar))


Understood = tuple[int, tuple[Form, list[Any]]]
"""How many modes around the open block's read the line, and what it says."""


def _understand(grammar: Grammar, section: str | None, line: str) -> Understood | None:
    """None for an empty line and a comment."""
    if not (bare := line.strip()) or bare.startswith("!"):
        return None
    check_line(line)
    return match_in(grammar.file_roots[section or "config"], line, understand)


def _apply(editor: Editor, line: str, read: Callable[[str | None, str], Understood | None]) -> Command | None:
    if (understood := read(editor.section, line)) is None:
        return None
    depth, (form, values) = understood
    command = make_command(form, values, line)
    if depth:
        editor.leave()
    if command.name in ("leave", "to_exec"):
        editor.leave()
    elif command.name == "do_exec":
        raise UnknownCommand(line.split()[0], len(line) - len(line.lstrip()))
    else:
        editor.apply(command)
    return command


def check_line(line: str) -> None:
    """Refuse what no configuration holds.

    Raises:
        BadValue: the line is too long or has control characters: it is not text.
    """
    if len(line) > LINE_LENGTH:
        raise BadValue(f"the line has {len(line)} characters, at most {LINE_LENGTH} are possible")
    if (not line.isprintable() or "\ufffd" in line) and (bad := _NOT_TEXT.search(line)):
        raise BadValue(f"the character {bad[0]!a} cannot be part of a configuration: is this a text file?", bad.start())
