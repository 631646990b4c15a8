r"""Words of a line: bare, or in double quotes with \" and \\ inside."""

from __future__ import annotations

import re

_BLANK = ("", " ")
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"(?=\s|$)|"[^"]*$|\S+')


def split_words(line: str) -> list[str]:
    """The words of a line as they stand there, quotes included."""
    if '"' not in line:
        return line.split()
    if line.count('"') == 2 and "\\" not in line:  # one quoted name, as usual
        before, name, after = line.split('"')
        if before[-1:] in _BLANK and after[:1] in _BLANK:
            return [*before.split(), f'"{name}"', *after.split()]
    return _WORD.findall(line)


def column_of(line: str, index: int) -> int:
    """Where the word of this index begins, from 0; past the last word, the end of the line's text."""
    starts = [m.start() for m in _WORD.finditer(line)]
    return starts[index] if index < len(starts) else len(line.rstrip())


def quote(text: str) -> str:
    """The text as one quoted word."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(word: str) -> str:
    """The text of a word; a bare word is its own text."""
    if not word.startswith('"'):
        return word
    inner = word[1:-1]
    return re.sub(r"\\(.)", r"\1", inner) if "\\" in inner else inner
