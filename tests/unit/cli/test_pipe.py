"""What stands behind a bar: how a line is cut, what each filter leaves, what `?` and TAB say there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.cli import pipe
from hsadc.cli.pipe import MOST_PIPES, read_pipeline, split_pipes
from hsadc.cli.search import LONGEST
from hsadc.cli.session import Session
from hsadc.cli.shell import Completion, Login
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.match import match_in
from tests.unit.config.memory import FULL, MemoryDataplane, adc, configure

ROOTS = load_grammar().roots
EXEC = [ROOTS["exec"]]
LINES = (
    'hostname "edge"',
    'slb server-pool "p"',
    "  load-balance least-connection",
    '  real-server "r" port 8080',
    "exit",
    'slb server-pool "empty"',
    "exit",
    'slb virtual-server "v" type http id 1',
    '  server-pool "p"',
    "exit",
)


@pytest.fixture
def session(tmp_path):
    device = adc(tmp_path, MemoryDataplane())
    configure(device, FULL)
    return Session(device)


def through(text, lines=LINES):
    return list(read_pipeline(ROOTS["pipe"], split_pipes(EXEC, f"show version | {text}")[1:]).filter(lines))


def shown(session, line):
    reply = session.run(line)
    assert reply.ok, reply.lines
    return list(reply.lines)


def refused(session, line):
    reply = session.run(line)
    assert not reply.ok
    return list(reply.lines)


class TestSplit:
    @pytest.mark.parametrize(
        ("line", "parts"),
        [
            ("show version", ["show version"]),
            ("show version | count", ["show version", "count"]),
            ("sh ver | inc a | count", ["sh ver", "inc a", "count"]),
            ("show version |", ["show version", ""]),
            ("show version|count", ["show version", "count"]),
            ("show version |count", ["show version", "count"]),
            ("show version| count | inc x", ["show version", "count", "inc x"]),
            ("show version | inc a|b", ["show version", "inc a|b"]),
            ('show version | inc "a | b" | count', ["show version", 'inc "a | b"', "count"]),
            ('show version | inc "a | b', ["show version", 'inc "a | b']),
            ('show tunnel gre "a | b" | count', ['show tunnel gre "a | b"', "count"]),
            ("show tunnel gre a|b", ["show tunnel gre a|b"]),
            ("show tunnel gre a|b | count", ["show tunnel gre a|b", "count"]),
            ("show tunnel gre |count x", ["show tunnel gre", "count x"]),
            ("save before | after", ["save before | after"]),
            ("configure | count", ["configure | count"]),
            ("nonsense | count", ["nonsense | count"]),
            ("| count", ["| count"]),
            ("|", ["|"]),
        ],
    )
    def test_in_exec_mode(self, line, parts):
        assert [part.strip() for part in split_pipes(EXEC, line)] == parts

    def test_in_a_block_descriptions_hold_bars_and_do_has_pipes(self):
        modes = [ROOTS["gre_tunnel"], ROOTS["config"], ROOTS["exec"]]
        assert len(split_pipes(modes, "description a | include b")) == 1
        assert len(split_pipes(modes, "do show version | include b")) == 2
        assert len(split_pipes(modes, "show version | include b")) == 2

    @pytest.mark.parametrize("line", ["|" * 60000, "x " + "| " * 30000, "show " + "|" * 60000, "save " + "a | b|c " * 9000])
    def test_a_line_full_of_bars_is_looked_up_a_few_times_and_not_at_each_bar(self, line, monkeypatch):
        looked_up = []
        monkeypatch.setattr(pipe, "match_in", lambda modes, text, read: looked_up.append(text) or match_in(modes, text, read))
        assert split_pipes(EXEC, line) == (line,)
        assert len(looked_up) <= 3

    @given(st.lists(st.sampled_from(["show", "version", "|", " ", '"', "a", "\\", "\t", "include", "隧"])).map("".join))
    def test_every_part_stands_where_it_stood(self, line):
        for part in split_pipes(EXEC, line):
            text = part.lstrip()
            assert line[len(part) - len(text) :].startswith(text)


class TestFilters:
    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("include server-pool", [1, 5, 7 + 1]),
            ("include ^slb", [1, 5, 7]),
            ('include ^  load|"v"', [2, 7]),
            ("include SLB", []),
            ("include (?i)SLB", [1, 5, 7]),
            ('include "real-server \\"r\\""', [3]),
            ("exclude ^ |exit", [0, 1, 5, 7]),
            ("begin virtual", [7, 8, 9]),
            ("begin nothing", []),
            ("section virtual", [7, 8, 9]),
            ("section 8080", [1, 2, 3, 4]),
            ("section empty", [5, 6]),
            ("section hostname", [0]),
            ("section pool | exclude exit | include slb", [1, 5, 7]),
        ],
    )
    def test_what_is_left(self, text, left):
        assert through(text) == [LINES[n] for n in left]

    @pytest.mark.parametrize(
        ("text", "count"), [("count", 10), ("count exit", 3), ("include slb | count", 3), ("count | count", 1)]
    )
    def test_count(self, text, count):
        assert through(text) == [f"Count: {count} lines"]

    def test_an_expression_that_takes_others_years_takes_no_time(self):
        assert through("include (x+x+)+y", ["x" * 60000]) == []
        assert through("include (.*)*=(.*)*;$", ["x" * 60000]) == []

    def test_chinese(self, session):
        assert shown(session, "show running-config | include 上联.uplink") == ['  description "上联 uplink"']


class TestOrder:
    @pytest.mark.parametrize(
        ("line", "below", "why"),
        [
            ("show version | incl", "", "incomplete command"),
            ("show version | foo", "foo", "unrecognized keyword foo"),
            ("show version | includ x | incude y", "incude", "unrecognized keyword incude, did you mean 'include'?"),
            ("show version |", "", "incomplete command"),
            ("show version | | count", "", "incomplete command"),
            ("show version | include (a", "(a", "this is not a regular expression: missing ): (a"),
            ("show version | include a**", "a**", "this is not a regular expression: bad repetition operator: **"),
            ("show version | include (?=a)", "(?=a)", "this is not a regular expression: invalid perl operator: (?="),
            ("show version | redirect x | count", "count", "nothing can follow redirect"),
            ("show version | refresh 2 | count", "count", "nothing can follow refresh"),
            ("show version | refresh 0", "0", "0 is out of range, it must be 1 to 86400"),
            ("show version | json | count", "count", "only redirect can follow json"),
            ("show version | json | refresh 2", "refresh", "only redirect can follow json"),
            ("show version | count | json", "json", "json must be the first behind the command"),
            ("show version" + " | count" * 17, "count", "at most 16 pipes are possible"),
            ("show interface 隧 | json", "隧", "unrecognized keyword 隧"),
        ],
    )
    def test_the_caret_stands_below_what_is_wrong(self, session, line, below, why):
        caret, *_ = refused(session, line)
        margin, _, said = caret.partition("^-----")
        assert said == why
        at = line.rindex(below) if below else len(margin) - len("edge#")
        assert len(margin) == len("edge#") + at

    def test_an_expression_that_is_too_long(self, session):
        (caret, _) = refused(session, f"show version | include {'a' * (LONGEST + 1)}")
        assert caret.endswith(f"^-----the expression has {LONGEST + 1} characters, at most {LONGEST} are possible")

    def test_a_line_full_of_pipes_takes_no_memory(self, session):
        parts = split_pipes(EXEC, "show version" + " | count" * 7000)
        assert len(parts) == 1 + MOST_PIPES + 1
        assert shown(session, "show version" + " | count" * MOST_PIPES) == ["Count: 1 lines"]

    def test_nothing_is_done_before_the_whole_line_is_right(self, session):
        batch = Session(session.device, Login(batch=True))
        batch.run("configure")
        batch.run("hostname other")
        refused(batch, "show version | foo")
        assert session.device.running.hostname == "edge"


class TestRedirect:
    def test_lines_or_data_go_to_a_file_that_is_replaced(self, session, tmp_path):
        (file,) = shown(session, "show running-config | include slb | redirect 配置.txt")
        assert file == '6 lines written to file "配置.txt"'
        assert (tmp_path / "files" / "配置.txt").read_text().startswith('slb real-server "r"\n')
        shown(session, "show version | json | redirect 配置.txt")
        assert json.loads((tmp_path / "files" / "配置.txt").read_text())["version"]

    @pytest.mark.parametrize("name", ["../x", "/etc/x", ".x"])
    def test_only_into_the_files_of_the_operators(self, session, name, tmp_path):
        assert refused(session, f"show version | redirect {name}")[0].startswith(f'% Error: file "{name}": ')
        assert not (tmp_path / "files").exists()


class TestRefresh:
    def test_the_terminal_is_told(self, session):
        assert session.run("show version | refresh 2").refresh_s == 2
        assert session.run("show version | count | refresh 86400").refresh_s == 86400
        assert session.run("show version | count").refresh_s == 0
        assert session.run("show slb virtual-server x | refresh 2").refresh_s == 0

    def test_a_batch_has_no_keys(self, session):
        batch = Session(session.device, Login(batch=True))
        assert refused(batch, "show version | refresh 2") == [
            "% Error: refresh: it ends when a key is pressed, so it needs a terminal"
        ]


ALL = ["begin", "count", "exclude", "include", "json", "redirect", "refresh", "section"]


class TestWhileTyping:
    @pytest.mark.parametrize("line", ["show version | ", "show version |", "show version | count | ", "show version|"])
    def test_what_may_stand_behind_a_bar(self, session, line):
        assert [c.word for c in session.choices(line)] == ALL
        assert session.help(line)[0] == "  begin     From the first line that matches"

    def test_half_typed(self, session):
        assert session.help("show version | inc") == ["include"]
        assert session.help("show version|re") == ["redirect  refresh"]
        assert session.complete("show version | inc") == Completion(3, "include ")
        assert session.complete("show version|inc") == Completion(3, "include ")
        assert session.help("show version | count ") == [
            "  <cr>",
            "  REGEX  Regular expression, case counts; in quotes when ` | ` is part of it",
        ]

    @pytest.mark.parametrize(
        ("line", "index"),
        [
            ("show version | ", None),
            ("show version |", None),
            ("show version|inc", None),
            ("show version | inc x", None),
            ("show version | xyz", 15),
            ("show version | inc x | xyz ", 23),
            ("show verzion | inc x", 5),
        ],
    )
    def test_red(self, session, line, index):
        assert session.wrong_from(line) == index
