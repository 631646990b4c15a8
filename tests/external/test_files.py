"""OpenSSH's scp and sftp, and netmiko's file transfer, put configuration files on the device and fetch them."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from netmiko import ConnectHandler
from paramiko import SFTPClient

from tests.external.conftest import SAMPLES
from tests.external.openssh import ADDRESS, OpenSsh

pytestmark = pytest.mark.external

ARTICLE = (SAMPLES / "article.cfg").read_text()


@pytest.fixture
def openssh(kept_device, tmp_path) -> OpenSsh:
    return OpenSsh(kept_device, tmp_path)


def run(*command: str, stdin: str = ""):
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=90)


@pytest.mark.parametrize("protocol", [(), ("-O",)], ids=["sftp", "legacy"])
def test_scp_puts_a_file_and_fetches_it(kept_device, openssh, tmp_path, protocol):
    scp = openssh.command("scp", *protocol)
    done = run(*scp, str(SAMPLES / "article.cfg"), f"{ADDRESS}:article.cfg")
    assert (done.returncode, done.stderr) == (0, "")
    kept = kept_device.state / "files" / "article.cfg"
    assert kept.read_text() == ARTICLE
    assert [stat.S_IMODE(p.stat().st_mode) for p in (kept.parent, kept)] == [0o700, 0o600]
    assert run(*scp, f"{ADDRESS}:article.cfg", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_text() == ARTICLE
    assert openssh.run("copy article.cfg running-config").returncode == 0
    assert openssh.configured() == ARTICLE


@pytest.mark.parametrize("protocol", [(), ("-O",)], ids=["sftp", "legacy"])
def test_the_configurations_can_be_fetched_and_not_written(kept_device, openssh, tmp_path, protocol):
    assert openssh.run(stdin="configure\n" + ARTICLE).returncode == 0
    scp = openssh.command("scp", *protocol)
    fetched = tmp_path / "fetched"
    done = run(*scp, f"{ADDRESS}:running-config", str(fetched))
    assert (done.returncode, done.stderr) == (0, "")
    assert fetched.read_text() == kept_device.text()
    done = run(*scp, str(SAMPLES / "article.cfg"), f"{ADDRESS}:running-config")
    assert done.returncode == 1
    assert "ermission denied" in done.stderr or "running-config can only be read" in done.stderr
    assert openssh.run("save").returncode == 0
    assert run(*scp, f"{ADDRESS}:startup-config", str(fetched)).returncode == 0
    assert fetched.read_text() == kept_device.text()


@pytest.mark.parametrize("protocol", [(), ("-O",)], ids=["sftp", "legacy"])
def test_nothing_leads_out_of_the_folder(kept_device, openssh, tmp_path, protocol):
    """What is above the folder is the folder itself; other folders do not exist."""
    source = tmp_path / "escaped"
    source.write_text("hostname escaped\n")
    for target in ("../escaped", "../../escaped", "/etc/escaped", "folder/escaped", "..", "/", ".hidden", "a\tb"):
        run(*openssh.command("scp", *protocol), str(source), f"{ADDRESS}:{target}")
    assert [p.relative_to(kept_device.state).as_posix() for p in kept_device.state.rglob("*escaped*")] == ["files/escaped"]
    assert [p.name for p in (kept_device.state / "files").iterdir()] == ["escaped"]
    assert not Path("/etc/escaped").exists()
    assert list(kept_device.state.parent.glob("escaped")) == [source]


def test_a_link_that_leads_out_is_not_followed_and_none_can_be_made(kept_device, openssh, tmp_path):
    (kept_device.state / "files" / "out").symlink_to("../ssh_host_key")
    sftp = openssh.command("sftp", "-b", "-")
    (tmp_path / "junk").write_text("junk")
    for order in ("get out", "ln -s ../ssh_host_key in", "mkdir sub", f"put {tmp_path / 'junk'} out", "rename out in", "ls out"):
        assert run(*sftp, ADDRESS, stdin=f"lcd {tmp_path}\n{order}\n").returncode == 1, order
    assert not (tmp_path / "out").exists()
    assert [p.name for p in (kept_device.state / "files").iterdir()] == ["out"]
    assert (kept_device.state / "ssh_host_key").read_text() != "junk"


def test_a_dialogue_with_sftp(openssh, tmp_path):
    one = tmp_path / "one"
    one.write_text("hostname one\n")
    orders = f"pwd\nput {one} one.cfg\nput -p {one} two.cfg\nrename two.cfg three.cfg\nls -l\nrm one.cfg\nls -1\n"
    done = run(*openssh.command("sftp", "-b", "-"), ADDRESS, stdin=orders)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Remote working directory: /\n" in done.stdout
    assert "-rw-------" in done.stdout
    assert done.stdout.splitlines()[-3:] == ["running-config", "startup-config", "three.cfg"]


def test_netmiko_and_paramiko_put_and_fetch(kept_device):
    with ConnectHandler(
        device_type="cisco_ios", host="127.0.0.1", port=kept_device.port, username="admin", password="hsadc"
    ) as ssh:
        with SFTPClient.from_transport(ssh.remote_conn_pre.get_transport()) as sftp:
            sftp.put(str(SAMPLES / "article.cfg"), "article.cfg")  # compares the size afterwards
            with sftp.open("article.cfg") as file:
                assert file.read().decode() == ARTICLE
            with pytest.raises(OSError, match="there are no folders"):
                sftp.open("folder/file", "w")
        assert ssh.send_command("show privilege") == "Current privilege level is 15"


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "state" / "files"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.netns
def test_a_full_disk_is_told_and_leaves_no_half_file(small_disk, kept_device, tmp_path):
    openssh = OpenSsh(kept_device, tmp_path)
    (tmp_path / "large").write_bytes(b"!" * 200_000)
    done = run(*openssh.command("scp", "-O"), str(tmp_path / "large"), f"{ADDRESS}:large.cfg")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert run(*openssh.command("scp"), str(tmp_path / "large"), f"{ADDRESS}:large.cfg").returncode == 1
    assert list(small_disk.iterdir()) == []
    (tmp_path / "large").write_bytes(b"!" * 20_000)
    assert run(*openssh.command("scp"), str(tmp_path / "large"), f"{ADDRESS}:large.cfg").returncode == 0
