"""scrapli's driver for IOS pushes the article, reads it back and saves it.

Two generations are in use: since 2026 scrapli is a native library above OpenSSH's client or libssh2; before, it was Python
all through, with paramiko as one of its transports. That one lives in a folder beside (see the Makefile), and runs in a process
of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from scrapli import AuthOptions, Cli
from scrapli.transport import BinOptions, Ssh2Options

from tests.external.conftest import SAMPLES

pytestmark = pytest.mark.external

ARTICLE = (SAMPLES / "article.cfg").read_text()
CLASSIC = Path(sys.prefix) / "scrapli-classic"


def connect(port, transport):
    login = AuthOptions(username="admin", password="hsadc")
    return Cli("127.0.0.1", port=port, definition_file_or_name="cisco_iosxe", auth_options=login, transport_options=transport)


@pytest.fixture(params=[BinOptions(extra_open_args=["-F", "none"]), Ssh2Options()], ids=["openssh", "libssh2"])
def connection(kept_device, request):
    with connect(kept_device.port, request.param) as connection:
        yield connection


def test_the_article_is_pushed_read_back_and_saved(kept_device, connection):
    pushed = connection.send_inputs(inputs=ARTICLE.splitlines(), requested_mode="configuration", stop_on_indicated_failure=True)
    assert not pushed.failed
    assert pushed.result.split() == []
    assert connection.send_input(input_="show running-config").result.strip() == ARTICLE.strip()
    assert not connection.send_input(input_="write memory").failed
    assert kept_device.text() == ARTICLE
    assert kept_device.saved() == ARTICLE


def test_an_error_stops_the_push(kept_device, connection):
    lines = ['tunnel gre "x"', "destinaton 1.2.3.4", "hostname never"]
    pushed = connection.send_inputs(inputs=lines, requested_mode="configuration", stop_on_indicated_failure=True)
    assert pushed.failed
    assert "^-----unrecognized keyword destinaton, did you mean 'destination'?" in pushed.result
    assert connection.send_input(input_="show privilege").result == "Current privilege level is 15"
    assert kept_device.text() == 'tunnel gre "x"\nexit\n'


@pytest.mark.parametrize("transport", ["system", "paramiko"])
def test_the_generation_before_2026(kept_device, transport):
    program = Path(__file__).with_name("scrapli_classic.py")
    arguments = [str(kept_device.port), transport, str(SAMPLES / "article.cfg")]
    environment = {"PYTHONPATH": str(CLASSIC), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, program, *arguments], capture_output=True, text=True, timeout=90, env=environment)
    assert done.returncode == 0, done.stderr
    assert kept_device.text() == ARTICLE
    assert kept_device.saved() == ARTICLE
