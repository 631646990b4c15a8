"""OpenSSH's client: a terminal, a batch, and the article typed by hand in short words."""

from __future__ import annotations

import subprocess

import pytest

from tests.external.conftest import SAMPLES, hsadc

pytestmark = pytest.mark.external

ARTICLE = (SAMPLES / "article.cfg").read_text()

TYPED = """conf t
int e0/0
ip addr 192.168.131.2 255.255.255.0
ip route 0.0.0.0 0.0.0.0 192.168.131.254
app-p l7-http-profile
slb rea rs33
ip 192.168.131.33
po 80
slb rea rs34
ip 192.168.131.34
po 80
slb rea rs35
ip 192.168.131.35
po 80
slb serv l7-http
real rs33
real rs34
real rs35
tun gre tunnel-to-142
so int e0/0
dest 192.168.141.2
int e0/0
exit
int tun1
tun g tunnel-to-142
slb vi l7-http ty http id 1
log en
app l7-http-profile
serv l7-http
auto
ip 192.168.131.2 po 8087
mirr int tun1
end
"""


def ssh(device, key, *command, stdin="", options=()):
    arguments = ["ssh", "-F", "none", "-i", str(key), "-p", str(device.port), "-o", "StrictHostKeyChecking=no"]
    arguments += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", *options]
    return subprocess.run([*arguments, "admin@127.0.0.1", *command], input=stdin, capture_output=True, text=True, timeout=60)


@pytest.fixture
def key(kept_device, tmp_path):
    """An administrator's key; with it the default password is no longer accepted."""
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    public = file.with_suffix(".pub").read_text().strip()
    lines = ("configure", "admin user admin", f"ssh-key {public}")
    done = hsadc("exec", "--state-dir", kept_device.state, *(a for line in lines for a in ("-c", line)))
    assert done.returncode == 0, done.stdout + done.stderr
    return file


def without_admin(text):
    return text.partition("exit\n")[2]


def test_the_article_typed_in_short_words_is_the_article(kept_device, key):
    done = ssh(kept_device, key, stdin=TYPED + "exit\n", options=("-tt",))
    assert done.returncode == 0, done.stdout
    assert "^-----" not in done.stdout
    assert without_admin(kept_device.text()) == ARTICLE


def test_a_file_by_standard_input_is_one_transaction(kept_device, key):
    done = ssh(kept_device, key, stdin="configure\n" + ARTICLE)
    assert (done.returncode, done.stdout) == (0, "")
    assert without_admin(kept_device.text()) == ARTICLE
    broken = "configure\nhostname lost\nno interface tunnel1\n"
    done = ssh(kept_device, key, stdin=broken)
    assert done.returncode == 1
    assert 'interface tunnel1: it is used by slb virtual-server "l7-http" and cannot be deleted' in done.stdout
    assert without_admin(kept_device.text()) == ARTICLE


def test_a_command_and_its_status(kept_device, key):
    done = ssh(kept_device, key, "show privilege")
    assert (done.returncode, done.stdout) == (0, "Current privilege level is 15\n")
    done = ssh(kept_device, key, "show privilage")
    assert done.returncode == 1
    assert "unrecognized keyword privilage, did you mean 'privilege'?" in done.stdout


def test_the_default_password_is_gone_once_there_is_an_administrator(kept_device, key):
    refused = ssh(kept_device, key.with_suffix(".none"), options=("-o", "BatchMode=yes"))
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_the_default_password_is_not_for_other_machines(tmp_path):
    arguments = ("--dataplane", "none", "--state-dir", tmp_path / "state", "--ssh", "0.0.0.0:22222")
    done = hsadc("daemon", *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "hsadc: ssh 0.0.0.0: configure an administrator first (admin user NAME): the default account is for loopback only"
    )
