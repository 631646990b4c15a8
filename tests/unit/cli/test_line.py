"""Real key strokes in; what a terminal would show is worked out by a small one that knows text, `\\b`, CR, LF and wrapping."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import pytest
from wcwidth import wcwidth

from hsadc.cli.batch import LINE_LIMIT
from hsadc.cli.line import MORE, Act, Editor, Event, Key, Keys, Pager, cells, is_free_text, printable, serve_terminal
from hsadc.cli.shell import Completion

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
        self.editor = Editor(deque(history), columns)
        self.written = ""
        self.prompt = prompt
        self._show(self.editor.begin(prompt))

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


class TestKeys:
    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_are_the_same_however_they_arrive(self, size):
        typed = "abc\x1b[A\x1b[1;5D\x1bOH\x1b[3~?\x16?\x03déf\x1b[200~x\x1b[201~\r\n\r\0\n\x1bby\tz\r"
        keys = Keys()
        found: list[Key | str] = []
        for start in range(0, len(typed), size):
            keys.feed(typed[start : start + size])
            while (key := keys.next()) is not None:
                found += key if isinstance(key, str) else [key]
        assert found == [
            *"abc", Key.UP, Key.LEFT, Key.HOME, Key.DELETE, Key.HELP, "?", Key.INTERRUPT, *"déf", Key.UNKNOWN, "x", Key.UNKNOWN,
            Key.ENTER, Key.ENTER, Key.ENTER, Key.UNKNOWN, "y", Key.TAB, "z", Key.ENTER,
        ]  # fmt: skip

    def test_a_run_of_text_can_be_taken_apart(self):
        keys = Keys()
        keys.feed("ab")
        assert [keys.next(single=True), keys.next(single=True), keys.next(single=True)] == ["a", "b", None]

    def test_a_broken_sequence_does_not_swallow_enter(self):
        assert Typist().line("a\x1b") == "a"
        assert Typist().line("a\x1b[") == "a"
        assert Typist().line("a\x16") == "a"

    def test_an_endless_sequence_is_not_kept(self):
        keys = Keys()
        keys.feed("\x1b[" + "1" * 100)
        assert keys.next() is Key.UNKNOWN


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
            ("a\x00b\x07c\x14d", "abcd"),
            ("日本\x02中", "日中本"),
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
        typist.editor.begin("h#")
        assert typist.line(UP) == "two!"

    def test_history_keeps_no_blank_lines_no_repetitions_and_nothing_thrown_away(self):
        history: deque[str] = deque(maxlen=3)
        editor = Editor(history, 80)
        for typed in ("a\r", "\r", "  \r", "a\r", "b\x03", "c\x1a", "d\r", "e\r"):
            editor.begin("")
            editor.feed(typed)
            editor.advance()
        assert list(history) == ["c", "d", "e"]

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
    if cells(head) < screen.columns - 2:
        assert before == head
    assert head.endswith(before.removeprefix("$"))
    assert after == tail.rstrip() or (after.endswith("$") and tail.startswith(after[:-1]))


class TestPager:
    def test_cuts_pages(self):
        pager = Pager(["a", "b", "c"], 80)
        assert (pager.take(2), pager.left, pager.take(1), pager.left) == (["a", "b"], True, ["c"], False)

    def test_a_wide_line_takes_several_rows(self):
        pager = Pager(["a", "x" * 41, "b"], 20)
        assert (pager.take(3), pager.take(3), pager.take(3)) == (["a"], ["x" * 41], ["b"])

    def test_a_line_larger_than_the_page_is_shown_all_the_same(self):
        assert Pager(["日" * 100], 20).take(2) == ["日" * 100]


def test_nothing_that_a_terminal_obeys_is_shown():
    assert printable("a\tb\x1b[2J\x9bc\x00\rd\n") == "a       b?[2J?c??d?"


def test_cells():
    assert [cells("abc"), cells("日本"), cells("e\u0301"), cells("")] == [3, 4, 1, 0]


@pytest.mark.parametrize(("head", "free"), [("show ", False), ('name "a', True), ('name "a"', False), (" ! note", True)])
def test_free_text(head, free):
    assert is_free_text(head) is free


class Wire:
    """A terminal whose operator types what is in `typed`, piece by piece, and then hangs up."""

    def __init__(self, *typed: str, rows: int = 5, columns: int = 80, silent: bool = False) -> None:
        self.typed = deque(typed)
        self.rows, self.columns = rows, columns
        self.written = ""
        self.silent = silent

    async def read(self) -> str:
        if self.typed:
            return self.typed.popleft()
        return await asyncio.Future() if self.silent else ""

    async def write(self, text: str) -> None:
        self.written += text


def serve(shell, *typed: str, rows: int = 5) -> str:
    wire = Wire(*typed, rows=rows)
    asyncio.run(serve_terminal(shell, wire, deque()))
    return wire.written


class TestServeTerminal:
    def test_a_dialogue(self, make_shell):
        shell = make_shell()
        assert (
            serve(shell, "show version\r", "\r", "exit\r", "never\r")
            == "hsadc#show version\r\nhsadc 1.0\r\nhsadc#\r\nhsadc#exit\r\n"
        )
        assert shell.ran == ["show version", "", "exit"]

    def test_help_comes_without_enter_and_the_line_stays(self, make_shell):
        assert serve(make_shell(), "sh?ow version\rexit\r").startswith(
            "hsadc#sh?\r\n  show  Show something\r\nhsadc#show version\r\nhsadc 1.0\r\n"
        )

    def test_tab_completes_or_lists(self, make_shell):
        shell = make_shell()
        assert serve(shell, "sho\tversion\re\tconfigure\x15exit\r").startswith("hsadc#show version\r\nhsadc 1.0\r\nhsadc#exit ")
        assert serve(make_shell(), "configure\r", "e\tx\r").endswith(
            "#e\r\nexit  end\r\nhsadc(config)#ex\r\n" + serve_error("ex")
        )

    def test_ctrl_z_runs_the_line_and_leaves(self, make_shell):
        shell = make_shell()
        written = serve(shell, "configure\r", "hostname edge\x1a", "configure\r", "\x1a", "exit\r")
        assert shell.ran == ["configure", "hostname edge", "configure", "exit"]
        assert written.endswith("edge(config)#^Z\r\nedge#exit\r\n")

    def test_ctrl_c_throws_the_line_away(self, make_shell):
        shell = make_shell()
        assert serve(shell, "nonsense\x03exit\r") == "hsadc#nonsense^C\r\nhsadc#exit\r\n"
        assert shell.ran == ["exit"]

    def test_ctrl_d_leaves(self, make_shell):
        assert serve(make_shell(), "\x04exit\r") == "hsadc#\r\n"

    def test_a_line_that_is_too_long_gets_one_line(self, make_shell):
        shell = make_shell()
        written = serve(shell, *["x" * 4096] * 20, "\r", "exit\r")
        assert written.endswith(f"\r\n% Error: the line is longer than {LINE_LIMIT} characters\r\nhsadc#exit\r\n")
        assert shell.ran == ["exit"]

    def test_a_paste_is_carried_out_in_order(self, make_shell):
        shell = make_shell()
        lines = ["configure", *(f"hostname h{n}" for n in range(5000)), "end"]
        text = "\n".join(lines) + "\n"
        written = serve(shell, *(text[n : n + 4096] for n in range(0, len(text), 4096)))
        assert shell.ran == lines
        assert "h41(config)#hostname h42\r\nh42(config)#" in written

    def test_more(self, make_shell):
        gone = "\b" * len(MORE) + " " * len(MORE) + "\b" * len(MORE)
        written = serve(make_shell(), "show lines 11\r", " ", "\r", "q", "exit\r")
        assert written == (
            "hsadc#show lines 11\r\nline 1\r\nline 2\r\nline 3\r\nline 4\r\n"
            f"{MORE}{gone}line 5\r\nline 6\r\nline 7\r\nline 8\r\n{MORE}{gone}line 9\r\n{MORE}{gone}hsadc#exit\r\n"
        )

    def test_no_more_where_all_fits(self, make_shell):
        assert MORE not in serve(make_shell(), "show lines 4\rexit\r")

    @pytest.mark.parametrize("key", ["Q", "\x03", "\x04"])
    def test_more_can_be_left(self, make_shell, key):
        assert "line 5" not in serve(make_shell(), "show lines 11\r", key, "exit\r")

    def test_the_session_says_how_long_a_page_is(self, make_shell):
        shell = make_shell()
        shell.page_length = 0
        assert MORE not in serve(shell, "show lines 3000\rexit\r")
        shell = make_shell()
        shell.page_length = 3
        assert f"line 2\r\n{MORE}" in serve(shell, "show lines 11\rqexit\r")

    def test_nothing_but_text_is_ever_written(self, make_shell):
        written = serve(make_shell(), f"show escape\r{UP}{LEFT}x\x03\x9b1m\x1b[2J\x07?\r", "show lines 9\r", "\t", "exit\r")
        assert set(written) & {chr(n) for n in (*range(0x20), *range(0x7F, 0xA0))} <= {"\b", "\r", "\n"}

    def test_a_silent_operator_is_told_and_left(self, make_shell):
        shell, wire = make_shell(), Wire("show ver", silent=True)
        asyncio.run(serve_terminal(shell, wire, deque(), idle_timeout_s=0.01))
        assert wire.written == "hsadc#show ver\r\n% Closed: nothing was typed for 0.01 seconds\r\n"
        assert shell.ran == []

    def test_a_slow_command_does_not_stop_other_sessions(self, make_shell):
        slow, quick = make_shell(), make_shell()

        async def both() -> str:
            wire, other = Wire("wait\r"), Wire("show version\r")
            first = asyncio.create_task(serve_terminal(slow, wire, deque()))
            await asyncio.to_thread(slow.started.wait)
            await serve_terminal(quick, other, deque())
            assert wire.written == "hsadc#wait\r\n"
            slow.may_go_on.set()
            await first
            assert wire.written == "hsadc#wait\r\nwaited\r\nhsadc#"
            return other.written

        assert asyncio.run(both()) == "hsadc#show version\r\nhsadc 1.0\r\nhsadc#"


def serve_error(word: str) -> str:
    margin = " " * len("hsadc(config)#")
    return f"{margin}^-----unrecognized keyword {word}\r\n% Invalid input detected at '^' marker.\r\nhsadc(config)#"
