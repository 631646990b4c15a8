"""Ansible with Cisco's collection, unmodified, and the playbook that we ship."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.external.conftest import SAMPLES, hsadc

pytestmark = pytest.mark.external

ARTICLE = (SAMPLES / "article.cfg").read_text()
CONTRIB = Path(__file__).parents[2] / "contrib" / "ansible"
WRONG = """
- hosts: adc
  gather_facts: false
  tasks:
    - cisco.ios.ios_config:
        lines: [tunnel gree x]
"""


class Ansible:
    """Runs playbooks of ours against a device."""

    def __init__(self, port: int, home: Path) -> None:
        settings = {"HOME": home, "ANSIBLE_HOME": home, "ANSIBLE_HOST_KEY_CHECKING": "False", "LC_ALL": "C.UTF-8"}
        self._environment = {"PATH": os.environ["PATH"], **{k: str(v) for k, v in settings.items()}}
        self._port = port

    def play(self, playbook: Path, ssh_type: str = "libssh"):
        """The exit status, how many tasks changed something, and all that was said."""
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", CONTRIB / "inventory.yml", playbook]
        variables = ("-e", f"ansible_port={self._port}", "-e", f"ansible_network_cli_ssh_type={ssh_type}")
        done = subprocess.run([*command, *variables], capture_output=True, text=True, timeout=100, env=self._environment)
        changed = re.search(r"changed=(\d+)", done.stdout)
        return done.returncode, int(changed[1]) if changed else None, done.stdout + done.stderr


@pytest.fixture
def ansible(kept_device, tmp_path):
    return Ansible(kept_device.port, tmp_path)


def test_a_push(kept_device, ansible):
    """A push changes the device and saves, the next changes nothing, and what somebody changed by hand is put right."""
    startup = kept_device.state / "startup.cfg"
    assert ansible.play(CONTRIB / "push.yml")[:2] == (0, 1)
    assert (kept_device.text(), kept_device.saved()) == (ARTICLE, ARTICLE)
    saved = startup.stat()
    assert ansible.play(CONTRIB / "push.yml")[:2] == (0, 0)
    assert startup.stat() == saved
    by_hand = ("configure", "slb virtual-server l7-http", "no mirror-traffic", "slb real-server rs34", "port 81")
    assert hsadc("exec", "--state-dir", kept_device.state, *(a for line in by_hand for a in ("-c", line))).returncode == 0
    status, changed, said = ansible.play(CONTRIB / "push.yml", "paramiko")
    assert (status, changed) == (0, 1)
    assert "l7-http          1  http  192.168.131.2:8087" in said
    assert (kept_device.text(), kept_device.saved()) == (ARTICLE, ARTICLE)


def test_a_wrong_line(kept_device, ansible, tmp_path):
    (tmp_path / "wrong.yml").write_text(WRONG)
    status, _, said = ansible.play(tmp_path / "wrong.yml")
    assert status == 2
    assert "unrecognized keyword gree" in said
    assert kept_device.text() == ""
