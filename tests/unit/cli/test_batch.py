from __future__ import annotations

import io
import signal

import pytest

from hsadc.cli.batch import LINE_LIMIT, run_batch
from hsadc.cli.shell import Login


def run(shell, *lines: str) -> tuple[int, list[str]]:
    printed: list[str] = []
    return run_batch(shell, lines, printed.append), printed


def test_prints_only_what_the_lines_print(make_shell):
    shell = make_shell()
    assert run(shell, "configure", "", "hostname edge", "show version", "end") == (0, ["hsadc 1.0"])
    assert shell.ran == ["configure", "", "hostname edge", "show version", "end"]


def test_stops_at_the_first_error_and_names_the_line(make_shell):
    shell = make_shell()
    status, printed = run(shell, "configure", "", "  hostnam edge", "hostname never")
    assert status == 1
    assert printed[0] == "line 3: hostnam edge"
    assert printed[1] == "hsadc(config)#  hostnam edge"
    assert printed[2].index("^") == printed[1].index("hostnam")
    assert printed[3:] == ["% Invalid input detected at '^' marker."]
    assert "hostname never" not in shell.ran


def test_commits_at_the_end(make_shell):
    shell = make_shell(Login(batch=True))
    assert run(shell, "configure", "hostname edge")[0] == 0
    assert shell.committed == "edge"


def test_commits_also_after_logging_out(make_shell):
    shell = make_shell(Login(batch=True))
    assert run(shell, "configure", "hostname edge", "exit", "exit", "show version") == (0, [])
    assert shell.committed == "edge"
    assert shell.ran[-1] == "exit"


def test_commits_nothing_after_an_error(make_shell):
    shell = make_shell(Login(batch=True))
    assert run(shell, "configure", "hostname edge", "nonsense")[0] == 1
    assert shell.committed == "hsadc"


def test_a_refused_commit_is_an_error(make_shell):
    assert run(make_shell(Login(batch=True)), "configure", "hostname refused") == (1, ["% Error: this name is refused"])


def test_reads_a_file_with_any_line_ends_and_a_byte_order_mark(make_shell):
    shell = make_shell()
    assert run_batch(shell, io.StringIO("\ufeffconfigure\r\nhostname edge\n\r\nend", newline=""), [].append) == 0
    assert shell.ran == ["configure", "hostname edge", "", "end"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("show\0version", "this is not text (it has the control character 0x00)"),
        ("\x1f\x8b\x08 a gzip file", "this is not text (it has the control character 0x1f)"),
        ("hostname \x1b[2J", "this is not text (it has the control character 0x1b)"),
        ("x" * (LINE_LIMIT + 1), f"the line is longer than {LINE_LIMIT} characters"),
    ],
)
def test_refuses_what_is_no_line(make_shell, line, why):
    shell = make_shell()
    assert run(shell, "show version", line, "configure") == (1, ["hsadc 1.0", f"line 2: % Error: {why}"])
    assert shell.ran == ["show version"]


def test_takes_the_longest_line_and_tabs(make_shell):
    shell = make_shell()
    longest = "!" + "x" * (LINE_LIMIT - 1)
    run(shell, "show\tversion\r\n", longest)
    assert shell.ran == ["show\tversion", longest]


def test_a_command_that_goes_on_is_printed_as_it_goes(make_shell):
    shell = make_shell()
    assert run(shell, "live 2", "show version") == (0, ["begun", "packet 1", "packet 0", "the end", "hsadc 1.0"])


def test_a_command_that_fails_on_the_way_ends_the_batch_and_is_named(make_shell):
    status, printed = run(make_shell(), "live -1", "show version")
    assert (status, printed) == (1, ["begun", "line 1: live -1", "hsadc#live -1", "% Error: the device went down"])


def test_ctrl_c_brings_a_command_that_goes_on_to_its_end(make_shell):
    before, printed = signal.getsignal(signal.SIGINT), []

    def write(line: str) -> None:
        printed.append(line)
        if line == "packet 95":
            signal.raise_signal(signal.SIGINT)

    assert run_batch(make_shell(), ["live 99", "show version"], write) == 0
    assert printed == ["begun", "packet 98", "packet 97", "packet 96", "packet 95", "the end", "hsadc 1.0"]
    assert signal.getsignal(signal.SIGINT) is before
