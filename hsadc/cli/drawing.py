"""What is asked and drawn while a line is typed at the console: menu, colours, suggestions.

prompt_toolkit is imported when a console is opened and not before, which is why its classes are made in functions here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hsadc.cli.shell import Shell, holds_secret

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.lexers import Lexer

STYLE = {"host": "bold", "mode": "fg:ansicyan", "name": "fg:ansigreen", "wrong": "fg:ansired"}

Ask = Callable[[Callable[[], Any], Any], Any]
"""Asks the session something; what comes second is the answer when that fails."""

_LAST_WORD = re.compile(r'("[^"]*|[^\s|]*)$')
_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*"?)')


def completer(ask: Ask, shell: Shell) -> Completer:
    """What may stand at the cursor, as a menu; placeholders are for `?`, they cannot be typed."""
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    class ShellCompleter(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002
            head = document.text_before_cursor
            last = _LAST_WORD.search(head)
            start = -len(last[0]) if last else 0
            for choice in ask(partial(shell.choices, head), ()):
                if not choice.placeholder:
                    yield Completion(f"{choice.word} ", start, display=choice.word, display_meta=choice.text)

    return ShellCompleter()


def prompt(shell: Shell) -> StyleAndTextTuples:
    """The prompt, its mode in colour."""
    host, bracket, mode = shell.prompt.partition("(")
    return [("class:host", host), ("class:mode", f"{bracket}{mode}")] if bracket else [("class:host", host)]


def _fragments(text: str) -> StyleAndTextTuples:
    """A line that is right so far, its quoted names in colour."""
    return [("class:name" if n % 2 else "", part) for n, part in enumerate(_QUOTED.split(text)) if part]


def lexer(ask: Ask, shell: Shell) -> Lexer:
    """Names in a colour, and red from the first character that cannot be part of a command."""
    from prompt_toolkit.document import Document
    from prompt_toolkit.lexers import Lexer

    class ShellLexer(Lexer):
        def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
            def fragments(number: int) -> StyleAndTextTuples:
                line = document.lines[number]
                wrong = ask(partial(shell.wrong_from, line), None)
                return [*_fragments(line[:wrong]), *([] if wrong is None else [("class:wrong", line[wrong:])])]

            return fragments

    return ShellLexer()


def history(lines: Sequence[str]) -> History:
    """The lines of earlier logins and of this one; the device keeps them. What may hold a password is not even recalled."""
    from prompt_toolkit.history import InMemoryHistory

    class DeviceHistory(InMemoryHistory):
        def append_string(self, string: str) -> None:
            if not holds_secret(string):
                super().append_string(string)

    return DeviceHistory(lines)
