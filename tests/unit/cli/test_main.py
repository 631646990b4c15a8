"""The program: its sub-commands, its exit status, and the device as a process (without a dataplane)."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from hsadc import __version__
from hsadc.cli import daemon as module
from hsadc.cli.daemon import parse_ssh
from hsadc.cli.main import main
from hsadc.cli.remote import RemoteShell
from hsadc.errors import ApplyError, ConfigError

SAMPLE = Path(__file__).parents[3] / "samples" / "article.cfg"


def hsadc(*arguments, stdin=""):
    """Run the program to its end, as a user would."""
    command = [sys.executable, "-m", "hsadc", *arguments]
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60)


def as_run(arguments, **streams):
    """Run the program to its end with streams of its own."""
    return subprocess.run([sys.executable, "-m", "hsadc", *arguments], stderr=subprocess.PIPE, timeout=60, **streams)


def one_line(text):
    (line,) = text.splitlines()
    return line


class TestCheck:
    @pytest.fixture
    def wrong(self, tmp_path):
        file = tmp_path / "wrong.cfg"
        file.write_text('tunnel gre "隧道" 错\nhostname x\n')
        return file

    def test_what_is_right(self, capsys):
        assert main(["check", str(SAMPLE)]) == 0
        assert capsys.readouterr() == (f"{SAMPLE}: ok\n", "")

    def test_findings(self, capsys, wrong):
        assert main(["check", str(wrong)]) == 1
        assert capsys.readouterr().out.splitlines() == [
            f"{wrong}:1:17: unrecognized keyword 错",
            '  tunnel gre "隧道" 错',
            "                    ^ expected <cr>",
        ]

    def test_a_file_from_elsewhere_does_not_drive_the_terminal(self, capsys, tmp_path):
        file = tmp_path / "evil.cfg"
        file.write_text("hostname a\x1b[2J\tb\nhostname \x9b2J\n")
        assert main(["check", str(file)]) == 1
        assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())

    def test_several_files_of_which_all_are_checked(self, capsys, wrong, tmp_path):
        assert main(["check", str(tmp_path / "missing"), str(wrong), str(SAMPLE)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{tmp_path / 'missing'}: No such file or directory"
        assert lines[1].startswith(f"{wrong}:1:17: ")
        assert lines[-1] == f"{SAMPLE}: ok"

    @pytest.mark.parametrize("data", [b"\x7fELF\xff\xfe\x00\x01", bytes(range(256)) * 100])
    def test_binary(self, capsys, tmp_path, data):
        file = tmp_path / "binary"
        file.write_bytes(data)
        assert main(["check", str(file)]) == 1
        assert one_line(capsys.readouterr().out).startswith(f"{file}: not a text file: byte ")

    def test_a_folder(self, capsys, tmp_path):
        assert main(["check", str(tmp_path)]) == 1
        assert one_line(capsys.readouterr().out) == f"{tmp_path}: Is a directory"

    def test_json(self, capsys, wrong, tmp_path):
        assert main(["check", "--json", str(wrong), str(tmp_path / "missing")]) == 1
        first, second = json.loads(capsys.readouterr().out)
        assert first == {
            "file": str(wrong),
            "line": 1,
            "column": 17,
            "message": "unrecognized keyword 错",
            "text": 'tunnel gre "隧道" 错',
            "expected": ["<cr>"],
        }
        assert (second["line"], second["message"]) == (0, "No such file or directory")
        assert main(["check", "--json", str(SAMPLE)]) == 0
        assert json.loads(capsys.readouterr().out) == []

    def test_a_name_that_is_no_text_as_a_user_runs_it(self):
        done = hsadc("check", b"\xff.cfg")
        assert (done.returncode, done.stderr) == (1, b"")
        assert one_line(done.stdout) == rb"\udcff.cfg: No such file or directory"


def test_version_and_help(capsys):
    for option in ("--version", "--help"):
        with pytest.raises(SystemExit) as ended:
            main([option])
        assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"hsadc {__version__}\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["daemon", "--dataplane", "magic"], ["check"], ["exec", "-x"]])
def test_what_is_no_command_line(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: hsadc")


def test_the_program_starts_without_what_it_may_not_need():
    heavy = "scapy lark asyncssh prompt_toolkit pyroute2"
    program = f"import sys, hsadc.cli.main; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("text", "address"),
    [("off", None), ("127.0.0.1:22", ("127.0.0.1", 22)), ("[::1]:65535", ("::1", 65535)), ("box:2222", ("box", 2222))],
)
def test_where_ssh_listens(text, address):
    assert parse_ssh(text) == address


def test_what_may_follow_a_partial_line(capsys):
    assert main(["grammar", "complete", "sh ru"]) == 0
    assert capsys.readouterr().out == "running-config\n"
    assert main(["grammar", "complete", "--mode", "gre_tunnel", "source "]) == 0
    assert (
        capsys.readouterr().out == "  interface  Address of an interface\n  A.B.C.D    IPv4 address\n  X:X::X:X   IPv6 address\n"
    )
    assert main(["grammar", "complete", "--mode", "tunnel", ""]) == 1
    assert capsys.readouterr().err.startswith("hsadc: there is no mode tunnel, the modes are ")


def test_all_commands_as_a_document(capsys):
    assert main(["grammar", "reference"]) == 0
    assert capsys.readouterr().out.startswith("# Command reference\n")


@pytest.mark.parametrize(
    "text", ["", "22", ":22", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "a:²"]
)
def test_where_ssh_cannot_listen(text):
    with pytest.raises(ConfigError, match="must be ADDRESS:PORT"):
        parse_ssh(text)


def test_the_machine_is_repaired_again_whatever_happens(monkeypatch, caplog):
    monkeypatch.setattr(module, "REPAIR_INTERVAL_S", 0)
    results = iter([RuntimeError("made for a test"), ApplyError("read", "refused"), None])

    async def until_there_was_no_error() -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def repair() -> None:
            if error := next(results, None):
                raise error
            loop.call_soon_threadsafe(done.set)

        repairs = asyncio.create_task(module._repair_now_and_then(Mock(repair=repair)))
        await done.wait()
        repairs.cancel()

    asyncio.run(until_there_was_no_error())
    assert "a bug: the machine could not be compared" in caplog.text
    assert "the machine is not as configured: read: refused" in caplog.text


class Daemon:
    """`hsadc daemon --dataplane none`; the log line that says it is ready has been read."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.state = state
        command = [sys.executable, "-m", "hsadc", "daemon", "--dataplane", "none", "--ssh", "off", "--state-dir", str(state)]
        self._process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self._read_until_ready()

    def _read_until_ready(self) -> None:
        log = b""
        while b" ready\n" not in log:
            assert select.select([self._process.stderr], [], [], 60)[0], log
            read = os.read(self._process.stderr.fileno(), 65536)
            assert read, log
            log += read

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def socket(self) -> Path:
        return self.state / "control.sock"

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal; returns the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(60)
        self._process.stderr.close()
        return status


@pytest.fixture
def start(tmp_path):
    """Starts daemons, with more arguments; all have one state directory."""
    daemons = []

    def start_one(*arguments: str) -> Daemon:
        daemons.append(Daemon(tmp_path / "state", *arguments))
        return daemons[-1]

    yield start_one
    for daemon in daemons:
        daemon.end(signal.SIGKILL)


class TestDaemon:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_well(self, start, number):
        daemon = start()
        assert daemon.socket.is_socket()
        assert daemon.end(number) == 0
        assert not daemon.socket.exists()

    def test_it_may_open_as_many_files_as_the_system_allows(self, start):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard - 1), hard))
        try:
            daemon = start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == (hard, hard)

    def test_it_keeps_what_was_saved(self, start, tmp_path):
        daemon = start()
        with RemoteShell(daemon.socket) as shell:
            assert all(shell.run(line).ok for line in ("configure", "hostname kept", "tunnel gre 隧道", "key 7", "save"))
            assert shell.run("hostname lost").ok
            running = shell.run("show startup-config").lines
        daemon.end()
        with RemoteShell(start().socket) as shell:
            assert shell.prompt == "kept#"
            assert shell.run("show running-config").lines == running
        assert oct((tmp_path / "state" / "startup.cfg").stat().st_mode)[-4:] == "0600"

    def test_what_was_typed_outlives_it_and_its_log_can_be_shown(self, start):
        for times in (1, 2):
            daemon = start()
            with RemoteShell(daemon.socket) as shell:
                assert shell.run("show clock").ok
                assert list(shell.history) == ["show clock", "show logging"] * (times - 1) + ["show clock"]
                assert any("INFO cli.daemon: " in line for line in shell.run("show logging").lines)
            assert daemon.end() == 0

    def test_a_kill_and_a_restart(self, start):
        daemon = start()
        with RemoteShell(daemon.socket) as shell:
            assert all(shell.run(line).ok for line in ("configure", "hostname kept", "save"))
        daemon.end(signal.SIGKILL)
        assert daemon.socket.exists()
        again = start()
        with RemoteShell(again.socket) as shell:
            assert shell.prompt == "kept#"
        assert again.end() == 0

    def test_a_second_one_is_refused_and_the_first_lives_on(self, start):
        daemon = start()
        second = hsadc("--state-dir", str(daemon.state), "daemon", "--dataplane", "none", "--ssh", "off")
        assert second.returncode == 1
        message = f"hsadc: hsadc daemon: another one runs with the state directory {daemon.state}"
        assert one_line(second.stderr.decode()) == message
        with RemoteShell(daemon.socket) as shell:
            assert shell.run("show version").ok

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("hostname x\nnonsense\n", "hsadc: s.cfg:2:1: unrecognized keyword nonsense"),
            ('interface tunnel1\ntunnel gre "x"\n', 'hsadc: s.cfg:1:1: interface tunnel1: tunnel gre "x" does not exist'),
        ],
    )
    def test_a_startup_config_that_is_wrong(self, tmp_path, text, message):
        file = tmp_path / "s.cfg"
        file.write_text(text)
        state = tmp_path / "state"
        done = hsadc("daemon", "--dataplane", "none", "--ssh", "off", "--state-dir", str(state), "--startup-config", str(file))
        assert done.returncode == 1
        assert one_line(done.stderr.decode()) == message
        assert os.listdir(state) == ["lock"]

    def test_a_startup_config_elsewhere(self, start, tmp_path):
        file = tmp_path / "s.cfg"
        file.write_text("hostname elsewhere\n")
        daemon = start("--startup-config", str(file))
        with RemoteShell(daemon.socket) as shell:
            assert shell.run("save").ok
        assert file.read_text().endswith(' (console)\nhostname "elsewhere"\n')

    def test_a_startup_config_that_is_given_and_not_there(self, capsys, tmp_path):
        """A misspelt name must not start a device without a configuration."""
        path = tmp_path / "mispelt.cfg"
        assert main(["daemon", "--dataplane", "none", "--state-dir", str(tmp_path), "--startup-config", str(path)]) == 1
        assert one_line(capsys.readouterr().err) == f"hsadc: --startup-config: there is no file {path}, an empty one will do"

    def test_a_state_directory_that_cannot_be(self, capfd, tmp_path):
        (tmp_path / "file").write_text("")
        assert main(["daemon", "--dataplane", "none", "--state-dir", str(tmp_path / "file" / "state")]) == 1
        assert one_line(capfd.readouterr().err).endswith(
            f"open state directory {tmp_path}/file/state: Not a directory; nothing was changed"
        )


class TestExec:
    def run(self, daemon, *arguments, stdin=""):
        return hsadc("exec", "--state-dir", str(daemon.state), *arguments, stdin=stdin)

    def test_without_a_daemon(self, tmp_path, capsys):
        assert main(["exec", "--state-dir", str(tmp_path), "-c", "show version"]) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert one_line(output.err) == f"hsadc: no device runs here: nobody listens at {tmp_path / 'control.sock'}"

    def test_lines_a_file_and_input(self, start, tmp_path):
        daemon = start()
        file = tmp_path / "push.cfg"
        file.write_text("hostname pushed\r\ntunnel gre t\r\n key 7\r\n")
        assert self.run(daemon, "-f", str(file)).returncode == 0
        done = self.run(daemon, "-c", "configure", "-c", "hostname 2nd", "-c", "show running-config")
        assert done.stdout.decode().splitlines() == ['hostname "2nd"', 'tunnel gre "t"', "  key 7", "exit"]
        assert self.run(daemon, "-f", "-", stdin="no tunnel gre t\n").returncode == 0
        assert self.run(daemon, "-c", "show running-config").stdout == b'hostname "2nd"\n'

    def test_the_first_wrong_line_ends_it_and_nothing_is_in_force(self, start):
        daemon = start()
        done = self.run(daemon, "-f", "-", stdin="hostname never\n\nnonsense\nhostname no\n")
        assert done.returncode == 1
        assert done.stdout.decode().splitlines()[0] == "line 3: nonsense"
        assert self.run(daemon, "-c", "show running-config").stdout == b""

    def test_bytes_that_are_no_text(self, start):
        daemon = start()
        for done in (self.run(daemon, "-f", "-", stdin=b"hostname \xff\n"), self.run(daemon, "-c", b"show \xff")):
            assert (done.returncode, done.stderr) == (1, b"")
            assert b"cannot be part of a configuration: is this a text file?" in done.stdout

    def test_input_that_has_no_end_is_not_read_to_its_end(self, start):
        daemon = start()
        with open("/dev/zero", "rb") as endless:
            for command in (["exec", "-f", "-"], []):
                done = as_run(["--state-dir", str(daemon.state), *command], stdin=endless, stdout=subprocess.PIPE)
                assert (done.returncode, done.stderr) == (1, b"")
                assert done.stdout == b"line 1: % Error: the line is longer than 65536 characters\n"


class TestStreams:
    """What whoever starts the program makes of its input and output."""

    def test_output_that_takes_nothing(self):
        with open("/dev/full", "wb") as full:
            done = as_run(["check", str(SAMPLE)], stdout=full)
        assert (done.returncode, done.stderr) == (1, b"hsadc: standard output: No space left on device\n")

    @pytest.mark.parametrize("command", [["exec", "-f", "-"], []])
    def test_closed_input(self, start, command):
        daemon = start()
        done = as_run(["--state-dir", str(daemon.state), *command], preexec_fn=lambda: os.close(0))
        assert (done.returncode, done.stderr) == (1, b"hsadc: standard input is closed\n")


class TestShell:
    def test_piped_lines_are_a_batch_on_the_running_device(self, start):
        daemon = start()
        done = hsadc("--state-dir", str(daemon.state), stdin="configure\nhostname piped\nend\nshow privilege\nexit\nnever\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"Current privilege level is 15\n", b"")
        with RemoteShell(daemon.socket) as shell:
            assert shell.prompt == "piped#"
        done = hsadc("--state-dir", str(daemon.state), stdin=b"configure\nhostname \xff\n")
        assert (done.returncode, done.stderr) == (1, b"")
        assert done.stdout.splitlines()[0].startswith(b"line 2: hostname")

    def test_where_none_runs_and_none_can_be_started(self, tmp_path):
        (tmp_path / "startup.cfg").write_text("nonsense\n")
        done = hsadc("--state-dir", str(tmp_path), stdin="show version\n")
        assert done.returncode == 1
        assert one_line(done.stdout).startswith(b"No hsadc daemon is running")
        assert one_line(done.stderr).startswith(
            b"hsadc: startup.cfg:1:1: " if os.geteuid() == 0 else b"hsadc: start the dataplane"
        )
        assert not (tmp_path / "control.sock").exists()
