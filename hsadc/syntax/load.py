"""A whole file of commands: all of it, or every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hsadc.errors import BadValue, CommandError, ConfigError, HsadcError, UnknownCommand
from hsadc.model.config import Config
from hsadc.syntax.edit import Editor
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.match import match, match_in
from hsadc.syntax.nodes import Command

LINE_LENGTH = 65536
MOST_MISTAKES = 100
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
    for number, line in enumerate(_lines(text), 1):
        before = editor.section, editor.name
        try:
            apply_line(grammar, editor, line)
        except (CommandError, ConfigError) as e:
            mistakes.append(Mistake(number, line, e))
            if len(mistakes) >= MOST_MISTAKES:
                break
        if editor.section is not None and before != (editor.section, editor.name):
            places.setdefault((editor.section, editor.name), number)
    return Loaded(editor.config(), tuple(mistakes), places)


def apply_line(grammar: Grammar, editor: Editor, line: str) -> None:
    """Carry out one line on a configuration being changed.

    Raises:
        CommandError: the line is not a command of this mode or those around it.
        ConfigError: it cannot be done.
    """
    if not (bare := line.strip()) or bare.startswith("!"):
        return
    check_line(line)
    modes = [m for m in grammar.modes_of(editor.section or "config") if m != "exec"]
    depth, command = match_in([grammar.roots[m] for m in modes], line, match)
    if depth:
        editor.leave()
    _carry_out(editor, command, line)


def check_line(line: str) -> None:
    """Refuse what no configuration holds.

    Raises:
        BadValue: the line is too long or has control characters: it is not text.
    """
    if len(line) > LINE_LENGTH:
        raise BadValue(f"the line has {len(line)} characters, at most {LINE_LENGTH} are possible")
    if bad := _NOT_TEXT.search(line):
        raise BadValue(f"the character {bad[0]!a} cannot be part of a configuration: is this a text file?", bad.start())


def _carry_out(editor: Editor, command: Command, line: str) -> None:
    if command.name in ("leave", "to_exec"):
        editor.leave()
    elif command.name == "do_exec":
        raise UnknownCommand(line.split()[0], len(line) - len(line.lstrip()))
    else:
        editor.apply(command)


def _lines(text: str) -> Iterable[str]:
    r"""Lines end at \n or \r\n only: other separators of Unicode are part of a line, and refused there."""
    return _without_cr(text.split("\n"))


def _without_cr(lines: list[str]) -> Iterator[str]:
    return (line.removesuffix("\r") for line in lines)
