"""Bytes to keys: what a terminal sends, cut into runs of text and single keys. Pure.

Supported standards: the key sequences are control sequences of ECMA-48 (section 5.4); CR NUL and CR LF are one Enter, as on a
network virtual terminal (RFC 854, "The NVT printer and keyboard").
"""

from __future__ import annotations

import re
from enum import Enum


class Key(Enum):
    """A key that is not text; the value is what it sends, without the introducer of a control sequence, `M-` for Escape."""

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
    KILL_NEXT_WORD = "M-d"
    WORD_LEFT = "M-b"
    WORD_RIGHT = "M-f"
    SWAP = "\x14"
    REDRAW = "\x0c"
    INTERRUPT = "\x03"
    LEAVE = "\x1a"
    END_OF_INPUT = "\x04"
    UNKNOWN = ""


_ALSO = {Key.BACK: ["\x7f"], Key.UP: ["A"], Key.DOWN: ["B"], Key.RIGHT: ["C"], Key.LEFT: ["D"]}
_ALSO |= {Key.HOME: ["H", "1~", "7~"], Key.END: ["F", "4~", "8~"]}
_ALSO |= {Key.WORD_LEFT: ["M-B", "^D"], Key.WORD_RIGHT: ["M-F", "^C"], Key.KILL_NEXT_WORD: ["M-D"]}
_ALSO |= {Key.KILL_WORD: ["M-\x7f", "M-\b"]}
_WITH_CONTROL = ("3", "5")  # modifiers of a key in a control sequence of xterm: Alt, Control
_KEYS = {key.value: key for key in Key} | {code: key for key, codes in _ALSO.items() for code in codes}
_KEY = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f?]+)"
    r"|\x16(?P<literal>[^\x00-\x1f\x7f-\x9f])"
    r"|(?P<enter>\r[\n\0]?|\n)"
    r"|\x1b(?:\[(?P<number>\d*)(?:;(?P<modifier>\d+))?[0-?]*[ -/]*|O)(?P<final>[@-~])"
    r"|\x1b(?P<meta>[ -~\b\x7f])"
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
            held = "^" if match["modifier"] in _WITH_CONTROL else ""
            return _KEYS.get(f"{held}{number}{match['final']}", Key.UNKNOWN)
        if match["meta"]:
            return _KEYS.get(f"M-{match['meta']}", Key.UNKNOWN)
        return match["text"] or match["literal"] or _KEYS.get(match["control"], Key.UNKNOWN)
