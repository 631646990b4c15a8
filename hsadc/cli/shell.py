"""What a terminal needs to know of a session: the one seam between the front ends and the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that may stand at the cursor.

    Attributes:
        word: what to type, or a placeholder such as `A.B.C.D` or `<cr>`.
        text: one line of help.
        placeholder: True when `word` stands for a value and cannot be typed as it is.
    """

    word: str
    text: str
    placeholder: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a line printed.

    Attributes:
        lines: the output.
        ok: False when the line was refused; then the lines say why.
        refresh_s: seconds after which it is to be carried out again, until somebody presses a key; 0 for never.
        more: True when the command is still at work: `follow` has its next lines.
        ask: where not empty, a secret is wanted: this is shown, a line is read that nobody sees, and `answer` is given it.
    """

    lines: tuple[str, ...] = ()
    ok: bool = True
    refresh_s: int = 0
    more: bool = False
    ask: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What TAB does at the end of a line.

    Attributes:
        erase: how many characters before the cursor are replaced.
        insert: what is put there; empty when there is nothing unique to add.
        words: the candidates, when there are several.
    """

    erase: int = 0
    insert: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """Who sits at a session, and where.

    Attributes:
        user: the login name.
        via: how he came in: `console` or `ssh`.
        host: the address that he came from; empty on this machine.
        batch: True for scripts: configuration lines that follow one another are one transaction.
    """

    user: str = ""
    via: str = "console"
    host: str = ""
    batch: bool = False

    def __str__(self) -> str:
        return f"{self.user} ({' '.join(filter(None, (self.via, self.host)))})"


CONSOLE = Login()
"""Somebody on this machine."""

_WORD = r"\bp(?:a?\b|as(?:s(?:word|phrase)?)?)"  # `password` and `passphrase`, however short or misspelt
_SECRET = re.compile(_WORD, re.IGNORECASE)
_TOLD = re.compile(rf'({_WORD}"?+\s*)\S.*', re.IGNORECASE)
_MASK = r"\1***"


def masked(line: str) -> str:
    """A line to be shown to others than who typed it, such as the log of a script: without what `holds_secret` is wary of."""
    return _TOLD.sub(_MASK, line)


def holds_secret(line: str) -> bool:
    """Whether a line may hold a password or a passphrase: no history keeps it, and no log."""
    return _SECRET.search(line) is not None


class Shell(Protocol):
    """One user's session: the session itself inside the daemon, its remote twin in `hsadc`.

    `run`, `follow` and `answer` may take seconds (call them in a thread); all others answer within a key stroke.
    """

    @property
    def prompt(self) -> str:
        """What stands before the next line, such as `hsadc(config)#`."""
        ...

    @property
    def page_length(self) -> int | None:
        """Lines on a page: None follows the window, 0 turns paging off."""
        ...

    @property
    def history(self) -> Sequence[str]:
        """What this user has typed, now and in earlier logins, oldest line first."""
        ...

    @property
    def closed(self) -> bool:
        """True after `exit` in exec mode."""
        ...

    def run(self, line: str, columns: int = 0) -> Reply:
        """Carry out one line; never raises for what the operator typed. `columns`: the window's width in cells, 0 without one."""
        ...

    def follow(self, *, stop: bool = False) -> Reply:
        """The next lines of a command that is still at work, after a fraction of a second at the latest; nothing without one.

        Args:
            stop: the operator has seen enough: it shall come to its end.
        """
        ...

    def answer(self, text: str | None) -> Reply:
        """What was asked for; None when the operator does not want to answer. Without a question nothing happens."""
        ...

    def finish(self) -> Reply:
        """The input has ended: the transaction of a batch is committed now."""
        ...

    def close(self) -> None:
        """The login has ended, also when the line was cut: what is not committed is forgotten. May take as long as `run`."""
        ...

    def to_exec(self) -> None:
        """Ctrl-Z: back to exec mode, as `end`."""
        ...

    def help(self, line: str) -> Sequence[str]:
        """What `?` prints at the end of `line`."""
        ...

    def choices(self, line: str) -> Sequence[Choice]:
        """What may stand at the end of `line`, whose last word may be half typed; for menus."""
        ...

    def complete(self, line: str) -> Completion:
        """What TAB does at the end of `line`."""
        ...

    def wrong_from(self, line: str) -> int | None:
        """Index of the first character that cannot be part of a command, None when there is none (yet)."""
        ...


MakeShell = Callable[[Login], Shell]
"""What the front ends get from the daemon: it makes the session of a login."""
