r"""The plain line terminal: what a switch's serial line does, and what tools that type into switches expect.

The editing happens here and nothing but text, `\b`, CR and LF is written, never an escape sequence: what is typed at the end
of the line is echoed exactly as it came, so netmiko, scrapli, Ansible and people see what they sent. `Keys`, `Editor` and
`Pager` are pure, text in and text out; `serve_terminal` does the I/O.

Supported standards: the key sequences are control sequences of ECMA-48 (section 5.4); CR NUL and CR LF are one Enter, as on a
network virtual terminal (RFC 854, "The NVT printer and keyboard").
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from wcwidth import wcwidth

from hsadc.cli.batch import LINE_LIMIT
from hsadc.cli.shell import Completion, Shell

HISTORY_LINES = 256
IDLE_TIMEOUT_S = 600.0
MORE = " --More-- "

_UNPAGED_ROWS = 1000
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class Key(Enum):
    """A key that is not text; the value is what it sends, without the introducer of a control sequence."""

    ENTER = "\r"
    HELP = "?"
    TAB = "\t"
    BACK = "\b"
    DELETE = "3~"
    LEFT = "\x02"
    RIGHT = "\x06"
    HOME = "\x01"
    END = "\x05"
    UP = "\x10"
    DOWN = "\x0e"
    KILL_HEAD = "\x15"
    KILL_TAIL = "\x0b"
    KILL_WORD = "\x17"
    REDRAW = "\x0c"
    INTERRUPT = "\x03"
    LEAVE = "\x1a"
    END_OF_INPUT = "\x04"
    UNKNOWN = ""


_ALSO = {Key.BACK: ["\x7f"], Key.UP: ["A"], Key.DOWN: ["B"], Key.RIGHT: ["C"], Key.LEFT: ["D"]}
_ALSO |= {Key.HOME: ["H", "1~", "7~"], Key.END: ["F", "4~", "8~"]}
_KEYS = {key.value: key for key in Key} | {code: key for key, codes in _ALSO.items() for code in codes}
_KEY = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f?]+)"
    r"|\x16(?P<literal>[^\x00-\x1f\x7f-\x9f])"
    r"|(?P<enter>\r[\n\0]?|\n)"
    r"|\x1b(?:\[(?P<number>\d*)[0-?]*[ -/]*|O)(?P<final>[@-~])"
    r"|\x1b[ -~]"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f?])"
)
_PARTIAL = re.compile(r"\x16|\x1b(?:O|\[[0-?]{0,16}[ -/]{0,4})?")


class Keys:
    """Cuts what arrives into keys, wherever the pieces it arrives in are cut."""

    def __init__(self) -> None:
        self._ahead = ""
        self._at = 0
        self._after_return = False

    def feed(self, text: str) -> None:
        """Take what arrived; it is kept until `next` has used it up."""
        if text and self._after_return:
            text = text[1:] if text[0] in "\n\0" else text
            self._after_return = False
        self._ahead, self._at = self._ahead[self._at :] + text, 0

    def next(self, *, single: bool = False) -> Key | str | None:
        """The next key.

        Args:
            single: give one character where a run of text waits.

        Returns:
            A run of text to be inserted as it is, a key, or None when more must arrive first.
        """
        ahead, at = self._ahead, self._at
        if _PARTIAL.fullmatch(ahead, at) or (match := _KEY.match(ahead, at)) is None:
            return None
        if single and match["text"]:
            self._at += 1
            return match["text"][0]
        self._at = match.end()
        if match["enter"]:
            self._after_return = match["enter"] == "\r" and self._at == len(ahead)
            return Key.ENTER
        if match["final"]:
            number = match["number"] if match["final"] == "~" else ""
            return _KEYS.get(f"{number}{match['final']}", Key.UNKNOWN)
        return match["text"] or match["literal"] or _KEYS.get(match["control"], Key.UNKNOWN)


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
_EDITS: Mapping[Key, Callable[[str, int], tuple[str, int]]] = {
    Key.BACK: lambda text, at: (text[: max(at - 1, 0)] + text[at:], max(at - 1, 0)),
    Key.DELETE: lambda text, at: (text[:at] + text[at + 1 :], at),
    Key.END_OF_INPUT: lambda text, at: (text[:at] + text[at + 1 :], at),
    Key.LEFT: lambda text, at: (text, max(at - 1, 0)),
    Key.RIGHT: lambda text, at: (text, min(at + 1, len(text))),
    Key.HOME: lambda text, _: (text, 0),
    Key.END: lambda text, _: (text, len(text)),
    Key.KILL_HEAD: lambda text, at: (text[at:], 0),
    Key.KILL_TAIL: lambda text, at: (text[:at], at),
    Key.KILL_WORD: lambda text, at: (text[: (cut := text.rfind(" ", 0, len(text[:at].rstrip(" "))) + 1)] + text[at:], cut),
}


class Editor:
    r"""One line after the other, edited on a terminal that knows nothing but text, `\b`, CR and LF.

    The line is echoed as it is typed and the terminal wraps it where it is too wide. `\b` cannot go back over such a wrap, so
    as soon as a wide line is edited anywhere but at its end, one row shows the part around the cursor, with `$` where more is.

    Attributes:
        columns: width of the terminal in cells.
    """

    def __init__(self, history: deque[str], columns: int) -> None:
        """`history` has the oldest line first and is shared with whoever gave it."""
        self.columns = columns
        self._history = history
        self._keys = Keys()
        self.begin("")

    def begin(self, prompt: str) -> str:
        """Start an empty line; what was typed ahead is kept. Returns what to write."""
        self._prompt = prompt
        self._text, self._at = "", 0
        self._scrolled = self._too_long = False
        self._recalled: list[str] = []
        self._recalled_at = 0
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
        return self._prompt + self._text + "\b" * cells(self._text[self._at :])

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
        edit = _EDITS.get(key)
        return self._show(*edit(self._text, self._at)) if edit else self._recall(key), None

    def _end(self, key: Key) -> tuple[str, Event]:
        text, act = _ENDS[key]
        if self._too_long and key is not Key.INTERRUPT:
            return text, Event(Act.REFUSE)
        if act is Act.DISCARD:
            return text, Event(act)
        if self._text.strip() and (not self._history or self._history[-1] != self._text):
            self._history.append(self._text)
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
        if not self._recalled:
            self._recalled = [*self._history, self._text]
            self._recalled_at = len(self._history)
        self._recalled_at += -1 if key is Key.UP else 1
        self._recalled_at = min(max(self._recalled_at, 0), len(self._recalled) - 1)
        text = self._recalled[self._recalled_at]
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
            return "\b" * cells(text[at:old_at]) + text[old_at:at]
        same = _common(old, text, old_at)
        blanks = max(cells(old[same:]) - cells(text[same:]), 0)
        return "\b" * cells(old[same:old_at]) + text[same:] + " " * blanks + "\b" * (blanks + cells(text[at:]))

    def _fits(self, text: str) -> bool:
        """Whether prompt and `text` stand in one row, with room for the cursor behind."""
        # The cheap comparison keeps what a key costs independent of the line's length.
        return len(self._prompt) + len(text) < self.columns and cells(self._prompt + text) < self.columns

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
        return "\r" + row + " " * (self.columns - cells(row)) + "\r" + mark + line[start:cursor]


class Pager:
    """Lines of output, cut into pages."""

    def __init__(self, lines: Iterable[str], columns: int) -> None:
        """`columns` is the width in cells; a longer line takes several rows."""
        self._lines = deque(lines)
        self._columns = columns

    @property
    def left(self) -> bool:
        """Whether lines are left."""
        return bool(self._lines)

    def take(self, rows: int) -> list[str]:
        """The next lines that fit on `rows` rows, but at least one; without anything that a terminal might obey."""
        taken: list[str] = []
        while self._lines:
            line = printable(self._lines[0])
            rows -= max(-(-cells(line) // self._columns), 1)
            if taken and rows < 0:
                break
            taken.append(line)
            self._lines.popleft()
        return taken


class Terminal(Protocol):
    """Where the operator sits.

    Attributes:
        rows: height in lines, 1 or more; may change.
        columns: width in cells, 1 or more; may change.
    """

    rows: int
    columns: int

    async def read(self) -> str:
        """What was typed, as soon as there is something; empty when the operator is gone."""
        ...

    async def write(self, text: str) -> None:
        """Show it; waits while the other side does not take it.

        Raises:
            ConnectionError: the operator is gone.
        """
        ...


async def serve_terminal(shell: Shell, terminal: Terminal, history: deque[str], idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
    """Talk with an operator until he logs out, hangs up, or types nothing for `idle_timeout_s` seconds.

    Args:
        shell: the operator's session; `run` is called in a thread of its own, the rest in the event loop.
        terminal: where he sits; not closed here.
        history: the lines of earlier logins, oldest first; this session's are appended.
        idle_timeout_s: seconds.

    Raises:
        ConnectionError: the operator went away in the middle of an answer.
    """
    # Not the event loop's own threads: they are few, and a handful of sessions that wait for a commit would use them all up.
    thread = ThreadPoolExecutor(1, "terminal")
    try:
        await _Dialogue(shell, terminal, Editor(history, terminal.columns), thread, idle_timeout_s).run()
    except EOFError:
        pass
    finally:
        thread.shutdown(wait=False)


@dataclass(slots=True)
class _Dialogue:
    """The loop of prompt, line, answer."""

    _shell: Shell
    _terminal: Terminal
    _editor: Editor
    _thread: ThreadPoolExecutor
    _idle_timeout_s: float
    _unwritten: str = ""

    async def run(self) -> None:
        while not self._shell.closed:
            self._unwritten += self._editor.begin(self._shell.prompt)
            event = await self._line()
            if event.act is Act.CLOSE:
                break
            if event.act is Act.REFUSE:
                self._unwritten += f"% Error: the line is longer than {LINE_LIMIT} characters\r\n"
            elif event.act is Act.RUN or (event.act is Act.LEAVE and event.text.strip()):
                await self._execute(event.text)
            if event.act is Act.LEAVE:
                self._shell.to_exec()
        await self._flush()

    async def _line(self) -> Event:
        """The event that ends the line."""
        while True:
            text, event = self._editor.advance()
            self._unwritten += text
            if event is None:
                await self._read()
            elif event.act is Act.HELP:
                self._unwritten += "?\r\n"
                await self._page(self._shell.help(event.text))
                self._unwritten += self._editor.redraw()
            elif event.act is Act.COMPLETE:
                await self._complete(event.text)
            else:
                return event

    async def _complete(self, text: str) -> None:
        completion = self._shell.complete(text)
        changed = self._editor.complete(completion)
        self._unwritten += changed
        if completion.words and not changed:
            self._unwritten += "\r\n"
            await self._page(["  ".join(completion.words)])
            self._unwritten += self._editor.redraw()

    async def _execute(self, line: str) -> None:
        await self._flush()
        reply = await asyncio.get_running_loop().run_in_executor(self._thread, self._shell.run, line)
        await self._page(reply.lines)

    async def _page(self, lines: Iterable[str]) -> None:
        length = self._terminal.rows if self._shell.page_length is None else self._shell.page_length
        rows = page = max(length - 1, 1) if length else _UNPAGED_ROWS
        pager = Pager(lines, self._terminal.columns)
        while pager.left:
            self._unwritten += "".join(f"{line}\r\n" for line in pager.take(rows))
            if not length:
                await self._flush()
            elif pager.left:
                key = await self._more()
                if key in ("q", "Q", Key.INTERRUPT, Key.END_OF_INPUT):
                    break
                rows = 1 if key is Key.ENTER else page

    async def _more(self) -> Key | str:
        self._unwritten += MORE
        while (key := self._editor.key()) is None:
            await self._read()
        self._unwritten += "\b" * len(MORE) + " " * len(MORE) + "\b" * len(MORE)
        return key

    async def _read(self) -> None:
        await self._flush()
        try:
            async with asyncio.timeout(self._idle_timeout_s):
                text = await self._terminal.read()
        except TimeoutError:
            await self._terminal.write(f"\r\n% Closed: nothing was typed for {self._idle_timeout_s:g} seconds\r\n")
            raise EOFError from None
        if not text:
            raise EOFError
        self._editor.columns = self._terminal.columns
        self._editor.feed(text)

    async def _flush(self) -> None:
        text, self._unwritten = self._unwritten, ""
        if text:
            await self._terminal.write(text)


def is_free_text(head: str) -> bool:
    """Whether what follows `head` is text of the operator's own, in quotes or a comment, where `?` asks for nothing."""
    return head.count('"') % 2 == 1 or head.lstrip().startswith("!")


def printable(line: str) -> str:
    """The line with blanks for TABs, and `?` for each character that a terminal would obey instead of showing it."""
    return _CONTROL.sub("?", line.expandtabs())


def cells(text: str) -> int:
    """Cells that the text takes on a terminal."""
    return len(text) if text.isascii() else sum(max(wcwidth(c), 0) for c in text)


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
