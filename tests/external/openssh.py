"""OpenSSH's programs as clients of a device, with an administrator's key."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.external.conftest import KeptDevice, hsadc

ADDRESS = "admin@127.0.0.1"


class OpenSsh:
    """An administrator `admin` with a key; once there is one, the default password is no longer accepted."""

    def __init__(self, device: KeptDevice, folder: Path) -> None:
        self._device = device
        self._key = folder / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)], check=True)
        public = self._key.with_suffix(".pub").read_text().strip()
        lines = ("configure", "admin user admin", f"ssh-key {public}")
        done = hsadc("exec", "--state-dir", device.state, *(a for line in lines for a in ("-c", line)))
        assert done.returncode == 0, done.stdout + done.stderr
        self._admin = device.text()

    def command(self, program: str = "ssh", *options: str, key: bool = True) -> list[str]:
        """A program of OpenSSH with options that make it depend on nothing of this machine's user."""
        settings = {
            "Port": self._device.port,
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
        }
        settings |= {"BatchMode": "yes", "IdentitiesOnly": "yes", "IdentityFile": self._key if key else "/dev/null"}
        return [program, "-F", "none", *(f"-o{k}={v}" for k, v in settings.items()), *options]

    def run(self, *command: str, stdin: str | bytes = "", options: tuple[str, ...] = (), key: bool = True):
        """`ssh` to its end; what it says is text."""
        given = stdin if isinstance(stdin, bytes) else stdin.encode()
        done = subprocess.run(
            [*self.command("ssh", *options, key=key), ADDRESS, *command], input=given, capture_output=True, timeout=90
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def configured(self) -> str:
        """The running-config without the administrator."""
        return self._device.text().removeprefix(self._admin)
