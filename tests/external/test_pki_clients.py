"""OpenSSH brings certificates and keys in; a passphrase is typed on a real terminal; a key is nowhere but in its file."""

from __future__ import annotations

import stat
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from netmiko import ConnectHandler

from tests import pki
from tests.external.conftest import hsadc
from tests.external.openssh import ADDRESS, OpenSsh
from tests.external.window import Window

pytestmark = pytest.mark.external

PASSPHRASE = "korrekt Pferd? 电池"
CA = pki.authority()
WEB = CA.issue("www.example.com", kind="rsa")


@pytest.fixture
def openssh(kept_device, tmp_path) -> OpenSsh:
    return OpenSsh(kept_device, tmp_path)


@pytest.fixture
def upload(openssh, tmp_path):
    """Puts a file on the device by SCP."""

    def put(name: str, data: str | bytes) -> None:
        file = tmp_path / name
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        done = subprocess.run([*openssh.command("scp"), str(file), f"{ADDRESS}:{name}"], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr

    return put


@pytest.fixture
def terminal(openssh) -> Iterator[Window]:
    with Window([*openssh.command("ssh", "-tt"), ADDRESS]) as window:
        window.until("hsadc#")
        yield window
        window.type("exit\r")
        assert window.status() == 0


def imported(kept_device, name: str) -> str:
    return (kept_device.state / "pki" / name).read_text()


class TestTerminal:
    def test_the_passphrase_is_asked_for_and_not_shown(self, kept_device, upload, terminal):
        upload("web.key", WEB.encrypted(PASSPHRASE))
        terminal.type("import pki key web.key\r")
        assert terminal.until("Passphrase: ") == "import pki key web.key\r\nPassphrase: "
        terminal.type(f"{PASSPHRASE}\r")
        assert terminal.until("hsadc#") == '\r\nKey "web.key" is imported (RSA 2048), the uploaded file is removed\r\nhsadc#'
        assert imported(kept_device, "web.key") == WEB.key_pem
        terminal.type("show history\r")
        assert PASSPHRASE not in terminal.until("hsadc#")
        assert list((kept_device.state / "files").iterdir()) == []

    def test_three_tries(self, kept_device, upload, terminal):
        upload("web.key", WEB.encrypted(PASSPHRASE))
        wrong = "\r\n% Error: web.key: its key cannot be decrypted with this passphrase\r\n"
        terminal.type("import pki key web.key\r")
        terminal.until("Passphrase: ")
        for after in ("Passphrase: ", "Passphrase: ", "hsadc#"):
            terminal.type("guess\r")
            assert terminal.until(after) == wrong + after
        assert not (kept_device.state / "pki" / "web.key").exists()
        assert [f.name for f in (kept_device.state / "files").iterdir()] == ["web.key"]

    @pytest.mark.parametrize("key", ["\x03", "half\x03", "\x04"])
    def test_abandoned(self, kept_device, upload, terminal, key):
        upload("web.p12", WEB.pkcs12(PASSPHRASE))
        terminal.type("import pki pkcs12 web.p12\r")
        terminal.until("Passphrase: ")
        terminal.type(key)
        assert terminal.until("hsadc#") == "\r\n% Error: no passphrase was given, nothing was imported\r\nhsadc#"
        assert list((kept_device.state / "pki").iterdir()) == []

    def test_the_console_attached_to_the_device(self, kept_device, upload):
        """The program's own shell, in a window of its own, through the control socket."""
        upload("web.p12", WEB.pkcs12(PASSPHRASE))
        with Window([sys.executable, "-m", "hsadc", "--state-dir", str(kept_device.state)]) as window:
            window.until_seen("#")
            window.type("import pki pkcs12 web.p12\r")
            window.until_seen("Passphrase: ")
            window.type(f"{PASSPHRASE}\r")
            shown = window.until_seen("the uploaded file is removed")
            assert PASSPHRASE not in shown
            assert "*" not in shown
            window.type("exit\r")
            assert window.status() == 0
        assert imported(kept_device, "web.key") == WEB.key_pem


class TestBatch:
    def test_the_passphrase_stands_in_the_line(self, kept_device, openssh, upload):
        upload("web.key", WEB.encrypted(PASSPHRASE))
        done = openssh.run("import pki key web.key")
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1] == (
            "% Error: web.key: it is encrypted, and nobody can be asked here: "
            "`passphrase ...` at the end of the line gives its passphrase"
        )
        done = openssh.run(stdin="import pki key web.key passphrase wrong one\n")
        assert done.returncode == 1
        assert done.stdout == (
            "line 1: import pki key web.key passphrase ***\nhsadc#import pki key web.key passphrase ***\n"
            "% Error: web.key: its key cannot be decrypted with this passphrase\n"
        )
        done = openssh.run(stdin=f"import pki key web.key passphrase {PASSPHRASE}\n")
        assert done.stdout == 'Key "web.key" is imported (RSA 2048), the uploaded file is removed\n'
        assert imported(kept_device, "web.key") == WEB.key_pem

    @pytest.mark.parametrize("options", [("-tt",), ("-T",)])
    def test_a_command_never_waits_for_an_answer(self, openssh, upload, options):
        upload("web.key", WEB.encrypted(PASSPHRASE))
        done = openssh.run("import pki key web.key", options=options, stdin=f"{PASSPHRASE}\n")
        assert done.returncode == 1
        assert "nobody can be asked here" in done.stdout

    def test_the_program_of_this_machine(self, kept_device, upload):
        upload("web.p12", WEB.pkcs12(PASSPHRASE))
        line = f"import pki pkcs12 web.p12 passphrase {PASSPHRASE}\n"
        done = hsadc("exec", "--state-dir", kept_device.state, "-f", "-", stdin=line)
        assert done.returncode == 0, done.stdout
        assert 'Certificate "web.crt" and key "web.key" are imported: CN=www.example.com' in done.stdout


def test_netmiko_answers_the_question(kept_device, upload):
    upload("web.key", WEB.encrypted(PASSPHRASE))
    login = {"device_type": "cisco_ios", "host": "127.0.0.1", "port": kept_device.port, "username": "admin"}
    with ConnectHandler(**login, use_keys=True, key_file=str(kept_device.state.parent / "id")) as ssh:
        assert ssh.send_command("import pki key web.key", expect_string="Passphrase:") == "Passphrase: "
        said = ssh.send_command(PASSPHRASE, expect_string="#", cmd_verify=False, strip_command=False)
    assert 'Key "web.key" is imported' in said
    assert PASSPHRASE not in said


class TestNowhereElse:
    """The key's own bytes, and its passphrase, are searched for in everything that the device writes or says."""

    @pytest.fixture
    def device(self, kept_device, openssh, upload):
        upload("web.key", WEB.encrypted(PASSPHRASE))
        upload("web.crt", WEB.chain)
        upload("both.pem", WEB.key_pem + WEB.chain)
        upload("web.p12", WEB.pkcs12(PASSPHRASE))
        lines = (
            "import pki certificate web.crt",
            "import pki key web.key passphrase wrong",
            f'import pki key web.key passphrase "{PASSPHRASE}"',  # in quotes `?` is no question
            "import pki certificate both.pem",
            f'import pki pkcs12 web.p12 passphrase "{PASSPHRASE}"',
            "configure",
            'pki trust-domain "web"',
            "certificate file web.crt",
            "key file web.key",
            "end",
            "copy running-config backup.cfg",
            "save",
            "save again",
        )
        with Window([*openssh.command("ssh", "-tt"), ADDRESS]) as window:
            window.until("hsadc#")
            window.type("\r".join([*lines, "exit", ""]))
            assert window.status() == 0
        return kept_device

    def test_files(self, device):
        found = [f for f in device.state.rglob("*") if f.is_file() and holds_key(f)]
        assert sorted(f.name for f in found) == ["both.pem", "web.key"]
        assert {f.parent for f in found} == {device.state / "pki"}
        for path in (*found, device.state / "pki"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert holds_key(device.state.parent / "daemon.log") is False
        for file in device.state.rglob("*"):
            assert file.is_dir() or not file.is_file() or PASSPHRASE.encode() not in file.read_bytes(), file

    def test_what_is_shown(self, device, openssh):
        for line in (
            "show tech-support",
            "show tech-support | json",
            "show running-config",
            "show running-config | json",
            "show startup-config",
            "show configuration backup 0",
            "show ssl certificate web",
            "show ssl certificate | json",
            "show pki files | json",
            "show logging",
            "show history",
        ):
            done = openssh.run(line)
            assert done.returncode == 0, done.stdout
            assert not is_key(done.stdout.encode()), line
            assert PASSPHRASE not in done.stdout

    def test_sftp_does_not_get_there(self, device, openssh, tmp_path):
        sftp = openssh.command("sftp", "-b", "-")
        for path in ("../pki/web.key", "/pki/web.key", f"{device.state}/pki/web.key", "..//pki/web.key"):
            done = subprocess.run(
                [*sftp, ADDRESS], input=f"get {path} {tmp_path}/stolen\n".encode(), capture_output=True, timeout=60
            )
            assert done.returncode == 1, path
        done = subprocess.run(
            [*openssh.command("scp", "-O"), f"{ADDRESS}:../pki/web.key", f"{tmp_path}/stolen"], capture_output=True
        )
        assert done.returncode != 0
        assert not (tmp_path / "stolen").exists()

    def test_the_process_tells_nothing(self, device):
        pid = device._process.pid
        for name in ("environ", "cmdline"):
            data = Path(f"/proc/{pid}/{name}").read_bytes()
            assert not is_key(data)
            assert PASSPHRASE.encode() not in data
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert "Max core file size        0                    0" in limits


def is_key(data: bytes) -> bool:
    """Whether any part of the key that matters stands in it: as PEM, as bytes, or as numbers."""
    lines = WEB.key_pem.splitlines()[2:-2]
    der = b64decode("".join(WEB.key_pem.splitlines()[1:-1]))
    prime = WEB.key.private_numbers().p
    forms = [*(line.encode() for line in lines), prime.to_bytes(128), str(prime).encode(), f"{prime:x}".encode(), der[400:420]]
    return any(form in data for form in forms)


def holds_key(file: Path) -> bool:
    return is_key(file.read_bytes())


def test_what_looks_for_a_key_finds_one():
    assert is_key(WEB.key_pem.encode())
    assert is_key(b"x" + b64decode("".join(WEB.key_pem.splitlines()[1:-1])))
    assert not is_key(WEB.chain.encode())
