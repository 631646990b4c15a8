"""Real key strokes through prompt_toolkit's pipe; what is printed is kept by an output that draws nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from hsadc.cli import console
from hsadc.cli.console import run_console
from hsadc.cli.drawing import completer, lexer, prompt
from hsadc.cli.line import AGAIN, MORE
from hsadc.cli.remote import ControlError
from hsadc.cli.session import Session
from hsadc.cli.shell import Reply
from tests.unit.config.memory import adc


class Paper(DummyOutput):
    """Keeps what is printed; the prompt itself is drawn elsewhere."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.printed = ""

    def write(self, data: str) -> None:
        self.printed += data

    def get_size(self) -> Size:
        return Size(rows=self.rows, columns=80)


@pytest.fixture
def type_at() -> Callable[..., str]:
    """Types at the console of a shell, and gives what was printed; Ctrl-D at the end of what is typed leaves it."""

    def type_keys(shell, keys: str, rows: int = 24) -> str:
        paper = Paper(rows)
        with create_pipe_input() as typed, create_app_session(input=typed, output=paper):
            typed.send_text(keys + "\x04")
            run_console(shell)
        return paper.printed

    return type_keys


def test_lines_are_carried_out(type_at, make_shell):
    shell = make_shell()
    assert "hsadc 1.0\n" in type_at(shell, "show version\r\rexit\rnever\r")
    assert shell.ran == ["show version", "", "exit"]


def test_ctrl_d_leaves_and_ctrl_c_throws_the_line_away(type_at, make_shell):
    shell = make_shell()
    type_at(shell, "nonsense\x03show version\r\x04never\r")
    assert shell.ran == ["show version"]


def test_ctrl_z_runs_the_line_and_leaves(type_at, make_shell):
    shell = make_shell()
    type_at(shell, "configure\rhostname edge\x1aconfigure\r\x1ashow version\r")
    assert shell.ran == ["configure", "hostname edge", "configure", "show version"]
    assert (shell.mode, shell.committed) == ("exec", "edge")


def test_tab_completes(type_at, make_shell):
    shell = make_shell()
    type_at(shell, "conf\t\rhost\tedge\r")
    assert shell.ran == ["configure ", "hostname edge"]


def test_help_is_printed_and_the_line_stays(type_at, make_shell):
    shell = make_shell()
    assert "hsadc#sh?\n  show  Show something\n" in type_at(shell, "sh?ow version\r")
    assert shell.ran == ["show version"]


@pytest.mark.parametrize("line", ['description "what?"', "! what?"])
def test_a_question_mark_in_free_text_is_text(type_at, make_shell, line):
    shell = make_shell()
    type_at(shell, line + "\r")
    assert shell.ran == [line]


def test_ctrl_v_makes_a_question_mark_text(type_at, make_shell):
    shell = make_shell()
    type_at(shell, "a\x16?b\r")
    assert shell.ran == ["a?b"]


def pasted(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"])
def test_pasted_lines_are_carried_out_in_order(type_at, make_shell, newline):
    shell = make_shell()
    lines = ["configure", "hostname edge", "! what?", "", "a\tb ?", *(f"nonsense {n}" for n in range(1000))]
    printed = type_at(shell, pasted(newline.join([*lines, "sh"])) + "ow version\r")
    assert shell.ran == [*lines, "show version"]
    assert "edge(config)#nonsense 999\n" in printed


def test_what_is_pasted_into_a_line_stays_there(type_at, make_shell):
    shell = make_shell()
    type_at(shell, "show " + pasted("ver") + "sion\r")
    assert shell.ran == ["show version"]


def test_pasted_lines_behind_the_one_that_leaves_are_not_carried_out(type_at, make_shell):
    shell = make_shell()
    type_at(shell, pasted("exit\nshow version\n"))
    assert shell.ran == ["exit"]


def test_ctrl_c_does_not_stop_the_line_at_work_but_what_was_pasted_behind_it(type_at, make_shell, monkeypatch):
    class Interrupted(ThreadPoolExecutor):
        def submit(self, call, *arguments):
            done = super().submit(call, *arguments)
            results = iter([KeyboardInterrupt(), done.result()])
            return Mock(result=Mock(side_effect=results))

    monkeypatch.setattr(console, "ThreadPoolExecutor", Interrupted)
    shell = make_shell()
    printed = type_at(shell, pasted("configure\nhostname a\nhostname b\n"))
    assert "% The command is still at work and cannot be stopped half way\n" in printed
    assert shell.ran == ["configure"]


def test_more(type_at, make_shell):
    shell = make_shell()
    printed = type_at(shell, "show lines 11\r \rqshow version\r", rows=5)
    assert printed.count(MORE) == 3
    assert "line 9\n" in printed
    assert "line 10\n" not in printed
    assert shell.ran == ["show lines 11", "show version"]


@pytest.mark.parametrize("key", ["Q", "\x03", "\x04"])
def test_more_can_be_left(type_at, make_shell, key):
    printed = type_at(make_shell(), f"show lines 11\r{key}show version\r", rows=5)
    assert "line 5\n" not in printed
    assert "hsadc 1.0\n" in printed


def test_paging_off(type_at, make_shell):
    shell = make_shell()
    shell.page_length = 0
    printed = type_at(shell, "show lines 3000\r", rows=5)
    assert printed.count("line ") == 3000
    assert MORE not in printed


def test_again_and_again_until_a_key_is_pressed(make_shell):
    paper = Paper(24)
    with create_pipe_input() as typed, create_app_session(input=typed, output=paper):

        class Watched(type(make_shell())):
            def run(self, line: str, columns: int = 0) -> Reply:
                if len(self.ran) == 2:
                    typed.send_text("xshow version\r\x04")
                return super().run(line, columns)

        shell = Watched()
        typed.send_text("watch 0.001\r")
        run_console(shell)
    assert shell.ran == ["watch 0.001", "watch 0.001", "watch 0.001", "show version"]
    assert f"look 3\n{AGAIN}" in paper.printed


@pytest.mark.parametrize("key", ["x", "\x03", "\r"])
def test_a_command_that_goes_on_until_a_key_is_pressed(make_shell, key):
    paper = Paper(24)
    with create_pipe_input() as typed, create_app_session(input=typed, output=paper):

        class Watched(type(make_shell())):
            def follow(self, *, stop: bool = False) -> Reply:
                if self.live == 90:
                    typed.send_text(f"{key}show version\r\x04")
                return super().follow(stop=stop)

        shell = Watched()
        typed.send_text("live 99\r")
        run_console(shell)
    assert shell.ran == ["live 99", "show version"]
    assert "packet 91\npacket 90\n" in paper.printed
    assert "packet 80\n" not in paper.printed
    assert "the end\n" in paper.printed


def test_a_command_that_ends_by_itself(make_shell):
    paper = Paper(24)
    with create_pipe_input() as typed, create_app_session(input=typed, output=paper):

        class Watched(type(make_shell())):
            def follow(self, *, stop: bool = False) -> Reply:
                reply = super().follow(stop=stop)
                if not reply.more:
                    typed.send_text("\x04")
                return reply

        typed.send_text("live 2\r")
        run_console(Watched())
    assert "begun\npacket 1\npacket 0\nthe end\n" in paper.printed


def test_nothing_printed_is_obeyed_by_the_terminal(type_at, make_shell):
    assert "a?[2Jb?c\n" in type_at(make_shell(), "show escape\r")


def test_lines_of_earlier_logins_are_recalled_and_passwords_not_even_of_this_one(make_shell):
    with create_pipe_input() as typed, create_app_session(input=typed, output=Paper(24)):

        class Typing(type(make_shell())):
            def run(self, line: str, columns: int = 0) -> Reply:
                typed.send_text("\x10\r" if line.startswith("pass") else "\x04")
                return super().run(line, columns)

        shell = Typing()
        shell.history = ["show version", "configure"]
        typed.send_text("password secret\r")
        run_console(shell)
    assert shell.ran == ["password secret", "configure"]


def test_a_lost_device_is_one_error_whatever_is_being_done(type_at, make_shell):
    class Lost(type(make_shell())):
        def lost(self, *_: object) -> object:
            raise ControlError("the device has stopped")

    for method, keys in (("run", "x\r"), ("help", "x?"), ("complete", "x\t"), ("wrong_from", "x\r")):
        shell = type("Gone", (Lost,), {method: Lost.lost})()
        with pytest.raises(ControlError, match=r"^the device has stopped$"):
            type_at(shell, keys)


def ask(query, otherwise):
    return query()


def test_the_menu_has_what_can_be_typed(make_shell):
    shell = make_shell()
    shell.run("configure")

    def menu(line: str) -> list[tuple[str, int, str]]:
        found = completer(ask, shell).get_completions(Document(line), CompleteEvent())
        return [(c.text, c.start_position, c.display_meta_text) for c in found]

    assert menu("e") == [("exit ", -1, "One mode up"), ("end ", -1, "To exec mode")]
    assert menu("hostname ") == []


def test_the_menu_behind_a_bar_replaces_only_what_stands_there(tmp_path):
    found = completer(ask, Session(adc(tmp_path))).get_completions(Document("show version|inc"), CompleteEvent())
    assert [(c.text, c.start_position) for c in found] == [("include ", -3)]


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("nonsense x", [("class:wrong", "nonsense x")]),
        ("show x", [("", "show x")]),
        ('show "a b" x', [("", "show "), ("class:name", '"a b"'), ("", " x")]),
        ('show "a', [("", "show "), ("class:name", '"a')]),
        ("", []),
    ],
)
def test_names_are_in_colour_and_what_is_wrong_is_red(make_shell, line, fragments):
    assert lexer(ask, make_shell()).lex_document(Document(line))(0) == fragments


def test_the_mode_is_in_colour(make_shell):
    shell = make_shell()
    assert prompt(shell) == [("class:host", "hsadc#")]
    shell.run("configure")
    assert prompt(shell) == [("class:host", "hsadc"), ("class:mode", "(config)#")]


def test_importing_it_does_not_import_prompt_toolkit_nor_ssh_asyncssh():
    code = "import sys, hsadc.cli.console, hsadc.cli.ssh; print({'prompt_toolkit', 'asyncssh'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


class TestSecret:
    def test_nothing_of_it_is_shown(self, type_at, make_shell):
        shell = make_shell()
        printed = type_at(shell, "secret\rses?\x7fame\rshow version\r")
        assert (shell.answers, shell.ran) == (["sesame"], ["secret", "show version"])
        assert "one is needed\nSecret: \nopen\n" in printed
        assert "sesame" not in printed

    def test_again_and_abandoned(self, type_at, make_shell):
        shell = make_shell()
        printed = type_at(shell, "secret\rwrong\r\x03show version\r")
        assert (shell.answers, shell.ran) == (["wrong", None], ["secret", "show version"])
        assert "Secret: \n% Error: wrong\nAgain: \n% Error: nothing was told\n" in printed

    def test_what_was_pasted_behind_it_answers_it(self, type_at, make_shell):
        shell = make_shell()
        printed = type_at(shell, "\x1b[200~secret\nsesame\nshow version\n\x1b[201~")
        assert (shell.answers, shell.ran) == (["sesame"], ["secret", "show version"])
        assert "sesame" not in printed

    def test_a_terminal_that_is_gone_has_not_answered(self, make_shell):
        shell, paper = make_shell(), Paper(24)
        with create_pipe_input() as typed, create_app_session(input=typed, output=paper):
            typed.send_text("secret\rsesa")
            typed.close()
            run_console(shell)
        assert shell.answers == [None]
