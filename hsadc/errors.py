"""Every exception that hsadc raises on purpose.

An error is raised once, where the fact is known, and printed once, by the front end. Its text is one line that names the
object as the operator typed it and says what would be right. Whatever is not in this tree is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence


class HsadcError(Exception):
    """The base of the tree; `str()` gives the operator's line."""


class CommandError(HsadcError):
    """The operator's text is not a command; nothing happened.

    Attributes:
        column: index of the offending word in the line, from 0.
        depth: how many words were understood before it; of several readings of a line the deepest is the one meant.
        expected: the words or placeholders that may stand there.
    """

    label = "unrecognized keyword"
    sentence = "% Invalid input detected at '^' marker."

    def __init__(self, why: str, column: int = 0, depth: int = 0, expected: Sequence[str] = ()) -> None:
        super().__init__(why)
        self.column = column
        self.depth = depth
        self.expected = tuple(expected)


class UnknownCommand(CommandError):
    """A word that cannot stand where it stands."""

    def __init__(self, word: str, column: int, depth: int = 0, expected: Sequence[str] = ()) -> None:
        super().__init__(f"unrecognized keyword {word}", column, depth, expected)
        self.word = word

    def __str__(self) -> str:
        hint = f", did you mean '{self.did_you_mean}'?" if self.did_you_mean else ""
        return super().__str__() + hint

    @property
    def did_you_mean(self) -> str | None:
        """The expected word that looks most like this one; searched for when it is asked for, as most errors are never shown."""
        from difflib import get_close_matches

        words = [word for word in self.expected if word.islower() and "<" not in word]
        return next(iter(get_close_matches(self.word.lower(), words, 1, 0.7)), None)


class AmbiguousCommand(CommandError):
    """The beginning of several words."""

    def __init__(self, word: str, column: int, depth: int, choices: Sequence[str]) -> None:
        super().__init__(f"ambiguous command {word}", column, depth, choices)
        self.word = word


class IncompleteCommand(CommandError):
    """The line ends where more must follow."""

    def __init__(self, column: int, depth: int, expected: Sequence[str]) -> None:
        super().__init__("incomplete command", column, depth, expected)


class BadValue(CommandError):
    """A word of the right kind whose value is not possible."""

    def __init__(self, why: str, column: int = 0, depth: int = 0, expected: Sequence[str] = ()) -> None:
        super().__init__(why, column, depth, expected)


class ConfigError(HsadcError):
    """Well-formed commands that contradict each other or the machine; nothing was applied.

    Attributes:
        path: the object as the operator names it, such as `slb virtual-server "l7-http"`.
        why: what is wrong with it, and what would be right.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}" if path else why)
        self.path = path
        self.why = why


class DanglingReference(ConfigError):
    """An object is named that does not exist, or is to be deleted while it is in use."""


class Conflict(ConfigError):
    """Two settings that cannot both be in force."""


class Locked(ConfigError):
    """Another session alone may change the configuration now."""


class WrongFile(ConfigError):
    """A file of commands has mistakes; its text is the first one.

    Attributes:
        mistakes: a line for each of them with its place, or for the first ones.
        summary: how many there are.
    """

    def __init__(self, path: str, mistakes: Sequence[str], number: int, all_found: bool = True) -> None:
        least = "" if all_found else "at least "
        more = f" (and {least}{number - 1} more)" if number > 1 else ""
        super().__init__("", mistakes[0] + more)
        self.mistakes = tuple(mistakes)
        self.summary = f"{path} has {least}{number} mistakes" if number > 1 else f"{path} has a mistake"


class ApplyError(HsadcError):
    """The kernel or HAProxy refused; what had been done was undone and the running-config is as before.

    Attributes:
        step: what was being done, such as `create gre tunnel1`.
        cause: the system's own words.
        rolled_back: False when even the undo failed; then the log has the details.
    """

    def __init__(self, step: str, cause: str, rolled_back: bool = True) -> None:
        tail = "nothing was changed" if rolled_back else "and undoing it failed too: see the log"
        super().__init__(f"{step}: {cause}; {tail}")
        self.step = step
        self.cause = cause
        self.rolled_back = rolled_back


class Unsupported(ApplyError):
    """This kernel or binary cannot do it; the cause says what is missing."""


class WireError(HsadcError):
    """Bytes from outside that are not what they claim to be: counted, never the operator's fault."""
