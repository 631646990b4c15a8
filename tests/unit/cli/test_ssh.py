"""Real clients over real TCP on loopback: asyncssh, netmiko and OpenSSH, each against the shell in memory."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import netmiko
import pytest

from hsadc.cli import connections, ssh
from hsadc.cli.sftp import Transfer
from hsadc.cli.shell import Login
from hsadc.config.files import Files
from hsadc.errors import ApplyError
from hsadc.model.admin_user import AdminUser
from hsadc.syntax.password import hash_password

KEY = asyncssh.generate_private_key("ssh-ed25519")
PUBLIC = KEY.export_public_key().decode().strip()
OPS = AdminUser("ops", hash_password("secret"), {"ssh-ed25519 broken": "ssh-ed25519 broken", PUBLIC: PUBLIC})
KEYS_ONLY = AdminUser("keys", None, {PUBLIC: PUBLIC})
USERS = {"ops": OPS, "keys": KEYS_ONLY}
NOBODY = {"users": dict, "shell": lambda *_: None, "transfer": lambda _: None}


class Server:
    """An SSH server, the sessions it has made, and connections to it."""

    def __init__(self, folder: Path, make_shell: Callable[..., object], users: dict[str, AdminUser]) -> None:
        self._folder, self._make_shell, self._users = folder, make_shell, users
        self.shells: list = []

    def _shell(self, login: Login):
        self.shells.append(self._make_shell(login))
        return self.shells[-1]

    def _transfer(self, channel) -> Transfer:
        files = Files(self._folder / "files")
        files.prepare()
        return Transfer(channel, files, {"running-config": lambda: "hostname hsadc\n"})

    @asynccontextmanager
    async def start(self):
        host_key = self._folder / "ssh_host_key"
        more = {"users": lambda: self._users, "shell": self._shell, "transfer": self._transfer}
        async with ssh.listen("127.0.0.1", 0, host_key=host_key, **more) as self.port:
            yield

    @asynccontextmanager
    async def connect(self, user: str = "ops", **options: object):
        login = {"client_keys": [KEY], **options}
        async with asyncssh.connect(
            "127.0.0.1", self.port, username=user, known_hosts=None, config=None, agent_path=None, **login
        ) as c:
            yield c


@pytest.fixture
def serve(tmp_path, make_shell) -> Callable[[Callable[[Server], Awaitable[None]]], Server]:
    """Runs a conversation with a server, and gives the server."""

    def run(talk: Callable[[Server], Awaitable[None]], users: dict[str, AdminUser] = USERS) -> Server:
        server = Server(tmp_path, make_shell, users)

        async def life() -> None:
            async with server.start(), asyncio.timeout(60):  # a conversation that got stuck fails
                await talk(server)

        asyncio.run(life())
        return server

    return run


async def enter(context) -> None:
    async with context:
        pass


async def until(process: asyncssh.SSHClientProcess, end: str) -> str:
    """What the server says, up to `end`."""
    return await process.stdout.readuntil(end)


class TestLogin:
    def test_by_password_or_by_key(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect("ops", password="secret", client_keys=None) as connection:
                assert (await connection.run("show user")).stdout == "ops batch\n"
            async with server.connect("ops") as connection:
                assert (await connection.run("show version")).stdout == "hsadc 1.0\n"
            async with server.connect("keys") as connection:
                assert (await connection.run("show version")).stdout == "hsadc 1.0\n"

        serve(talk)

    @pytest.mark.parametrize(
        ("user", "options"),
        [
            ("ops", {"password": "wrong", "client_keys": None}),
            ("ops", {"password": "", "client_keys": None}),
            ("nobody", {"password": "secret", "client_keys": None}),
            ("keys", {"password": "secret", "client_keys": None}),
            ("keys", {"password": "", "client_keys": None}),
            ("admin", {"password": "hsadc", "client_keys": None}),  # there are administrators: the default account is gone
            ("ops", {"client_keys": [asyncssh.generate_private_key("ssh-ed25519")]}),
            ("nobody", {}),
        ],
    )
    def test_nobody_else(self, serve, user, options):
        async def talk(server: Server) -> None:
            with pytest.raises(asyncssh.PermissionDenied):
                async with server.connect(user, **options):
                    pass

        assert serve(talk).shells == []

    def test_the_default_account_while_there_is_no_administrator(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect("admin", password="hsadc", client_keys=None) as connection:
                assert (await connection.run("show user")).stdout == "admin batch\n"

        serve(talk, users={})

    def test_three_attempts(self, serve):
        class Guesser(asyncssh.SSHClient):
            guesses = 0

            def password_auth_requested(self) -> str:
                self.guesses += 1
                Guesser.guesses = self.guesses
                return f"guess {self.guesses}"

        async def talk(server: Server) -> None:
            with pytest.raises(asyncssh.PermissionDenied, match="too many wrong passwords"):
                async with server.connect("ops", client_keys=None, client_factory=Guesser, preferred_auth="password"):
                    pass

        serve(talk)
        assert Guesser.guesses == 3


class TestListen:
    def test_makes_a_host_key_once_for_its_owner_alone(self, serve, tmp_path):
        async def talk(_: Server) -> None:
            pass

        serve(talk)
        path = tmp_path / "ssh_host_key"
        key = path.read_bytes()
        assert asyncssh.read_private_key(path).get_algorithm() == "ssh-ed25519"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [path]
        serve(talk)
        assert path.read_bytes() == key

    def test_a_host_key_that_is_lost_meanwhile(self, serve, tmp_path):
        async def talk(server: Server) -> None:
            (tmp_path / "ssh_host_key").unlink()
            async with server.connect() as connection:
                assert (await connection.run("show version")).stdout == "hsadc 1.0\n"

        serve(talk)

    def test_a_host_key_that_is_none(self, serve, tmp_path):
        (tmp_path / "ssh_host_key").write_text("")
        with pytest.raises(ApplyError, match=r"^read the SSH host key "):
            serve(lambda _: asyncio.sleep(0))

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(ApplyError, match=r"^listen for SSH on 127.0.0.1 port 0: No such file or directory"):
            asyncio.run(enter(ssh.listen("127.0.0.1", 0, host_key=tmp_path / "no" / "key", **NOBODY)))

    def test_a_port_that_is_taken(self, serve, tmp_path):
        async def talk(server: Server) -> None:
            with pytest.raises(ApplyError, match=rf"^listen for SSH on 127.0.0.1 port {server.port}: .*address already in use"):
                await enter(ssh.listen("127.0.0.1", server.port, host_key=tmp_path / "ssh_host_key", **NOBODY))

        serve(talk)


class TestConnections:
    def test_all_are_told_when_the_device_stops(self, tmp_path, make_shell):
        server = Server(tmp_path, make_shell, USERS)
        told = []

        class Client(asyncssh.SSHClient):
            def connection_lost(self, exc: Exception | None) -> None:
                told.append(str(exc))

        async def life() -> None:
            async with contextlib.AsyncExitStack() as client:
                async with server.start():
                    connection = await client.enter_async_context(server.connect(client_factory=Client))
                    await until(await connection.create_process(term_type="vt100"), "hsadc#")
                await connection.wait_closed()

        asyncio.run(life())
        assert told == ["the device is stopping"]

    def test_who_connects_and_does_not_log_in_has_to_go_for_others(self, serve, monkeypatch):
        monkeypatch.setattr(connections, "MOST_STRANGERS", 3)

        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                strangers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
                await strangers[0][0].read()  # up to its end
                async with server.connect():
                    assert (await connection.run("show version")).stdout == "hsadc 1.0\n"
                for _, writer in strangers:
                    writer.close()

        serve(talk)


class TestBatch:
    def test_exec_commits_its_lines(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                done = await connection.run("configure\nhostname edge\nshow lines 30")
                assert (done.exit_status, done.stdout.count("\n")) == (0, 30)

        assert serve(talk).shells[0].committed == "edge"

    def test_an_error_names_the_line_and_is_the_exit_status(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                done = await connection.run("configure\nhostname edge\nnonsense\nhostname never")
                assert done.exit_status == 1
                assert done.stdout.startswith(
                    "line 3: nonsense\nhsadc(config)#nonsense\n              ^-----unrecognized keyword"
                )

        server = serve(talk)
        assert server.shells[0].committed == "hsadc"
        assert "hostname never" not in server.shells[0].ran

    def test_standard_input_is_carried_out_as_it_comes(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                process = await connection.create_process()
                process.stdin.write("show version\nconf")
                assert await until(process, "\n") == "hsadc 1.0\n"
                process.stdin.write("igure\nhostname edge\nshow user")
                process.stdin.write_eof()
                done = await process.wait()
                assert (done.stdout, done.exit_status) == ("ops batch\n", 0)

        assert serve(talk).shells[0].committed == "edge"

    def test_what_breaks_off_is_not_committed(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                process = await connection.create_process()
                process.stdin.write("configure\nhostname edge\nshow version\n")
                await until(process, "\n")
                connection.abort()
            async with server.connect() as connection:
                process = await connection.create_process()
                process.stdin.write("configure\nhostname edge\nshow version\n")
                await until(process, "\n")
                process.close()
                await process.wait_closed()

        server = serve(talk)
        assert [s.committed for s in server.shells] == ["hsadc", "hsadc"]
        assert all(s.ended.wait(10) for s in server.shells)
        assert [s.name for s in server.shells] == ["edge", "edge"]

    def test_a_command_that_goes_on_sends_its_lines_as_they_come(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                result = await connection.run("live 3\nshow version", stdin=asyncssh.DEVNULL)
                assert (result.exit_status, result.stdout) == (0, "begun\npacket 2\npacket 1\npacket 0\nthe end\nhsadc 1.0\n")
                process = await connection.create_process("live 999999")
                assert await process.stdout.readline() == "begun\n"
                assert await process.stdout.readline() == "packet 999998\n"
                process.stdin.write("no key\x03")
                assert (await until(process, "the end\n")).endswith("the end\n")
                process = await connection.create_process()
                process.stdin.write("live 3\nshow version\n")
                assert (await until(process, "hsadc 1.0\n")).endswith("the end\nhsadc 1.0\n")
                process.stdin.write_eof()

        serve(talk)

    @pytest.mark.parametrize("term", [None, "vt100"])
    def test_a_command_that_goes_on_ends_with_its_client(self, serve, term):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                process = await connection.create_process("live 999999", term_type=term)
                await process.stdout.readline()
                connection.abort()
            shell = server.shells[0]
            assert await asyncio.to_thread(shell.ended.wait, 5)
            assert shell.live > 990000

        serve(talk)

    def test_input_without_lines_is_refused_before_it_is_large(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                done = await connection.run(input="x" * (1 << 20))
                assert (done.stdout, done.exit_status) == ("line 1: % Error: the line is longer than 65536 characters\n", 1)

        serve(talk)

    def test_a_byte_that_is_not_utf8_is_one_odd_character(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                done = await connection.run(input=b"configure\nhostname caf\xe9\n", encoding=None)
                assert done.exit_status == 0

        assert serve(talk).shells[0].committed == "caf\ufffd"

    def test_a_bug_is_logged_and_ends_only_this_session(self, serve, caplog):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                assert (await connection.run("crash")).exit_status == 1
                assert (await connection.run("show version")).exit_status == 0

        serve(talk)
        assert "RuntimeError: a bug" in caplog.text


class TestTerminal:
    def test_a_dialogue(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                process = await connection.create_process(term_type="vt100", term_size=(80, 5))
                process.stdin.write("show vers\x7f\x7f\x7f\x7fversion\r")
                assert await until(process, "hsadc 1.0\r\nhsadc#")
                process.stdin.write("show lines 9\r")
                assert (await until(process, " --More-- ")).endswith("line 4\r\n --More-- ")
                process.channel.change_terminal_size(80, 8)
                process.stdin.write("q")
                await until(process, "hsadc#")
                process.stdin.write("show lines 9\r")
                assert (await until(process, " --More-- ")).endswith("line 7\r\n --More-- ")
                process.stdin.write("qexit\r")
                done = await process.wait()
                assert done.exit_status == 0

        serve(talk)

    def test_a_bad_byte_a_break_and_a_signal_end_nothing(self, serve):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                process = await connection.create_process(term_type="vt100", encoding=None)
                process.stdin.write(b"hostname caf\xe9!")
                await process.stdout.readuntil("#hostname caf\ufffd!".encode())
                process.channel.send_break(100)
                await process.stdout.readuntil(b"^C\r\nhsadc#")
                process.stdin.write(b"nonsense")
                process.channel.send_signal("INT")
                await process.stdout.readuntil(b"^C\r\nhsadc#")
                process.stdin.write(b"exit\r")
                assert (await process.wait()).exit_status == 0

        assert serve(talk).shells[0].ran == ["exit"]

    def test_hanging_up_in_the_middle_of_a_command_leaves_no_trace(self, serve, caplog):
        async def talk(server: Server) -> None:
            async with server.connect() as connection:
                process = await connection.create_process(term_type="vt100")
                process.stdin.write("wait\r")
                await until(process, "wait\r\n")
                await asyncio.to_thread(server.shells[0].started.wait)
                connection.abort()
                await connection.wait_closed()
            server.shells[0].may_go_on.set()
            async with server.connect() as connection:
                assert (await connection.run("show version")).exit_status == 0

        serve(talk)
        assert "Traceback" not in caplog.text

    def test_a_hundred_sessions_at_once(self, serve):
        async def one(connection: asyncssh.SSHClientConnection, begun: asyncio.Barrier) -> None:
            process = await connection.create_process(term_type="vt100")
            await until(process, "hsadc#")
            await begun.wait()
            process.stdin.write("show version\rexit\r")
            assert "hsadc 1.0" in (await process.wait()).stdout

        async def talk(server: Server) -> None:
            begun = asyncio.Barrier(100)
            async with server.connect() as connection:
                await asyncio.gather(*(one(connection, begun) for _ in range(100)))

        assert len(serve(talk).shells) == 100


class Background:
    """A server in a thread of its own, for clients that block."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._life()))
        self._thread.start()
        self._ready.wait()

    async def _life(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self.server.start():
            self._ready.set()
            await self._stop.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@pytest.fixture
def background(tmp_path, make_shell) -> Iterator[Server]:
    running = Background(Server(tmp_path, make_shell, USERS))
    try:
        yield running.server
    finally:
        running.stop()


@pytest.mark.external
@pytest.mark.parametrize("kind", ["hillstone_stoneos", "cisco_ios"])
def test_netmiko(background, kind):
    login = {"host": "127.0.0.1", "port": background.port, "username": "ops", "password": "secret"}
    with netmiko.ConnectHandler(device_type=kind, **login) as client:
        assert client.find_prompt() == "hsadc#"
        assert client.send_command("show version") == "hsadc 1.0"
        assert client.send_command("show lines 100").splitlines() == [f"line {n}" for n in range(1, 101)]
        pushed = client.send_config_set([f"hostname {'h' * n}" for n in range(1, 60)] + ["hostname hsadc"])
        assert "unrecognized" not in pushed
        with pytest.raises(netmiko.exceptions.ConfigInvalidException):
            client.send_config_set(["nonsense"], error_pattern=r"\^-----")
        client.exit_config_mode()
        long = f'! "{"long? " * 200}"'
        client.send_config_set([long, "hostname last"])
    ran = background.shells[0].ran
    assert [line for line in ran if line.startswith("hostname ")][:59] == [f"hostname {'h' * n}" for n in range(1, 60)]
    assert long in ran
    assert background.shells[0].committed == "last"


@pytest.fixture
def openssh(background, tmp_path) -> list[str]:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_bytes(KEY.export_private_key())
    options = {"IdentityFile": str(key), "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR"}
    return ["ssh", "-F", "none", "-p", str(background.port), *(f"-o{k}={v}" for k, v in options.items()), "ops@127.0.0.1"]


def run_openssh(command: list[str], typed: str = "") -> tuple[int, str]:
    done = subprocess.run(command, input=typed.encode(), capture_output=True, timeout=60, check=False)
    assert done.stderr in (b"", b"Connection to 127.0.0.1 closed.\r\n")
    return done.returncode, done.stdout.decode()


@pytest.mark.external
class TestOpenSsh:
    def test_a_command(self, openssh):
        assert run_openssh([*openssh, "show version"]) == (0, "hsadc 1.0\n")
        assert run_openssh([*openssh, "nonsense"])[0] == 1

    def test_a_command_on_a_pty_is_a_batch_too(self, openssh):
        assert run_openssh(["ssh", "-tt", *openssh[1:], "show version"]) == (0, "hsadc 1.0\r\n")

    def test_a_file(self, openssh, background):
        lines = ["configure", *(f"hostname h{n}" for n in range(5000)), "show version"]
        assert run_openssh(openssh, "\n".join(lines)) == (0, "hsadc 1.0\n")
        assert background.shells[0].ran == lines
        assert background.shells[0].committed == "h4999"

    def test_a_paste_into_a_terminal(self, openssh, background):
        lines = ["configure", *(f"hostname h{n}" for n in range(5000)), "end", "exit"]
        status, shown = run_openssh(["ssh", "-tt", *openssh[1:]], "\n".join(lines) + "\n")
        assert status == 0
        assert background.shells[0].ran == lines
        assert shown.endswith("h4999(config)#end\r\nh4999#exit\r\n")
