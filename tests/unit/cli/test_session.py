"""A session: prompts, modes, errors, help and completion; no terminal."""

from __future__ import annotations

import logging
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from hsadc.cli.session import Session
from hsadc.cli.shell import Login
from hsadc.syntax.grammar import load_grammar
from tests.unit.cli.operators import refused, run
from tests.unit.config.memory import FULL, MemoryDataplane, adc, configure
from tests.unit.syntax.test_nodes import everything


@pytest.fixture
def device(tmp_path):
    return adc(tmp_path, MemoryDataplane())


@pytest.fixture
def session(device):
    return Session(device, Login("root"))


class TestPrompt:
    @pytest.mark.parametrize(
        ("lines", "prompt"),
        [
            ([], "hsadc#"),
            (["configure"], "hsadc(config)#"),
            (["configure", "interface ethernet0/0"], "hsadc(config-if-eth0/0)#"),
            (["configure", "interface tunnel1"], "hsadc(config-if-tun1)#"),
            (["configure", "tunnel gre x"], "hsadc(config-tunnel-gre)#"),
            (["configure", "tunnel erspan x"], "hsadc(config-tunnel-erspan)#"),
            (["configure", "tunnel vxlan x"], "hsadc(config-tunnel-vxlan)#"),
            (["configure", "mirror-profile p"], "hsadc(config-mirror-profile)#"),
            (["configure", "access-list l"], "hsadc(config-acl)#"),
            (["configure", "access-list l", "mirror-profile p", "access-list l"], "hsadc(config-mirror-profile)#"),
            (["configure", "slb virtual-server v type http id 1"], "hsadc(config-slb-vs)#"),
            (["configure", "slb server-pool p"], "hsadc(config-slb-pool)#"),
            (["configure", "slb real-server r"], "hsadc(config-slb-rs)#"),
            (["configure", "app-profile a"], "hsadc(config-app-profile)#"),
            (["configure", "admin user u"], "hsadc(config-admin)#"),
            (["configure", "hostname 0123456789abcdef"], "0123456789abcdef(config)#"),
            (["configure", "hostname 0123456789abcdefg", "end"], "0123456789abcdef~#"),
        ],
    )
    def test_of_each_mode(self, session, lines, prompt):
        run(session, *lines)
        assert session.prompt == prompt

    def test_every_mode_has_one(self, session):
        for mode in session.device.grammar.roots.keys() - {"pipe"}:
            session._mode, session._name = mode, "ethernet0/0"
            assert session.prompt.startswith("hsadc")

    def test_another_session_renames_the_device(self, session, device):
        configure(device, "hostname other")
        assert session.prompt == "other#"


class TestModes:
    def test_exit_leads_one_mode_up_and_then_out(self, session):
        run(session, "configure", "tunnel gre x", "exit")
        assert session.prompt == "hsadc(config)#"
        run(session, "exit")
        assert (session.prompt, session.closed) == ("hsadc#", False)
        run(session, "exit")
        assert session.closed

    @pytest.mark.parametrize("how", ["end", "END", "do configure", "ctrl-z"])
    def test_to_exec_or_config_from_a_block(self, session, how):
        run(session, "configure", "tunnel gre x")
        session.to_exec() if how == "ctrl-z" else run(session, how)
        assert session.prompt == ("hsadc(config)#" if how == "do configure" else "hsadc#")
        assert not session.closed

    @pytest.mark.parametrize(
        ("line", "prompt"),
        [
            ("interface tunnel1", "hsadc(config-if-tun1)#"),
            ("hostname hsadc", "hsadc(config)#"),
            ("no slb real-server r", "hsadc(config)#"),
            ("no tunnel gre x", "hsadc(config)#"),
            ("interface ethernet0/0", "hsadc(config-tunnel-gre)#"),
            ("key 7", "hsadc(config-tunnel-gre)#"),
            ("show version", "hsadc(config-tunnel-gre)#"),
        ],
    )
    def test_a_line_of_an_outer_mode_leaves_the_block(self, session, line, prompt):
        run(session, "configure", "slb real-server r", "tunnel gre x", line)
        assert session.prompt == prompt

    def test_a_line_that_is_refused_leaves_nothing(self, session):
        run(session, "configure", "tunnel gre x")
        refused(session, "slb virtual-server v")
        refused(session, "no slb real-server nobody")
        refused(session, "interface tunnel70000")
        assert session.prompt == "hsadc(config-tunnel-gre)#"

    def test_a_head_that_the_dataplane_refuses_opens_no_block(self, session, device):
        run(session, "configure")
        device.dataplane.fail_at = 0
        assert refused(session, "interface ethernet0/0") == [
            "% Error: prepare links: no space left on device; nothing was changed"
        ]
        assert session.prompt == "hsadc(config)#"

    def test_exec_commands_in_a_block_with_and_without_do(self, session):
        run(session, "configure", "tunnel gre x")
        assert run(session, "do show privilege") == run(session, "show privilege") == ["Current privilege level is 15"]
        assert run(session, "do sh priv") == ["Current privilege level is 15"]

    def test_do_is_for_exec_commands_only_and_not_in_exec_mode(self, session):
        assert refused(session, "do show version")[0].endswith("^-----unrecognized keyword do")
        run(session, "configure")
        assert refused(session, "do hostname x")[0].endswith("^-----unrecognized keyword hostname")
        assert refused(session, "do do show version")[0].endswith("^-----unrecognized keyword do")

    def test_configuration_lines_are_not_exec_commands(self, session):
        assert refused(session, "hostname x")[-1] == "% Invalid input detected at '^' marker."
        assert session.device.running.hostname == "hsadc"

    @pytest.mark.parametrize("line", ["", "   ", "\t", "! a comment", "  !"])
    def test_empty_lines_and_comments_are_silent(self, session, line):
        assert run(session, "configure", "tunnel gre x", line) == []
        assert session.prompt == "hsadc(config-tunnel-gre)#"

    def test_terminal_settings(self, session):
        assert session.page_length is None
        assert run(session, "terminal length 0", "terminal width 511", "enable") == []
        assert session.page_length == 0

    def test_a_block_that_another_session_deleted(self, session, device):
        run(session, "configure", "slb real-server r")
        configure(device, "no slb real-server r")
        assert refused(session, "weight 7") == ['% Error: slb real-server "r": another session has deleted it']
        assert not device.running.real_server
        run(session, "exit")
        assert session.prompt == "hsadc(config)#"

    def test_an_interactive_line_is_in_force_at_once_with_its_warnings(self, session, device):
        assert run(session, "configure", "ip route 10.20.0.0/16 10.77.0.1") == [
            "Warning: ip route 10.20.0.0/16 10.77.0.1: not in force, 10.77.0.1 is in no network of an interface that is up"
        ]
        assert len(device.running.routes) == 1


class TestDoubt:
    """A beginning that means something in a block, and something else around it."""

    @pytest.mark.parametrize(
        ("line", "choices"),
        [("sh", "show | shutdown"), ("s", "save | show | shutdown | slb | ssl-profile"), ("SH", "show | shutdown")],
    )
    def test_it_does_nothing(self, session, device, line, choices):
        run(session, "configure", "interface ethernet0/1")
        before = device.running
        lines = refused(session, line)
        assert lines[1:] == [f'% Ambiguous command: "{line}"', f"  expected: {choices}"]
        assert device.running is before
        assert session.complete(line).words == tuple(choices.split(" | "))

    def test_what_follows_tells_which_was_meant(self, session, device):
        run(session, "configure", "interface ethernet0/1", "sh version", "desc one")
        assert device.running.ethernet["ethernet0/1"].description == "one"
        run(session, "shu")
        assert device.running.ethernet["ethernet0/1"].shutdown


class TestErrors:
    """The caret stands below the first character of the word that is wrong, where the terminal shows it."""

    @pytest.mark.parametrize(
        ("line", "below", "words", "sentence"),
        [
            (
                'tunnel gree "x"',
                "gree",
                "unrecognized keyword gree, did you mean 'gre'?",
                "% Invalid input detected at '^' marker.",
            ),
            ("  hostnaem x", "hostnaem", "unrecognized keyword hostnaem, did you mean 'hostname'?", None),
            ("tunnel gre 中文名字 x", "x", "unrecognized keyword x", None),
            ('tunnel gre "中文 名字" 错误 x', "错", "unrecognized keyword 错误", None),
            ("slb virtual-server 服务 type http id 99999", "99999", "99999 is out of range, it must be 1 to 65535", None),
            ("ip route 10.0.0.1/8 1.1.1.1", "10", "10.0.0.1/8 is not a network, did you mean 10.0.0.0/8?", None),
            ("tunnel gre e\u0301\u200b x", "x", "unrecognized keyword x", None),
            ("\ttunnel\tgree", "gree", "unrecognized keyword gree, did you mean 'gre'?", None),
            ("a", "a", "ambiguous command a", '% Ambiguous command: "a"'),
            ("do sh s", "s", "ambiguous command s", '% Ambiguous command: "do sh s"'),
            ("tunnel", "", "incomplete command", "% Incomplete command."),
            ("tunnel gre  ", "  ", "incomplete command", "% Incomplete command."),
            ("ip route 10.0.0.0/8", "", "incomplete command", "% Incomplete command."),
        ],
    )
    def test_the_caret(self, session, line, below, words, sentence):
        run(session, "configure")
        caret, last, *_ = refused(session, line)
        margin, _, why = caret.partition("^-----")
        assert why == words
        assert last == (sentence or "% Invalid input detected at '^' marker.")
        shown = (session.prompt + line).expandtabs()
        at = shown.rindex(below) if below else len(shown)
        assert margin.strip() == ""
        assert len(margin.expandtabs()) == wcswidth(shown[:at].replace("\u200b", ""))

    def test_the_format(self, session):
        run(session, "configure")
        prompt = "hsadc(config)#"
        assert refused(session, 'tunnel gree "x"') == [
            " " * len(prompt + "tunnel ") + "^-----unrecognized keyword gree, did you mean 'gre'?",
            "% Invalid input detected at '^' marker.",
            "  expected: erspan | gre | vxlan",
        ]

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("tunnel", ["  expected: erspan | gre | vxlan"]),
            ("a", ["  expected: access-list | admin | app-profile"]),
            ("show version x", ["  expected: <cr>"]),
            ("ip route 10.0.0.0/8", ["  expected: A.B.C.D | ethernet<slot>/<port>"]),
            ("xyz", []),
            ("show xyz", []),
        ],
    )
    def test_what_was_expected_when_it_is_short(self, session, line, expected):
        run(session, "configure", "interface tunnel1")
        assert refused(session, line)[2:] == expected

    def test_what_is_contradictory_is_one_line(self, session):
        run(session, "configure", 'tunnel gre "x"', "source 10.0.0.1", "destination 10.9.0.2", "exit", *FULL.splitlines()[5:10])
        run(session, "interface tunnel1", 'tunnel gre "x"', "exit")
        assert refused(session, 'no tunnel gre "x"') == [
            '% Error: tunnel gre "x": it is used by interface tunnel1 and cannot be deleted'
        ]

    @pytest.mark.parametrize(
        "line",
        ["hostname x\x00", "description \x1b[2J", "show \udcff", "description \ud800", "hostname \ufffd", "\x9b2J", "x" * 70000],
    )
    def test_what_is_no_text_is_refused_and_the_answer_can_be_printed(self, session, device, line):
        run(session, "configure", "tunnel gre x")
        for printed in refused(session, line):
            assert printed.isprintable()
            assert len(printed) < 300
        run(session, "save", "show running-config")

    def test_a_bug_is_one_line_for_the_operator_and_a_traceback_for_the_log(self, session, device, caplog):
        class Broken:
            def config(self, config):
                yield "hostname x"
                raise ZeroDivisionError("made for a test")

        device.renderer = Broken()
        with caplog.at_level(logging.ERROR):
            assert refused(session, "show running-config") == [
                "% Error: internal error, the log has the details; nothing else was done"
            ]
        (record,) = caplog.records
        assert record.exc_info[0] is ZeroDivisionError
        assert "show running-config" in record.getMessage()
        run(session, "show version")

    @pytest.mark.parametrize("word", ["password", "pa"])
    def test_no_log_has_a_password(self, session, device, caplog, monkeypatch, word):
        run(session, "configure", "admin user x")
        monkeypatch.setattr(device, "commit", lambda *_: 1 / 0)
        refused(session, f"{word} hunter2")
        assert "ZeroDivisionError" in caplog.text
        assert "hunter2" not in caplog.text


class TestSave:
    @pytest.mark.parametrize("line", ["save", "save all", "save before the change", "write memory", "copy run start", "write"])
    def test_it_saves_in_any_mode(self, session, device, line):
        run(session, "configure", "hostname x")
        assert run(session, line) == ["Building configuration.", "Saving configuration is finished"]
        assert device.archive.startup().text == 'hostname "x"\n'
        assert session.prompt == "x(config)#"

    @pytest.mark.parametrize("answer", ["y", "Y", "n", "yes", "no", " y "])
    def test_the_answer_to_a_question_that_is_not_asked_is_harmless_once(self, session, answer):
        run(session, "configure", "save")
        assert run(session, answer) == []
        refused(session, answer)

    def test_it_is_the_answer_only_right_after(self, session):
        run(session, "save", "")
        refused(session, "y")

    def test_a_disk_that_refuses(self, session, device):
        device.archive.path.mkdir()
        (line,) = refused(session, "save")
        assert line == f"% Error: save {device.archive.path}: Is a directory; nothing was changed"


class TestBatch:
    @pytest.fixture
    def batch(self, device):
        return Session(device, Login("root", batch=True))

    def test_lines_are_in_force_at_the_end(self, batch, device):
        run(batch, "configure", "hostname x", "tunnel gre t", "key 7")
        assert device.running.hostname == "hsadc"
        assert batch.finish().ok
        assert (device.running.hostname, device.running.gre_tunnel["t"].key) == ("x", 7)

    def test_order_does_not_matter_within_it(self, batch, device):
        run(batch, "configure", "interface tunnel1", "tunnel gre t", "exit", "tunnel gre t")
        run(batch, "source 10.0.0.1", "destination 10.9.0.2", "exit", "interface ethernet0/0", "ip address 10.0.0.1/24")
        assert batch.finish().ok
        assert device.dataplane.intent.tunnels

    def test_all_or_nothing(self, batch, device):
        run(batch, "configure", "hostname x", "interface tunnel1", "tunnel gre nowhere")
        reply = batch.finish()
        assert (reply.ok, reply.lines) == (False, ('% Error: interface tunnel1: tunnel gre "nowhere" does not exist',))
        assert device.running.hostname == "hsadc"
        assert batch.finish().ok

    def test_an_exec_command_commits_what_came_before_it(self, batch, device):
        assert 'hostname "x"' in run(batch, "configure", "hostname x", "show running-config")
        assert device.running.hostname == "x"

    def test_an_exec_command_after_lines_that_cannot_be_is_refused(self, batch, device):
        run(batch, "configure", "interface tunnel1", "tunnel gre nowhere")
        assert refused(batch, "save") == ['% Error: interface tunnel1: tunnel gre "nowhere" does not exist']
        assert device.archive.startup() is None

    def test_warnings_come_with_the_commit(self, batch):
        run(batch, "configure", "ip route 10.20.0.0/16 10.77.0.1")
        assert [line[:8] for line in batch.finish().lines] == ["Warning:"]

    def test_nothing_to_commit(self, batch):
        assert batch.finish().lines == ()


def test_two_sessions_at_once_lose_nothing(device):
    def work(name):
        session = Session(device, Login(name))
        run(session, "configure", *(line for n in range(100) for line in (f"slb real-server {name}-{n}", f"weight {n + 1}")))

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: r.weight for n, r in device.running.real_server.items()} == {f"{t}-{n}": n + 1 for t in "ab" for n in range(100)}


vocabulary = sorted({word for root in load_grammar().roots.values() for n in everything(root) for word, _ in n.helps})
values = [
    "1",
    "80",
    "70000",
    "10.0.0.1",
    "10.0.0.1/24",
    "10.0.0.0/8",
    "255.0.255.0",
    "ethernet0/0",
    "tunnel1",
    "e0/1",
    "中文",
    '"a b"',
    '"',
]
junk = st.text(max_size=8) | st.sampled_from(
    ["\t", "!", "?", "|", "\\", '"\\', "\x1b[A", "\udcff", "y", "<cr>", "%s", "{0}", "no"]
)
words = (
    st.sampled_from(vocabulary).filter(str.islower)
    | st.sampled_from(vocabulary).map(lambda w: w[:3])
    | st.sampled_from(values)
    | junk
)
lines = st.lists(words, max_size=7).map(" ".join) | st.sampled_from([line for line in FULL.splitlines() if "admin" not in line])


@pytest.fixture(scope="module")
def no_programs():
    """Nothing that is typed sends packets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        yield


@pytest.mark.usefixtures("no_programs")
@settings(max_examples=150, deadline=None)
@given(st.lists(lines, min_size=1, max_size=12), st.booleans())
def test_whatever_is_typed_nothing_is_raised_and_what_is_refused_changes_nothing(tmp_path_factory, typed, batch):
    device = adc(tmp_path_factory.getbasetemp(), MemoryDataplane())
    device.archive.save = lambda saved: saved.file_text().encode()
    session = Session(device, Login(batch=batch))
    session.run("configure")
    for line in typed:
        before, objects = device.running, device.dataplane.objects
        for printed in session.help(line):
            assert printed
        session.complete(line)
        wrong = session.wrong_from(line)
        assert wrong is None or 0 <= wrong <= len(line)
        reply = session.run(line)
        assert "internal error" not in "".join(reply.lines)
        assert reply.ok or reply.lines
        if not reply.ok and not batch:  # in a batch the lines before a command are committed first, and stay when it fails
            assert device.running is before
            assert device.dataplane.objects == objects
        if session.closed:
            break
    assert batch or session.finish().lines == ()
    device.text().encode()
