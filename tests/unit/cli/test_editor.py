"""Real key strokes in; what a terminal would show is worked out by a small one that knows text, `\\b`, CR, LF and wrapping."""

from __future__ import annotations

import random

import pytest
from wcwidth import wcwidth

from hsadc.cli.batch import LINE_LIMIT
from hsadc.cli.editor import Act, Editor, Event, is_free_text
from hsadc.cli.shell import Completion
from hsadc.syntax.width import cells

LEFT, RIGHT, UP, DOWN, HOME, END, DELETE = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B", "\x1b[H", "\x1b[F", "\x1b[3~"


class Screen:
    """A terminal of so many columns that wraps as a VT100 does: not before the character after the last column."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.column = 0

    def write(self, text: str) -> None:
        for character in text:
            self._put(character)

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.rows.append([])
        elif character == "\b":
            self.column = max(min(self.column, self.columns - 1) - 1, 0)
        else:
            assert character.isprintable() or wcwidth(character) == 0, f"{character!r} is not plain text"
            width = wcwidth(character)
            if self.column + width > self.columns:
                self.rows.append([])
                self.column = 0
            row = self.rows[-1]
            row.extend(" " * (self.column + width - len(row)))
            if width:
                row[self.column : self.column + width] = [character] + [""] * (width - 1)
                self.column += width
            else:
                row[self.column - 1] += character

    @property
    def row(self) -> str:
        return "".join(self.rows[-1]).rstrip()

    @property
    def text(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]


class Typist:
    """An editor with its screen."""

    def __init__(self, columns: int = 80, history: tuple[str, ...] = (), prompt: str = "h#") -> None:
        self.screen = Screen(columns)
        self.editor = Editor(columns)
        self.written = ""
        self.prompt = prompt
        self._show(self.editor.begin(prompt, history))

    def _show(self, text: str) -> None:
        self.written += text
        self.screen.write(text)

    def type(self, text: str) -> Event | None:
        self.editor.feed(text)
        shown, event = self.editor.advance()
        self._show(shown)
        return event

    def line(self, text: str) -> str:
        """The line that typing this and Enter gives."""
        event = self.type(text + "\r")
        assert event is not None
        assert event.act is Act.RUN
        return event.text


class TestEditor:
    @pytest.mark.parametrize(
        ("typed", "line"),
        [
            ("show version", "show version"),
            ("shw\x02o", "show"),
            (f"shw{LEFT}o", "show"),
            ("bc\x01a\x05d", "abcd"),
            (f"bc{HOME}a{END}d", "abcd"),
            ("\x1b[1~a\x1b[4~b\x1bOHc\x1bOFd", "cabd"),
            ("abx\x7fc", "abc"),
            ("abx\bc", "abc"),
            ("\x7f\x7fa", "a"),
            ("axb\x02\x02\x04", "ab"),
            (f"axb{LEFT}{LEFT}{DELETE}", "ab"),
            ("ab\x02\x06\x06c", "abc"),
            ("abc\x02\x02\x0b", "a"),
            ("abc\x02\x15", "c"),
            ("show ip route\x17arp", "show ip arp"),
            ("show ip  \x17", "show "),
            ("show\x17\x17x", "x"),
            ("a\x00b\x07c\x1fd", "abcd"),
            ("日本\x02中", "日中本"),
            ("shwo\x14 x", "show x"),
            ("shwo x\x02\x02\x02\x14", "show x"),
            ("日本\x14", "本日"),
            ("a\x14b", "ab"),
            ("\x14a", "a"),
            ("ab\x01\x14x", "xab"),
            ("show ip route\x1bbx", "show ip xroute"),
            ("show ip route\x1bb\x1bBx", "show xip route"),
            ("show ip route\x1b[1;5D\x1b[1;3Dx", "show xip route"),
            ("show ip route\x01\x1bfx", "showx ip route"),
            ("show ip route\x01\x1bf\x1bF\x1bf\x1bfx", "show ip routex"),
            ("show ip route\x01\x1b[1;5Cx", "showx ip route"),
            ("show ip route\x01\x1bd", " ip route"),
            ("show ip route\x01\x1bd\x1bDx", "x route"),
            ("show ip route\x1b\x7f", "show ip "),
            ("show ip route\x1b\x08x", "show ip x"),
            ("e\u0301a\x02\x02\x7f", "\u0301a"),
            ("caf\ufffd", "caf\ufffd"),
            ('description "what?"', 'description "what?"'),
            ("! what?", "! what?"),
            ("a\x16?b", "a?b"),
            ("\tip address", "ip address"),
            ("  \tip address", "  ip address"),
            ("a\x1b[5~\x1b[15~\x9bb", "ab"),
        ],
    )
    def test_edits(self, typed, line):
        typist = Typist()
        typist.type(typed)
        assert typist.screen.row == f"h#{line}".rstrip()
        assert typist.line("") == line

    def test_echoes_exactly_what_is_typed(self):
        typist = Typist(columns=40)
        line = 'description "' + "a long line, 日本語 too " * 30 + '"'
        for start in range(0, len(line), 7):
            typist.type(line[start : start + 7])
        assert typist.written == "h#" + line

    def test_an_empty_line_is_only_an_enter(self):
        typist = Typist()
        assert typist.type("\n") == Event(Act.RUN)
        assert typist.written == "h#\r\n"

    def test_keeps_what_is_typed_ahead(self):
        typist = Typist()
        assert typist.type("one\rtwo\r") == Event(Act.RUN, "one")
        assert typist.written == "h#one\r\n"
        typist._show(typist.editor.begin("h#"))
        assert typist.type("") == Event(Act.RUN, "two")
        assert typist.written == "h#one\r\nh#two\r\n"

    @pytest.mark.parametrize(
        ("typed", "event"),
        [
            ("sh?", Event(Act.HELP, "sh")),
            ("show\x02?", Event(Act.HELP, "sho")),
            ("sh\t", Event(Act.COMPLETE, "sh")),
            ("show\x1a", Event(Act.LEAVE, "show")),
            ("show\x03", Event(Act.DISCARD)),
            ("\x04", Event(Act.CLOSE)),
            ("a\x7f\x04", Event(Act.CLOSE)),
        ],
    )
    def test_events(self, typed, event):
        assert Typist().type(typed) == event

    def test_completion_replaces_what_stands_before_the_cursor(self):
        typist = Typist()
        typist.type("SH x\x02\x02")
        typist._show(typist.editor.complete(Completion(2, "show version")))
        assert typist.screen.row == "h#show version x"
        assert typist.line("!") == "show version! x"

    def test_the_line_is_shown_again(self):
        typist = Typist()
        typist.type("shw\x02")
        typist._show("\r\n" + typist.editor.redraw())
        assert typist.line("o") == "show"
        assert typist.screen.text[-2] == "h#show"

    def test_ctrl_l_shows_the_line_again(self):
        typist = Typist()
        assert typist.line("shw\x02\x0co") == "show"
        assert typist.screen.text == ["h#shw", "h#show", ""]

    def test_history(self):
        typist = Typist(history=("one", "two"))
        typist.type(f"draft{UP}")
        assert typist.screen.row == "h#two"
        typist.type("\x10\x10\x10")
        assert typist.screen.row == "h#one"
        typist.type(f"\x0e{DOWN}{DOWN}")
        assert typist.screen.row == "h#draft"
        assert typist.line(f"{UP}!") == "two!"
        typist.editor.begin("h#", ("one", "two", "two!"))
        assert typist.line(UP) == "two!"

    def test_a_line_that_was_pasted_elsewhere_is_shown_without_its_tabs(self):
        typist = Typist(history=("show\tversion",))
        assert typist.line(UP) == "show version"

    def test_without_a_history_the_line_stays(self):
        typist = Typist()
        assert typist.line(f"draft{UP}{DOWN}") == "draft"

    def test_a_line_that_is_too_long_is_refused_once_and_kept_nowhere(self):
        typist = Typist()
        for _ in range(256):
            assert typist.type("x" * 4096) is None
        assert len(typist.editor._text) <= LINE_LIMIT
        assert len(typist.editor._keys._ahead) <= 4096
        assert len(typist.written) <= LINE_LIMIT + 2
        assert typist.type("?\t\x7f\r") == Event(Act.REFUSE)
        typist.editor.begin("h#")
        assert typist.line("show version") == "show version"

    def test_the_longest_line_is_taken(self):
        assert Typist().line("x" * LINE_LIMIT) == "x" * LINE_LIMIT

    def test_a_line_one_longer_is_not(self):
        assert Typist().type("x" * (LINE_LIMIT + 1) + "\r") == Event(Act.REFUSE)

    def test_a_wide_line_edited_in_its_middle_is_shown_again_in_one_row(self):
        typist = Typist(columns=20)
        typist.type("0123456789" * 5 + "\x02" * 25)
        typist._show("\r\n" + typist.editor.redraw())
        check_row(typist.screen, "h#" + "0123456789" * 2 + "01234", "56789" + "0123456789" * 2)
        typist.type("x")
        check_row(typist.screen, "h#" + "0123456789" * 2 + "01234x", "56789" + "0123456789" * 2)

    def test_a_line_that_is_too_long_can_be_thrown_away(self):
        assert Typist().type("x" * (LINE_LIMIT + 1) + "\x03") == Event(Act.DISCARD)

    @pytest.mark.parametrize("joined", ["\U0001f469\u200d\U0001f469", "\u260e\ufe0f", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3"])
    def test_joined_characters_are_gone_over_one_by_one_as_the_terminal_shows_them(self, joined):
        typist = Typist()
        typist.type(f"a{joined}b{HOME}x")
        check_row(typist.screen, "h#x", f"a{joined}b")

    @pytest.mark.parametrize("columns", [20, 33, 80])
    @pytest.mark.parametrize("seed", range(20))
    def test_the_screen_shows_what_the_line_is(self, columns, seed):
        dice = random.Random(seed)
        typist = Typist(columns, history=("show version", "日本" * 30))
        text, at = "", 0
        for _ in range(200):
            key = dice.choice(["a", "bc ", "日", LEFT, LEFT, RIGHT, HOME, END, "\x7f", "\x04" if text else "x", "\x17", "\x0b"])
            typist.type(key)
            text, at = model(text, at, key)
            check_row(typist.screen, "h#" + text[:at], text[at:])
        assert typist.line("") == text


def model(text: str, at: int, key: str) -> tuple[str, int]:
    """What a key does to a line, written down without a thought of terminals."""
    word = at
    while word and text[word - 1] == " ":
        word -= 1
    while word and text[word - 1] != " ":
        word -= 1
    return {
        LEFT: (text, max(at - 1, 0)),
        RIGHT: (text, min(at + 1, len(text))),
        HOME: (text, 0),
        END: (text, len(text)),
        "\x7f": (text[: max(at - 1, 0)] + text[at:], max(at - 1, 0)),
        "\x04": (text[:at] + text[at + 1 :], at),
        "\x17": (text[:word] + text[at:], word),
        "\x0b": (text[:at], at),
    }.get(key, (text[:at] + key + text[at:], at + len(key)))


def split_cells(row: str, column: int) -> tuple[str, str]:
    """What stands before and from a column on."""
    taken = 0
    for index, character in enumerate(row):
        if taken >= column:
            return row[:index], row[index:]
        taken += wcwidth(character)
    return row.ljust(len(row) + column - taken), ""


def check_row(screen: Screen, head: str, tail: str) -> None:
    """The cursor's row shows what stands before and behind the cursor, all of it where there is room, else with `$`."""
    before, after = split_cells(screen.row, screen.column)
    if sum(map(cells, head)) < screen.columns - 2:
        assert before == head
    assert head.endswith(before.removeprefix("$"))
    assert after == tail.rstrip() or (after.endswith("$") and tail.startswith(after[:-1]))


@pytest.mark.parametrize(("head", "free"), [("show ", False), ('name "a', True), ('name "a"', False), (" ! note", True)])
def test_free_text(head, free):
    assert is_free_text(head) is free
