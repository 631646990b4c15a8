"""What editing keys make of a line and its cursor. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hsadc.cli.keys import Key


def _word_start(text: str, at: int) -> int:
    """Where the word before `at` begins."""
    return text.rfind(" ", 0, len(text[:at].rstrip(" "))) + 1


def _word_end(text: str, at: int) -> int:
    """Where the word behind `at` ends."""
    end = text.find(" ", len(text) - len(text[at:].lstrip(" ")))
    return len(text) if end < 0 else end


def _swap(text: str, at: int) -> tuple[str, int]:
    """The characters on both sides of the cursor change places, at the end of the line the last two."""
    second = min(at, len(text) - 1)
    if second < 1:
        return text, at
    return f"{text[: second - 1]}{text[second]}{text[second - 1]}{text[second + 1 :]}", second + 1


EDITS: Mapping[Key, Callable[[str, int], tuple[str, int]]] = {
    Key.BACK: lambda text, at: (text[: max(at - 1, 0)] + text[at:], max(at - 1, 0)),
    Key.DELETE: lambda text, at: (text[:at] + text[at + 1 :], at),
    Key.END_OF_INPUT: lambda text, at: (text[:at] + text[at + 1 :], at),
    Key.LEFT: lambda text, at: (text, max(at - 1, 0)),
    Key.RIGHT: lambda text, at: (text, min(at + 1, len(text))),
    Key.HOME: lambda text, _: (text, 0),
    Key.END: lambda text, _: (text, len(text)),
    Key.KILL_HEAD: lambda text, at: (text[at:], 0),
    Key.KILL_TAIL: lambda text, at: (text[:at], at),
    Key.KILL_WORD: lambda text, at: (text[: (start := _word_start(text, at))] + text[at:], start),
    Key.KILL_NEXT_WORD: lambda text, at: (text[:at] + text[_word_end(text, at) :], at),
    Key.WORD_LEFT: lambda text, at: (text, _word_start(text, at)),
    Key.WORD_RIGHT: lambda text, at: (text, _word_end(text, at)),
    Key.SWAP: _swap,
}
"""From a key to what it makes of text and cursor index."""
