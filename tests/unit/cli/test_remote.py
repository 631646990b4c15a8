from __future__ import annotations

import pytest

from hsadc.cli.remote import ControlError, NoDaemon, RemoteShell
from hsadc.cli.shell import Choice, Completion, Reply


def test_the_remote_shell_is_the_session(daemon, path):
    with RemoteShell(path) as shell:
        assert (shell.prompt, shell.page_length, shell.closed) == ("hsadc#", None, False)
        assert shell.run("show version") == Reply(("hsadc 1.0",))
        assert not shell.run("nonsense").ok
        assert shell.help("sh") == ["  show  Show something"]
        assert shell.choices("sh") == [Choice("show", "Show something")]
        assert shell.complete("sh") == Completion(2, "show ")
        assert shell.complete("") == Completion(0, "", ("configure", "show", "terminal", "exit"))
        assert (shell.wrong_from("show"), shell.wrong_from("nonsense")) == (None, 0)
        shell.run("terminal length 7")
        shell.run("configure")
        assert (shell.prompt, shell.page_length) == ("hsadc(config)#", 7)
        assert [c.placeholder for c in shell.choices("hostname ")] == [True]
        shell.run("hostname 日本\ud800")
        assert shell.prompt == "日本\ud800(config)#"
        shell.to_exec()
        shell.run("exit")
        assert shell.closed


def test_the_longest_line_and_a_long_answer_pass(daemon, path):
    with RemoteShell(path) as shell:
        assert not shell.run("\N{SMILING FACE WITH HORNS}" * 65536).ok
        assert len(shell.run("show lines 100000").lines) == 100000


def test_nobody_listens(path):
    with pytest.raises(NoDaemon, match=rf"^no device runs here: nobody listens at {path}$"):
        RemoteShell(path)


def test_a_path_that_is_too_long(tmp_path):
    with pytest.raises(ControlError, match="the system allows 107"):
        RemoteShell(tmp_path / ("x" * 120))


def test_the_device_stops_in_the_middle_of_a_session(daemon, path):
    with RemoteShell(path) as shell:
        daemon.stop()
        with pytest.raises(ControlError, match=r"^the device has stopped: the connection to it is lost$"):
            shell.run("show version")
        with pytest.raises(ControlError, match=r"^the device has stopped: the connection to it is lost$"):
            shell.run("show version")
