"""The plain line terminal: what a switch's serial line does, and what tools that type into switches expect.

`editor` decides what a key does to the line; here is what surrounds it: prompt, answer, pages, time-out.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from hsadc.cli.ask import Secret
from hsadc.cli.batch import LINE_LIMIT
from hsadc.cli.editor import Act, Editor, Event
from hsadc.cli.keys import Key
from hsadc.cli.shell import Reply, Shell
from hsadc.syntax.width import cells

IDLE_TIMEOUT_S = 600.0
MORE = " --More-- "
AGAIN = " --Any key ends it-- "

_AT_ONCE_S = 0.05
_GLANCE_S = 0.01
_UNPAGED_ROWS = 1000
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


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
        """What was typed, as soon as there is something; empty when the operator is gone. Cancelled, it loses nothing."""
        ...

    async def write(self, text: str) -> None:
        """Show it; waits while the other side does not take it.

        Raises:
            ConnectionError: the operator is gone.
        """
        ...


async def serve_terminal(shell: Shell, terminal: Terminal, idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
    """Talk with an operator until he logs out, hangs up, or types nothing for `idle_timeout_s` seconds.

    Args:
        shell: the operator's session; `run` is called in a thread of its own, the rest in the event loop.
        terminal: where he sits; not closed here.
        idle_timeout_s: seconds.

    Raises:
        ConnectionError: the operator went away in the middle of an answer.
    """
    # Not the event loop's own threads: they are few, and a handful of sessions that wait for a commit would use them all up.
    thread = ThreadPoolExecutor(1, "terminal")
    try:
        await _Dialogue(shell, terminal, Editor(terminal.columns), thread, idle_timeout_s).run()
    except EOFError:
        pass
    finally:
        thread.submit(shell.close)  # after the line that may be running
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
            self._unwritten += self._editor.begin(self._shell.prompt, self._shell.history)
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
            await _turn_of_others()
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
        while (reply := await self._run(line)).refresh_s:
            self._unwritten += "".join(f"{printable(text)}\r\n" for text in reply.lines)
            if await self._any_key(reply.refresh_s):
                return
        while reply.more:
            self._unwritten += "".join(f"{printable(text)}\r\n" for text in reply.lines)
            follow = partial(self._shell.follow, stop=await self._pressed())
            reply = await asyncio.get_running_loop().run_in_executor(self._thread, follow)
        await self._page(reply.lines)
        while reply.ask:
            answer = partial(self._shell.answer, await self._secret(reply.ask))
            await self._flush()
            reply = await asyncio.get_running_loop().run_in_executor(self._thread, answer)
            await self._page(reply.lines)

    async def _secret(self, prompt: str) -> str | None:
        """A line that is not shown; None when it is abandoned."""
        self._unwritten += prompt
        secret = Secret()
        while not secret.done:
            if (key := self._editor.key()) is None:
                await self._read()
            else:
                secret.press(key)
        self._unwritten += "\r\n"
        return secret.answer

    async def _run(self, line: str) -> Reply:
        """Carry it out; where that is done at once the echo goes out with the answer, as each message costs its encryption."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, self._shell.run, line, self._terminal.columns)
        await asyncio.wait([work], timeout=_AT_ONCE_S)
        if not work.done():
            await self._flush()
        return await work

    async def _page(self, lines: Iterable[str]) -> None:
        length = self._terminal.rows if self._shell.page_length is None else self._shell.page_length
        rows = page = max(length - 1, 1) if length else _UNPAGED_ROWS
        pager = Pager(lines, self._terminal.columns)
        while pager.left:
            self._unwritten += "".join(f"{line}\r\n" for line in pager.take(rows))
            if pager.left and not length:
                await self._flush()
            elif pager.left:
                key = await self._key(MORE, self._read)
                if key in ("q", "Q", Key.INTERRUPT, Key.END_OF_INPUT):
                    break
                rows = 1 if key is Key.ENTER else page

    async def _pressed(self) -> bool:
        """Whether a key has been pressed; what has been printed is sent meanwhile."""
        if self._editor.key() is not None:
            await self._flush()
            return True
        try:
            async with asyncio.timeout(_GLANCE_S):
                await self._receive()
        except TimeoutError:
            return False
        return self._editor.key() is not None

    async def _any_key(self, seconds: int) -> bool:
        """Whether a key is pressed within this time; who watches something is not idle."""
        try:
            async with asyncio.timeout(seconds):
                await self._key(AGAIN, self._receive)
        except TimeoutError:
            return False
        return True

    async def _key(self, note: str, read: Callable[[], Awaitable[None]]) -> Key | str:
        """One key, while a note is shown that is erased again."""
        self._unwritten += note
        await _turn_of_others()
        try:
            while (key := self._editor.key()) is None:
                await read()
        finally:
            self._unwritten += "\b" * len(note) + " " * len(note) + "\b" * len(note)
        return key

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._idle_timeout_s):
                await self._receive()
        except TimeoutError:
            await self._terminal.write(f"\r\n% Closed: nothing was typed for {self._idle_timeout_s:g} seconds\r\n")
            raise EOFError from None

    async def _receive(self) -> None:
        """Take what is typed.

        Raises:
            EOFError: the operator is gone.
        """
        await self._flush()
        if not (text := await self._terminal.read()):
            raise EOFError
        self._editor.columns = self._terminal.columns
        self._editor.feed(text)

    async def _flush(self) -> None:
        text, self._unwritten = self._unwritten, ""
        if text:
            await self._terminal.write(text)


async def _turn_of_others() -> None:
    """What arrives without end never makes this one wait: the other sessions get their turn between two pieces all the same."""
    await asyncio.sleep(0)


def printable(line: str) -> str:
    """The line with blanks for TABs, and `?` for each character that a terminal would obey instead of showing it."""
    return _CONTROL.sub("?", line.expandtabs())
