"""Lines carried out without a terminal: no echo, no prompt, no paging, and the first error ends it."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from hsadc.cli.shell import Reply, Shell, masked

LINE_LIMIT = 65536
"""Characters in a line, at most; whatever sends more is not typing commands."""

_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BYTE_ORDER_MARK = "\ufeff"


class Batch:
    """Carries out lines as they come.

    Attributes:
        failed: True after a line or the commit was refused; no more lines are carried out then.
        more: True while the last line's command is still at work: `follow` has what it prints next.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._number = 0
        self._line = self._asked = ""
        self.failed = self.more = False

    @property
    def done(self) -> bool:
        """True when no more lines are wanted: after an error, or after the line that logged out."""
        return self.failed or self._shell.closed

    def run(self, line: str) -> tuple[str, ...]:
        """Carry out the next line, with or without its line end.

        Returns:
            What is to be printed. For a line that was refused this starts with `line N: <the line>` and then shows what a
            terminal would: the prompt and the line, so that a caret in the reply points at the right word.
        """
        self._number += 1
        line = line.removesuffix("\n").removesuffix("\r")
        if self._number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if (why := _refusal(line)) is not None:
            self.failed = True
            return (f"line {self._number}: % Error: {why}",)
        self._line, self._asked = masked(line.strip()), self._shell.prompt + masked(line)
        return self._printed(self._shell.run(line))

    def follow(self, *, stop: bool = False) -> tuple[str, ...]:
        """What the command that is still at work has printed meanwhile; `stop` brings it to its end."""
        return self._printed(self._shell.follow(stop=stop))

    def _printed(self, reply: Reply) -> tuple[str, ...]:
        self.more, self.failed = reply.more, not reply.ok
        return reply.lines if reply.ok else (f"line {self._number}: {self._line}", self._asked, *reply.lines)

    def finish(self) -> tuple[str, ...]:
        """Commit what the lines configured, unless one was refused. Returns what is to be printed."""
        if self.failed:
            return ()
        reply = self._shell.finish()
        self.failed = not reply.ok
        return reply.lines


def run_batch(shell: Shell, lines: Iterable[str], write: Callable[[str], object]) -> int:
    """Carry out lines until one is refused or logs out, then commit what they configured.

    Args:
        shell: whose session it is.
        lines: the lines, with or without line ends; an open text file will do.
        write: prints a line, given without its line end.

    Returns:
        The exit status: 0, or 1 when a line or the commit was refused.
    """
    batch = Batch(shell)
    for line in lines:
        printed = batch.run(line)
        for text in printed:
            write(text)
        if batch.more:
            _follow(batch, write)
        if batch.done:
            break
    for text in batch.finish():
        write(text)
    return int(batch.failed)


def _follow(batch: Batch, write: Callable[[str], object]) -> None:
    """Print what the command that is still at work says; Ctrl-C brings it to its end, with its last words."""
    stop = threading.Event()
    with _interrupts(stop):
        while batch.more:
            for text in batch.follow(stop=stop.is_set()):
                write(text)


@contextmanager
def _interrupts(stop: threading.Event) -> Iterator[None]:
    """Meanwhile Ctrl-C sets the event; in threads, which get no signals, nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _refusal(line: str) -> str | None:
    """Why this cannot be a line that an operator wrote; None when it can."""
    if len(line) > LINE_LIMIT:
        return f"the line is longer than {LINE_LIMIT} characters"
    if (control := _NOT_TEXT.search(line)) is not None:
        return f"this is not text (it has the control character 0x{ord(control[0]):02x})"
    return None
