"""What a session says while a line is being typed."""

from __future__ import annotations

import pytest

from hsadc.cli.session import Session
from hsadc.cli.shell import Choice, Completion, Login
from hsadc.errors import ApplyError
from tests.unit.config.memory import FULL, MemoryDataplane, adc, configure


@pytest.fixture
def device(tmp_path):
    return adc(tmp_path, MemoryDataplane())


@pytest.fixture
def session(device):
    return Session(device, Login("root"))


def run(session, *lines):
    for line in lines:
        assert session.run(line).ok, line


class TestHelp:
    def test_words_with_their_help(self, session):
        lines = session.help("")
        assert "  configure   Enter configuration mode" in lines
        assert lines == sorted(lines)

    def test_in_a_block_it_says_that_other_commands_work_too(self, session):
        assert "modes around" not in "".join(session.help(""))
        run(session, "configure", "interface tunnel1")
        assert session.help("")[-1] == "The commands of the modes around this one work here, too."
        assert session.help("tunnel ") == ["  erspan  ERSPAN tunnel", "  gre     GRE tunnel", "  vxlan   VXLAN tunnel"]

    def test_words_only_after_a_half_typed_one(self, session):
        assert session.help("s") == ["save  show"]
        assert session.help("show i") == ["interface  ip  ipv6"]

    def test_values_and_names_that_exist(self, session, device):
        configure(device, FULL)
        assert session.help("show tunnel gre ") == [
            '  "spare"  Name of a GRE tunnel',
            '  "隧道"   Name of a GRE tunnel',
            "  <cr>",
            "  WORD     Name of a GRE tunnel",
            "  |        Filter what is shown, or send it elsewhere",
        ]

    def test_a_device_of_the_machine(self, session):
        run(session, "configure", "interface ethernet0/0")
        assert [c.word for c in session.choices("device ")] == ['"br0"', '"eth0"', '"eth1"', "WORD"]

    @pytest.mark.parametrize("line", ["save before the cha", "save before "])
    def test_within_text_the_line_may_go_on_or_end(self, session, line):
        assert session.help(line) == ["  <cr>"]

    def test_a_wrong_word_before_it(self, session):
        assert session.help("shw int") == [
            "      ^-----unrecognized keyword shw, did you mean 'show'?",
            "% Invalid input detected at '^' marker.",
        ]

    def test_nothing_may_follow(self, session):
        assert session.help("show version x") == ["% Unrecognized command"]
        assert session.help("terminal length 5 ") == ["  <cr>"]

    def test_what_is_shown_can_be_piped(self, session):
        assert session.help("show version ") == ["  <cr>", "  |     Filter what is shown, or send it elsewhere"]
        assert session.help("show ip ") == ["  route  Routes"]
        run(session, "configure", "interface tunnel1")
        assert session.help("do show version ") == session.help("show version ")

    def test_of_the_modes_around_when_this_one_has_nothing(self, session):
        run(session, "configure", "tunnel gre x")
        assert session.help("show v") == ["version"]
        assert [c.word for c in session.choices("hostname ")] == ["WORD"]
        assert session.choices("xyz ") == []

    def test_names_that_cannot_be_read_end_nothing(self, session, device, monkeypatch):
        def refuse():
            raise ApplyError("read the kernel's devices", "no buffer space available")

        monkeypatch.setattr(device.dataplane, "machine", refuse)
        assert session.help("show interface ") == [
            "% Error: read the kernel's devices: no buffer space available; nothing was changed"
        ]
        assert session.choices("show interface ") == []
        assert session.complete("show interface ") == Completion()

    def test_choices_are_for_menus(self, session):
        assert session.choices("show v") == [Choice("version", "Version of the software")]


class TestComplete:
    @pytest.mark.parametrize(
        ("line", "completion"),
        [
            ("conf", Completion(4, "configure ")),
            ("SH", Completion(2, "show ")),
            ("show r", Completion(1, "running-config ")),
            ("show conf", Completion(4, "configuration ")),
            ("terminal ", Completion(words=("length", "no", "prompt-blank", "width"))),
            ("show ip ", Completion(0, "route ")),
            ("s", Completion(words=("save", "show"))),
            ("show s", Completion(words=("slb", "ssl", "startup-config"))),
            ("show slb r", Completion(1, "real-server ")),
            ("copy running-config s", Completion(1, "startup-config ")),
            ("xyz", Completion()),
            ("xyz s", Completion()),
            ("terminal length 2", Completion()),
            ("save a b", Completion()),
        ],
    )
    def test_in_exec_mode(self, session, line, completion):
        assert session.complete(line) == completion

    def test_up_to_where_the_candidates_differ(self, session, device):
        configure(device, "slb real-server server-one\nslb real-server server-two")
        assert session.complete('show slb real-server "se') == Completion(3, '"server-', ('"server-one"', '"server-two"'))
        assert session.complete('show slb real-server "server-t') == Completion(9, '"server-two" ')
        assert session.complete("show interface ethernet0/") == Completion(words=("ethernet0/0", "ethernet0/1"))

    def test_what_is_completed_is_accepted(self, session, device):
        configure(device, FULL)
        for line in ("show tunnel gre 隧", 'show slb virtual-server "网', "show slb real-server 服"):
            done = session.complete(line)
            assert session.run(line[: len(line) - done.erase] + done.insert).ok


class TestWrongFrom:
    @pytest.mark.parametrize(
        ("line", "index"),
        [
            ("", None),
            ("! anything", None),
            ("sho", None),
            ("show", None),
            ("show ", None),
            ("show ver", None),
            ("s", None),
            ("show version", None),
            ("show version x", 13),
            ("shw", 0),
            ("shw ", 0),
            ("shw int", 0),
            ("show vers ", None),
            ("show verz ", 5),
            ("show verz", 5),
            ("terminal length 5", None),
            ("terminal length 513", 16),
            ("terminal length 5x", 16),
            ('show tunnel gre "half', None),
            ('show tunnel gre "half"x', 16),
            ("save any text at all", None),
            ("show \x00", 5),
        ],
    )
    def test_in_exec_mode(self, session, line, index):
        assert session.wrong_from(line) == index

    def test_a_half_typed_address_is_not_known_to_become_right(self, session):
        run(session, "configure", "tunnel gre x")
        assert session.wrong_from("destination 10.0.0.1") is None
        assert session.wrong_from("destination 10.0.0.") == 12
