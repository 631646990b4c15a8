"""The local console: the same session as everywhere, on a terminal that can do more.

A completion menu, suggestions from the history, and red from the first word that cannot be. prompt_toolkit draws it; it is
imported when a console is opened and not before.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hsadc.cli.ask import Secret
from hsadc.cli.drawing import STYLE, completer, history, lexer, prompt
from hsadc.cli.editor import is_free_text
from hsadc.cli.keys import Key, Keys
from hsadc.cli.line import AGAIN, MORE, Pager
from hsadc.cli.shell import Reply, Shell
from hsadc.errors import HsadcError

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

_UNPAGED_ROWS = 1000

T = TypeVar("T")


def run_console(shell: Shell) -> None:
    """Talk with the operator at this process's terminal until he leaves.

    Args:
        shell: his session; `run` is called in a thread, the rest while he types.

    Raises:
        HsadcError: the session is gone.
    """
    console = _Console(shell)
    with ThreadPoolExecutor(1, "console") as thread:

        def run(line: str) -> Reply:
            return _wait(thread.submit(shell.run, line, console.columns), console.refuse_interrupt)

        def follow(stop: bool) -> Reply:
            return thread.submit(partial(shell.follow, stop=stop)).result()

        def answer(text: str | None) -> Reply:
            return _wait(thread.submit(shell.answer, text), console.refuse_interrupt)

        while not shell.closed:
            try:
                line = console.read()
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
            if line.strip() or not console.leaving:
                console.tell_secrets(console.answer(partial(run, line), follow), answer)
            if console.leaving:
                shell.to_exec()


def _wait(future: Future[T], refuse: Callable[[], object]) -> T:
    """The result. Ctrl-C does not take it apart: half a command is worse than a slow one."""
    while True:
        try:
            return future.result()
        except KeyboardInterrupt:
            refuse()


class _Console:
    """The screen.

    Attributes:
        leaving: True when the last line was ended with Ctrl-Z, which goes back to exec mode.
    """

    def __init__(self, shell: Shell) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
        from prompt_toolkit.styles import Style

        self.leaving = False
        self._shell = shell
        self._pasted: deque[str] = deque()
        self._begun = ""
        self._session: PromptSession[str] = PromptSession(
            lambda: prompt(shell),
            completer=completer(self._ask, shell),
            lexer=lexer(self._ask, shell),
            auto_suggest=AutoSuggestFromHistory(),
            history=history(shell.history),
            key_bindings=self._bindings(),
            style=Style.from_dict(STYLE),
            complete_while_typing=False,
        )

    def read(self) -> str:
        """The next line.

        Raises:
            KeyboardInterrupt: the operator threw it away.
            EOFError: the operator left.
            HsadcError: the session is gone.
        """
        self.leaving = False
        if self._pasted:
            line = self._pasted.popleft()
            self.write(self._shell.prompt + line)
            self._session.history.append_string(line)
            return line
        begun, self._begun = self._begun, ""
        return self._session.prompt(default=begun)

    def write(self, line: str) -> None:
        """Print a line; prompt_toolkit's output shows a `?` for what a terminal would obey."""
        self._session.output.write(line + "\n")
        self._session.output.flush()

    def refuse_interrupt(self) -> None:
        """Say why Ctrl-C does not stop a command; what was pasted behind it is forgotten."""
        self._pasted.clear()
        self.write("% The command is still at work and cannot be stopped half way")

    @property
    def columns(self) -> int:
        """Width of the terminal in cells."""
        return max(self._session.output.get_size().columns, 1)

    def answer(self, run: Callable[[], Reply], follow: Callable[[bool], Reply]) -> Reply:
        """Carry out a line and print its answer: once, or again and again, or as it goes on, until a key is pressed."""
        while (reply := run()).refresh_s:
            self._session.output.erase_screen()
            self._session.output.cursor_goto(0, 0)
            for line in Pager(reply.lines, self.columns).take(len(reply.lines)):
                self.write(line)
            if self._key(AGAIN, reply.refresh_s) is not None:
                return reply
        if reply.more:
            reply = self._watch(reply, follow)
        self.page(reply.lines)
        return reply

    def tell_secrets(self, reply: Reply, answer: Callable[[str | None], Reply]) -> None:
        """Ask the operator for what the session wants to know."""
        while reply.ask:
            reply = answer(self._secret(reply.ask))
            self.page(reply.lines)

    def _secret(self, prompt: str) -> str | None:
        """A line that is not shown; None when it is abandoned. What was pasted behind the command is what answers it."""
        self._session.output.write(prompt)
        self._session.output.flush()
        secret, keys = Secret(), Keys()
        if self._pasted:
            keys.feed(self._pasted.popleft() + Key.ENTER.value)
        self._type(secret, keys)
        self.write("")
        return secret.answer

    def _type(self, secret: Secret, keys: Keys) -> None:
        """Take what is typed until the secret is done; what is typed behind it is kept for the next prompt."""
        from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead

        source = self._session.input
        typed = get_typeahead(source)
        with source.raw_mode():
            while not secret.done:
                if (key := keys.next()) is not None:
                    secret.press(key)
                elif typed:
                    keys.feed(typed.pop(0).data)
                elif source.closed:
                    secret.press(Key.INTERRUPT)
                else:
                    select.select([source.fileno()], [], [])
                    typed = source.read_keys()
        store_typeahead(source, typed)

    def _watch(self, reply: Reply, follow: Callable[[bool], Reply]) -> Reply:
        """Print what a command says while it is at work; a key, Ctrl-C too, ends it. Returns its last words."""
        from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead

        source = self._session.input
        keys = get_typeahead(source)
        with source.raw_mode():
            while reply.more:
                for line in Pager(reply.lines, self.columns).take(len(reply.lines)):
                    self.write(line)
                if not keys and not source.closed and select.select([source.fileno()], [], [], 0)[0]:
                    keys = source.read_keys()
                reply = follow(bool(keys) or source.closed)
        store_typeahead(source, keys[1:])
        return reply

    def page(self, lines: Iterable[str]) -> None:
        """Print lines, a page at a time."""
        from prompt_toolkit.keys import Keys

        size = self._session.output.get_size()
        length = size.rows if self._shell.page_length is None else self._shell.page_length
        rows = page = max(length - 1, 1) if length else _UNPAGED_ROWS
        pager = Pager(lines, self.columns)
        while pager.left:
            for line in pager.take(rows):
                self.write(line)
            if length and pager.left:
                key = self._key(MORE)
                if key in ("q", "Q", Keys.ControlC, Keys.ControlD):
                    break
                rows = 1 if key in (Keys.ControlM, Keys.ControlJ) else page

    def _key(self, note: str, seconds: float | None = None) -> str | None:
        """The name of the next key, as prompt_toolkit has it; None when none is pressed in time. Meanwhile a note is shown."""
        from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead

        output, source = self._session.output, self._session.input
        output.write(note)
        output.flush()
        keys = get_typeahead(source)
        with source.raw_mode():
            while not keys and not source.closed:
                if not select.select([source.fileno()], [], [], seconds)[0]:
                    break
                keys = source.read_keys()
        store_typeahead(source, keys[1:])
        output.write("\b" * len(note) + " " * len(note) + "\b" * len(note))
        return keys[0].key if keys else "q" if source.closed else None

    def _ask(self, query: Callable[[], T], otherwise: T) -> T:
        """Ask the session something while the operator types.

        An error in here would be prompt_toolkit's, and end up in a traceback; it ends the prompt instead, which raises it.
        """
        try:
            return query()
        except HsadcError as e:
            if not self._session.app.is_done:
                self._session.app.exit(exception=e)
            return otherwise

    def _bindings(self) -> KeyBindings:
        from prompt_toolkit.key_binding import KeyBindings

        bindings = KeyBindings()
        bindings.add("?")(self._help)
        bindings.add("tab")(self._complete)
        bindings.add("c-z")(self._leave)
        bindings.add("c-v")(_quote)
        bindings.add("<bracketed-paste>")(self._paste)
        return bindings

    def _help(self, event: KeyPressEvent) -> None:
        """`?`: what may stand here, printed above the line, which stays."""
        from prompt_toolkit.application import run_in_terminal

        head = event.current_buffer.document.text_before_cursor
        if is_free_text(head):
            event.current_buffer.insert_text("?")
            return
        nothing: Sequence[str] = ()
        lines = [f"{self._shell.prompt}{head}?", *self._ask(partial(self._shell.help, head), nothing)]
        run_in_terminal(lambda: self.write("\n".join(lines)))

    def _complete(self, event: KeyPressEvent) -> None:
        """TAB: as on every other terminal; where there are several, a menu instead of a list."""
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
            return
        completion = self._ask(partial(self._shell.complete, buffer.document.text_before_cursor), None)
        if completion is None:
            return
        if completion.insert:
            buffer.delete_before_cursor(completion.erase)
            buffer.insert_text(completion.insert)
        if completion.words:
            buffer.start_completion()

    def _paste(self, event: KeyPressEvent) -> None:
        """Text from elsewhere: each line is carried out in its turn, `?` and TAB are text, and a last line without end stays."""
        first, *others = event.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        event.current_buffer.insert_text(first)
        if others:
            self._begun = others.pop()
            self._pasted.extend(others)
            event.current_buffer.validate_and_handle()

    def _leave(self, event: KeyPressEvent) -> None:
        """Ctrl-Z: carry out the line, if there is one, and go back to exec mode."""
        self.leaving = True
        event.current_buffer.validate_and_handle()


def _quote(event: KeyPressEvent) -> None:
    """Ctrl-V: the next key is text."""
    event.app.quoted_insert = True
