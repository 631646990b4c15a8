from __future__ import annotations

import asyncio
from collections import deque

import pytest

from hsadc.cli.batch import LINE_LIMIT
from hsadc.cli.line import AGAIN, MORE, Pager, printable, serve_terminal

UP, LEFT = "\x1b[A", "\x1b[D"


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


class Watched(Wire):
    """A terminal whose operator types the second time when he sees something, and hangs up where that is nothing."""

    def __init__(self, typed: str, *, at: str, then: str) -> None:
        super().__init__(typed)
        self.at, self.then = at, then

    async def read(self) -> str:
        if self.typed:
            return self.typed.popleft()
        if self.at not in self.written:
            return await asyncio.Future()
        then, self.then = self.then, ""
        return then


def serve(shell, *typed: str, rows: int = 5) -> str:
    wire = Wire(*typed, rows=rows)
    asyncio.run(serve_terminal(shell, wire))
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

    @pytest.mark.parametrize("typed", [["\0" * 9] * 99, ["?" * 99], ["x" + "\t" * 99], ["show lines 999\r" + " " * 99]])
    def test_what_arrives_without_end_does_not_keep_others_waiting(self, make_shell, typed):
        async def both() -> int:
            session = asyncio.create_task(serve_terminal(make_shell(), Wire(*typed)))
            turns = 0
            while not session.done():
                await asyncio.sleep(0)
                turns += 1
            await session
            return turns

        assert asyncio.run(both()) >= 99

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

    def test_again_and_again_until_a_key_is_pressed(self, make_shell):
        class Watched(Wire):
            async def read(self) -> str:
                if self.written.count("look") == 3 and not self.typed:
                    self.typed.extend(["xex", "it\r"])
                return await super().read()

        shell, wire = make_shell(), Watched("watch 0.001\r", silent=True)
        asyncio.run(serve_terminal(shell, wire))
        gone = AGAIN + "\b" * len(AGAIN) + " " * len(AGAIN) + "\b" * len(AGAIN)
        assert wire.written.removeprefix("hsadc#watch 0.001\r\n").removesuffix("hsadc#exit\r\n") == "".join(
            f"look {n}\r\n{gone}" for n in (1, 2, 3)
        )
        assert shell.ran == ["watch 0.001", "watch 0.001", "watch 0.001", "exit"]
        assert shell.columns == 80

    def test_who_watches_is_not_idle_and_may_hang_up(self, make_shell):
        class Gone(Wire):
            async def read(self) -> str:
                await asyncio.sleep(0)
                return await super().read() if self.typed or self.written.count("look") == 9 else await asyncio.Future()

        shell, wire = make_shell(), Gone("watch 0.001\r")
        asyncio.run(serve_terminal(shell, wire, idle_timeout_s=0.0001))
        assert len(shell.ran) == 9

    def test_a_command_goes_on_by_itself(self, make_shell):
        wire = Watched("live 2\r", at="the end", then="exit\r")
        asyncio.run(serve_terminal(make_shell(), wire))
        assert wire.written == "hsadc#live 2\r\nbegun\r\npacket 1\r\npacket 0\r\nthe end\r\nhsadc#exit\r\n"

    @pytest.mark.parametrize("key", ["x", "\x03", "\r"])
    def test_a_command_that_goes_on_is_ended_by_a_key(self, make_shell, key):
        shell, wire = make_shell(), Watched("live 999999\r", at="packet 999990", then=f"{key}exit\r")
        asyncio.run(serve_terminal(shell, wire))
        assert wire.written.endswith("the end\r\nhsadc#exit\r\n")
        assert shell.ran == ["live 999999", "exit"]

    def test_who_goes_away_while_a_command_goes_on_ends_it(self, make_shell):
        shell, wire = make_shell(), Watched("live 999999\r", at="packet 999990", then="")
        asyncio.run(serve_terminal(shell, wire))
        assert shell.ended.wait(5)
        assert shell.live > 999000

    def test_nothing_but_text_is_ever_written(self, make_shell):
        written = serve(make_shell(), f"show escape\r{UP}{LEFT}x\x03\x9b1m\x1b[2J\x07?\r", "show lines 9\r", "\t", "exit\r")
        assert set(written) & {chr(n) for n in (*range(0x20), *range(0x7F, 0xA0))} <= {"\b", "\r", "\n"}

    def test_a_silent_operator_is_told_and_left(self, make_shell):
        shell, wire = make_shell(), Wire("show ver", silent=True)
        asyncio.run(serve_terminal(shell, wire, idle_timeout_s=0.01))
        assert wire.written == "hsadc#show ver\r\n% Closed: nothing was typed for 0.01 seconds\r\n"
        assert shell.ran == []

    @pytest.mark.parametrize("typed", [["exit\r"], ["show ver"], ["crash\r"]], ids=["logs out", "hangs up", "a bug"])
    def test_the_session_is_closed_however_it_ends(self, make_shell, typed):
        shell = make_shell()
        try:
            serve(shell, *typed)
        except RuntimeError:
            assert typed == ["crash\r"]
        assert shell.ended.wait(10)

    def test_a_line_that_runs_when_the_operator_hangs_up_ends_before_the_session_does(self, make_shell):
        shell = make_shell()

        async def cut() -> None:
            task = asyncio.create_task(serve_terminal(shell, Wire("wait\r")))
            await asyncio.to_thread(shell.started.wait)
            task.cancel()
            await asyncio.wait([task])

        asyncio.run(cut())
        assert not shell.ended.is_set()
        shell.may_go_on.set()
        assert shell.ended.wait(10)

    def test_a_slow_command_does_not_stop_other_sessions(self, make_shell):
        slow, quick = make_shell(), make_shell()

        async def both() -> str:
            wire, other = Wire("wait\r"), Wire("show version\r")
            first = asyncio.create_task(serve_terminal(slow, wire))
            await asyncio.to_thread(slow.started.wait)
            await serve_terminal(quick, other)
            while wire.written != "hsadc#wait\r\n":  # the echo of a slow line does not wait for its answer
                await asyncio.sleep(0)
            slow.may_go_on.set()
            await first
            assert wire.written == "hsadc#wait\r\nwaited\r\nhsadc#"
            return other.written

        assert asyncio.run(both()) == "hsadc#show version\r\nhsadc 1.0\r\nhsadc#"


def serve_error(word: str) -> str:
    margin = " " * len("hsadc(config)#")
    return f"{margin}^-----unrecognized keyword {word}\r\n% Invalid input detected at '^' marker.\r\nhsadc(config)#"


class TestSecret:
    def test_nothing_of_it_is_shown(self, make_shell):
        shell = make_shell()
        written = serve(shell, "secret\r", "ses", "ame\r", "show version\r", "exit\r")
        assert shell.answers == ["sesame"]
        assert written.startswith("hsadc#secret\r\none is needed\r\nSecret: \r\nopen\r\nhsadc#show version\r\n")

    def test_what_was_typed_ahead_answers_it(self, make_shell):
        shell = make_shell()
        written = serve(shell, "secret\rwrong\rsesame\rshow version\rexit\r")
        assert (shell.answers, shell.ran) == (["wrong", "sesame"], ["secret", "show version", "exit"])
        assert "Secret: \r\n% Error: wrong\r\nAgain: \r\nopen\r\n" in written
        assert "sesame" not in written

    @pytest.mark.parametrize(
        ("typed", "answer"),
        [
            ("sesama\x7fe\r", "sesame"),
            ("nonsense\x15sesame\r", "sesame"),
            ("ses" + UP + LEFT + "\tame\r", "sesame"),
            ("a?b\r\n\x03", "a?b"),
            ("sesame\x1a", "sesame"),
            ("a\x04b\r\x03", "ab"),
            ("\x7f\x7f\r\x03", ""),
            ("日本\x7f\r\x03", "日"),
        ],
    )
    def test_keys(self, make_shell, typed, answer):
        shell = make_shell()
        serve(shell, "secret\r", *typed, "exit\r")
        assert shell.answers[0] == answer

    @pytest.mark.parametrize("key", ["\x03", "ses\x03", "\x04"])
    def test_it_can_be_abandoned(self, make_shell, key):
        shell = make_shell()
        written = serve(shell, "secret\r", key, "show version\r", "exit\r")
        assert (shell.answers, shell.ran) == ([None], ["secret", "show version", "exit"])
        assert "Secret: \r\n% Error: nothing was told\r\n" in written

    def test_who_hangs_up_has_not_answered(self, make_shell):
        shell = make_shell()
        serve(shell, "secret\r", "sesa")
        assert shell.answers == []
        assert shell.ended.wait(5)

    def test_it_is_not_waited_for_for_ever(self, make_shell):
        shell, wire = make_shell(), Wire("secret\r", silent=True)
        asyncio.run(serve_terminal(shell, wire, 0.2))
        assert wire.written.endswith("Secret: \r\n% Closed: nothing was typed for 0.2 seconds\r\n")

    def test_a_line_without_end_takes_no_memory(self, make_shell):
        shell = make_shell()
        serve(shell, "secret\r", *["x" * 4096] * 100, "\r\x03", "exit\r")
        assert len(shell.answers[0]) == LINE_LIMIT + 1
