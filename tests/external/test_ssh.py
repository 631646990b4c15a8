"""OpenSSH's client: a terminal, a batch, and the article typed by hand in short words."""

from __future__ import annotations

import pytest

from tests.external.conftest import SAMPLES, hsadc
from tests.external.openssh import ADDRESS, OpenSsh
from tests.external.window import Window

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
slb server-p l7-http
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
server-p l7-http
auto
ip 192.168.131.2 po 8087
mirr int tun1
end
"""


@pytest.fixture
def openssh(kept_device, tmp_path) -> OpenSsh:
    return OpenSsh(kept_device, tmp_path)


def real_servers(count):
    """Lines of configuration, and so many blocks of three lines."""
    blocks = (f'slb real-server "rs{n}"\n  ip 10.0.{n // 256}.{n % 256}\n  port {n + 1}\nexit\n' for n in range(count))
    return "".join(blocks)


def test_the_article_typed_in_short_words_is_the_article(openssh):
    done = openssh.run(stdin=TYPED + "exit\n", options=("-tt",))
    assert done.returncode == 0, done.stdout
    assert "^-----" not in done.stdout
    assert openssh.configured() == ARTICLE


def test_a_file_by_standard_input_is_one_transaction(openssh):
    done = openssh.run(stdin="configure\n" + ARTICLE)
    assert (done.returncode, done.stdout) == (0, "")
    assert openssh.configured() == ARTICLE
    broken = "configure\nhostname lost\nno interface tunnel1\n"
    done = openssh.run(stdin=broken)
    assert done.returncode == 1
    assert 'interface tunnel1: it is used by slb virtual-server "l7-http" and cannot be deleted' in done.stdout
    assert openssh.configured() == ARTICLE


@pytest.mark.parametrize("options", [("-tt",), ("-T",)], ids=["terminal", "batch"])
def test_five_thousand_lines_are_in_force_in_order(openssh, options):
    text = real_servers(1250)
    assert text.count("\n") == 5000
    done = openssh.run(stdin=f"configure\n{text}end\nexit\n", options=options)
    assert done.returncode == 0
    assert openssh.configured() == text
    prompts = [line.partition("#")[2] for line in done.stdout.split("\r\n")]
    assert options == ("-T",) or prompts == ["configure", *text.splitlines(), "end", "exit", ""]


def test_a_byte_that_is_not_utf8_costs_its_line_and_no_other(openssh):
    typed = b'configure\nslb real-server "caf\xe9"\nslb real-server "caf\xc3\xa9"\nend\nexit\n'
    done = openssh.run(stdin=typed, options=("-tt",))
    assert done.returncode == 0
    assert done.stdout.count("^-----") == 1
    assert openssh.configured() == 'slb real-server "café"\nexit\n'


def test_a_byte_that_is_not_utf8_ends_a_batch(openssh):
    done = openssh.run(stdin=b'configure\nslb real-server "one"\nslb real-server "caf\xe9"\n')
    assert done.returncode == 1
    assert done.stdout.startswith("line 3: slb real-server ")
    assert openssh.configured() == ""


def test_pages_follow_the_window(openssh):
    text = real_servers(30)
    assert openssh.run(stdin="configure\n" + text).returncode == 0
    with Window([*openssh.command(), ADDRESS]) as window:
        window.until("hsadc#")
        for rows in (30, 8):
            window.resize(rows)
            window.type("\r")  # the client may send what is typed before it tells of the new size, but not what is typed later
            window.until("hsadc#")
            window.type("show running-config\r")
            assert window.until(" --More-- ").count("\r\n") == 1 + (rows - 1)
            window.type("q")
            window.until("hsadc#")
        window.type("exit\r")
        assert window.status() == 0


def test_a_command_and_its_status(openssh):
    done = openssh.run("show privilege")
    assert (done.returncode, done.stdout) == (0, "Current privilege level is 15\n")
    done = openssh.run("show privilage")
    assert done.returncode == 1
    assert "unrecognized keyword privilage, did you mean 'privilege'?" in done.stdout


def test_the_default_password_is_gone_once_there_is_an_administrator(openssh):
    refused = openssh.run(key=False)
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_the_default_password_is_not_for_other_machines(tmp_path):
    arguments = ("--dataplane", "none", "--state-dir", tmp_path / "state", "--ssh", "0.0.0.0:22222")
    done = hsadc("daemon", *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "hsadc: ssh 0.0.0.0: configure an administrator first (admin user NAME): the default account is for loopback only"
    )
