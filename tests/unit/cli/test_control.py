from __future__ import annotations

import json
import os
import pwd
import socket
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hsadc.cli import control
from hsadc.cli.batch import run_batch
from hsadc.cli.remote import ControlError, NoDaemon, RemoteShell
from hsadc.cli.shell import Login, Shell
from tests.unit.cli.device import Daemon, running


def test_the_session_knows_who_it_is_for(daemon, path):
    with RemoteShell(path) as one, RemoteShell(path, batch=True) as other:
        name = pwd.getpwuid(os.getuid()).pw_name
        assert one.run("show user").lines == (f"{name} interactive",)
        assert other.run("show user").lines == (f"{name} batch",)


def test_who_logs_in_is_logged(daemon, path, caplog):
    with caplog.at_level("INFO", control.__name__), RemoteShell(path):
        pass
    name = pwd.getpwuid(os.getuid()).pw_name
    assert [r.getMessage() for r in caplog.records if r.name == control.__name__] == [f"login of {name!r} at the control socket"]


def test_each_connection_is_a_session(daemon, path):
    with RemoteShell(path) as one, RemoteShell(path) as other:
        one.run("configure")
        assert (one.prompt, other.run("").lines, other.prompt) == ("hsadc(config)#", (), "hsadc#")


def test_a_batch_is_committed_at_its_end_and_not_when_it_breaks_off(path, make_shell):
    shells = []

    def make(login: Login) -> Shell:
        shells.append(make_shell(login))
        return shells[-1]

    with running(path, make) as daemon:
        with RemoteShell(path, batch=True) as shell:
            assert run_batch(shell, ["configure", "hostname edge"], print) == 0
        with RemoteShell(path, batch=True) as shell:
            shell.run("configure")
            shell.run("hostname half")
        daemon.stop()
    assert [s.committed for s in shells] == ["edge", "hsadc"]


def test_a_slow_command_does_not_stop_other_sessions(path, make_shell):
    slow = make_shell()
    with running(path, lambda login: slow if login.batch else make_shell()), RemoteShell(path, batch=True) as waiting:
        thread = threading.Thread(target=waiting.run, args=("wait",))
        thread.start()
        slow.started.wait()
        with RemoteShell(path) as quick:
            assert quick.run("show version").ok
        slow.may_go_on.set()
        thread.join()


def test_the_socket_of_a_dead_device_is_replaced(path, make_shell):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with pytest.raises(NoDaemon):
        RemoteShell(path)
    with running(path, make_shell), RemoteShell(path) as shell:
        assert shell.prompt == "hsadc#"


def test_a_socket_that_cannot_be_removed_does_no_harm(path, make_shell):
    with running(path, make_shell):
        path.unlink()
        path.mkdir()
    assert path.is_dir()


def test_the_socket_of_a_live_device_is_not(daemon, path, make_shell):
    with pytest.raises(ControlError, match=rf"^a device runs already: it listens at {path}$"):
        Daemon(path, make_shell)
    with RemoteShell(path) as shell:
        assert shell.run("show version").ok


def test_a_file_that_is_no_socket_is_left_alone(path, make_shell):
    path.write_text("precious")
    with pytest.raises(ControlError, match="there is a file that is no socket"):
        Daemon(path, make_shell)
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long(tmp_path, make_shell):
    path = tmp_path / ("x" * 120)
    with pytest.raises(ControlError, match="the system allows 107"):
        Daemon(path, make_shell)


def test_a_folder_that_is_not_there(tmp_path, make_shell):
    with pytest.raises(ControlError, match="No such file or directory"):
        Daemon(tmp_path / "none" / "control.sock", make_shell)


def test_the_file_is_for_owner_and_group_and_goes_with_the_device(daemon, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    daemon.stop()
    assert not path.exists()


def test_a_bug_in_a_session_is_logged_and_ends_only_this_session(daemon, path, caplog):
    with RemoteShell(path) as other, RemoteShell(path) as shell:
        with pytest.raises(ControlError, match="internal error, the log has the details"):
            shell.run("crash")
        assert other.run("show version").ok
    assert "RuntimeError: a bug" in caplog.text


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"not json\n", "not a message that the device understands"),
        (b"[1]\n", "not a message that the device understands"),
        (b"\xff\xfe\n", "not a message that the device understands"),
        (b"x" * (1 << 20) + b"xx\n", "not a message that the device understands"),
        (b"[" * 100000 + b"\n", "not a message that the device understands"),
        (b'{"call": "open"}\n{"call": "run", "line": "", "columns": "x"}\n', "not a message that the device understands"),
        (b'{"call": "open"}\n{"call": "run", "line": "", "columns": 1e999}\n', "not a message that the device understands"),
        (b'{"call": "open"}\n{"call": "run", "line": ["show version"]}\n', "not a message that the device understands"),
        (b'{"call": "open"}\n{"call": "__class__"}\n', "does not know the call '__class__'"),
    ],
)
def test_what_is_no_message_is_refused(daemon, path, message, why):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(message)
        with client.makefile("rb") as lines:
            answers = [json.loads(line) for line in lines]
    assert why in answers[-1]["error"]


@pytest.mark.netns
def test_only_root_and_the_group(make_shell):
    """The kernel says who the peer is. It needs root to become somebody else."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "control.sock"
        first, second = as_nobody(lambda: RemoteShell(path)), as_nobody(lambda: RemoteShell(path))
        with running(path, make_shell):
            assert first() == f"{path}: only root and the group hsadc may use the device"
            path.chmod(0o666)  # were the mode ever wrong, the peer's credentials still count
            assert second() == "nobody: only root and the group hsadc may use the device"


def as_nobody(work: Callable[[], object]) -> Callable[[], str]:
    """A process of the user nobody, which carries out `work` when what is returned is called; that returns the error's text.

    It is forked here, before there are threads.
    """
    go_read, go_write = os.pipe()
    said_read, said_write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.read(go_read, 1)
            work()
        except ControlError as e:
            os.write(said_write, str(e).encode())
        finally:
            os._exit(0)
    os.close(go_read)
    os.close(said_write)

    def go() -> str:
        os.write(go_write, b"!")
        os.close(go_write)
        os.waitpid(child, 0)
        with os.fdopen(said_read, "rb") as said:
            return said.read().decode()

    return go


def test_a_command_goes_on_as_long_as_somebody_listens(path, make_shell):
    shells = []

    def make(login: Login) -> Shell:
        shells.append(make_shell(login))
        return shells[-1]

    with running(path, make):
        with RemoteShell(path, batch=True) as shell:
            lines = []
            assert run_batch(shell, ["live 2"], lines.append) == 0
            assert lines == ["begun", "packet 1", "packet 0", "the end"]
            assert shell.run("live 99").more
            assert shell.follow().lines == ("packet 98",)
            assert shell.follow(stop=True).lines == ("the end",)
            shell.run("live 99")
            shell.follow()
        assert shells[0].ended.wait(5)


def test_a_secret_is_asked_for_and_told(path, make_shell):
    shells = []

    def make(login: Login) -> Shell:
        shells.append(make_shell(login))
        return shells[-1]

    with running(path, make), RemoteShell(path) as shell:
        assert shell.run("secret").ask == "Secret: "
        assert shell.answer("no").ask == "Again: "
        assert (shell.answer("sesame").lines, shell.answer(None).ok) == (("open",), False)
        assert shells[0].answers == ["no", "sesame", None]
        with pytest.raises(ControlError, match="not a message that the device understands"):
            shell._ask("answer", text=5)
