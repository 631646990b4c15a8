r"""The line being edited: keys in, and out what makes a terminal show it. Pure.

Nothing but text, `\b`, CR and LF is written, never an escape sequence: what is typed at the end of the line is echoed exactly
as it came, so netmiko, scrapli, Ansible and people see what they sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from hsadc.cli.batch import LINE_LIMIT
from hsadc.cli.keys import Key, Keys
from hsadc.cli.motions import EDITS
from hsadc.cli.shell import Completion
from hsadc.syntax.width import cells


class Act(Enum):
    """What is to be done with the line; LEAVE: run it, then go back to exec mode; REFUSE: it is too long."""

    RUN = auto()
    LEAVE = auto()
    REFUSE = auto()
    DISCARD = auto()
    HELP = auto()
    COMPLETE = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the editor cannot do by itself.

    Attributes:
        act: what is wanted.
        text: the whole line for RUN and LEAVE, what stands before the cursor for HELP and COMPLETE, else empty.
    """

    act: Act
    text: str = ""


_ENDS: Mapping[Key, tuple[str, Act]] = {
    Key.ENTER: ("\r\n", Act.RUN),
    Key.LEAVE: ("^Z\r\n", Act.LEAVE),
    Key.INTERRUPT: ("^C\r\n", Act.DISCARD),
}


class Editor:
    r"""One line after the other, edited on a terminal that knows nothing but text, `\b`, CR and LF.

    The line is echoed as it is typed and the terminal wraps it where it is too wide. `\b` cannot go back over such a wrap, so
    as soon as a wide line is edited anywhere but at its end, one row shows the part around the cursor, with `$` where more is.

    Widths are summed character by character, as the cursor moves: `cells` of a whole text takes joined characters as one, and
    then the widths of two halves of a line are not the width of the line.

    Attributes:
        columns: width of the terminal in cells.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._keys = Keys()
        self.begin("")

    def begin(self, prompt: str, history: Sequence[str] = ()) -> str:
        """Start an empty line; what was typed ahead is kept. `history` has the oldest line first. Returns what to write."""
        self._prompt = prompt
        self._text, self._at = "", 0
        self._scrolled = self._too_long = False
        self._recalled = [*history, ""]
        self._recalled_at = len(history)
        return prompt

    def feed(self, text: str) -> None:
        """Take what arrived; `advance` or `key` use it up."""
        self._keys.feed(text)

    def key(self) -> Key | str | None:
        """One key that is not for the line, None when more must arrive first."""
        return self._keys.next(single=True)

    def advance(self) -> tuple[str, Event | None]:
        """Edit the line with what has arrived, up to the first event.

        Returns:
            What to write, and the event; None when all that has arrived is used up.
        """
        written: list[str] = []
        event = None
        while event is None and (key := self._keys.next()) is not None:
            text, event = self._press(key)
            written.append(text)
        return "".join(written), event

    def redraw(self) -> str:
        """Show prompt and line again on a new row. Returns what to write."""
        self._scrolled = self._at < len(self._text) and not self._fits(self._text)
        if self._scrolled:
            return self._window()
        return self._prompt + self._text + _over(self._text[self._at :])

    def complete(self, completion: Completion) -> str:
        """Replace what stands before the cursor as TAB says. Returns what to write."""
        return self._insert(completion.insert, erase=completion.erase)

    def _press(self, key: Key | str) -> tuple[str, Event | None]:
        if isinstance(key, str):
            return self._insert(key), None
        if key in _ENDS:
            return self._end(key)
        if self._too_long:
            return "", None
        head = self._text[: self._at]
        if key is Key.HELP:
            return (self._insert("?"), None) if is_free_text(head) else ("", Event(Act.HELP, head))
        if key is Key.TAB:
            # At the start of a line this is the indentation of something pasted.
            return "", Event(Act.COMPLETE, head) if head.strip() else None
        if key is Key.REDRAW:
            return "\r\n" + self.redraw(), None
        if key is Key.END_OF_INPUT and not self._text:
            return "\r\n", Event(Act.CLOSE)
        edit = EDITS.get(key)
        return self._show(*edit(self._text, self._at)) if edit else self._recall(key), None

    def _end(self, key: Key) -> tuple[str, Event]:
        text, act = _ENDS[key]
        if self._too_long and key is not Key.INTERRUPT:
            return text, Event(Act.REFUSE)
        if act is Act.DISCARD:
            return text, Event(act)
        return text, Event(act, self._text)

    def _insert(self, text: str, erase: int = 0) -> str:
        start = max(self._at - erase, 0)
        if self._too_long or len(self._text) - (self._at - start) + len(text) > LINE_LIMIT:
            self._too_long = True
            return ""
        return self._show(self._text[:start] + text + self._text[self._at :], start + len(text))

    def _recall(self, key: Key) -> str:
        """Up and down through the history; the line that was being typed is its last entry."""
        if key not in (Key.UP, Key.DOWN):
            return ""
        if self._recalled_at == len(self._recalled) - 1:
            self._recalled[-1] = self._text
        self._recalled_at += -1 if key is Key.UP else 1
        self._recalled_at = min(max(self._recalled_at, 0), len(self._recalled) - 1)
        text = self._recalled[self._recalled_at].expandtabs(1)  # one that was pasted elsewhere may have TABs
        return self._show(text, len(text))

    def _show(self, text: str, at: int) -> str:
        """Make the line `text` with the cursor at index `at`. Returns what makes the terminal show it."""
        old, old_at = self._text, self._at
        self._text, self._at = text, at
        if (text, at) == (old, old_at):
            return ""
        if not self._scrolled and old_at == len(old) and at == len(text) and text.startswith(old):
            return text[len(old) :]
        if self._scrolled or not (self._fits(old) and self._fits(text)):
            self._scrolled = True
            return self._window()
        if text == old:
            return _over(text[at:old_at]) + text[old_at:at]
        same = _common(old, text, old_at)
        blanks = max(sum(map(cells, old[same:])) - sum(map(cells, text[same:])), 0)
        return _over(old[same:old_at]) + text[same:] + " " * blanks + "\b" * blanks + _over(text[at:])

    def _fits(self, text: str) -> bool:
        """Whether prompt and `text` stand in one row, with room for the cursor behind."""
        # The cheap comparison keeps what a key costs independent of the line's length.
        return len(self._prompt) + len(text) < self.columns and sum(map(cells, self._prompt + text)) < self.columns

    def _window(self) -> str:
        """The row around the cursor, written over the whole row where the cursor stands now."""
        line, cursor = self._prompt + self._text, len(self._prompt) + self._at
        start = _back(line, cursor, self.columns - 2)
        if start:
            start = _back(line, cursor, self.columns // 2)
        mark = "$" if start else ""
        end = _forward(line, start, self.columns - 2)
        row = mark + line[start:end] + ("$" if end < len(line) else "")
        # The blank in the last column leaves the terminal about to wrap; CR brings it back to the start of this row.
        return "\r" + row + " " * (self.columns - sum(map(cells, row))) + "\r" + mark + line[start:cursor]


def is_free_text(head: str) -> bool:
    """Whether what follows `head` is text of the operator's own, in quotes or a comment, where `?` asks for nothing."""
    return head.count('"') % 2 == 1 or head.lstrip().startswith("!")


def _over(text: str) -> str:
    r"""What takes the cursor back over the text, a `\b` for each cell."""
    return "\b" * sum(map(cells, text))


def _common(one: str, other: str, limit: int) -> int:
    """How many characters both begin with, at most `limit`."""
    pairs = zip(one[:limit], other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(limit, len(one), len(other)))


def _back(line: str, end: int, width: int) -> int:
    """Index from which the text before `end` takes at most `width` cells."""
    while end and (width := width - cells(line[end - 1])) >= 0:
        end -= 1
    return end


def _forward(line: str, start: int, width: int) -> int:
    """Index up to which the text from `start` takes at most `width` cells."""
    while start < len(line) and (width := width - cells(line[start])) >= 0:
        start += 1
    return start
