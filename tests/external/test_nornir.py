"""Nornir with netmiko's tasks: two devices at once."""

from __future__ import annotations

import pytest
from nornir import InitNornir
from nornir_netmiko.tasks import netmiko_save_config, netmiko_send_command, netmiko_send_config

from tests.external.conftest import SAMPLES, KeptDevice

pytestmark = pytest.mark.external

REFUSED = r"\^-----.*|% .*"
ARTICLE = (SAMPLES / "article.cfg").read_text()
HOST = """{name}:
  hostname: 127.0.0.1
  port: {port}
  platform: hillstone_stoneos
  username: admin
  password: hsadc
"""


@pytest.fixture
def devices(tmp_path):
    devices = {}
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
        devices[name] = KeptDevice(tmp_path / name)
    yield devices
    assert [device.stop() for device in devices.values()] == [0, 0]


@pytest.fixture
def nornir(devices, tmp_path):
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text("".join(HOST.format(name=name, port=device.port) for name, device in devices.items()))
    inventory = {"plugin": "SimpleInventory", "options": {"host_file": str(hosts)}}
    runner = {"plugin": "threaded", "options": {"num_workers": 2}}
    with InitNornir(inventory=inventory, runner=runner, logging={"enabled": False}) as nornir:
        yield nornir


def test_the_article_is_pushed_saved_and_read_back(devices, nornir):
    pushed = nornir.run(netmiko_send_config, config_commands=ARTICLE.splitlines(), error_pattern=REFUSED)
    assert not pushed.failed
    assert not nornir.run(netmiko_save_config).failed
    shown = nornir.run(netmiko_send_command, command_string="show startup-config")
    assert {name: result.result.strip() for name, result in shown.items()} == dict.fromkeys(devices, ARTICLE.strip())
    assert [device.saved() for device in devices.values()] == [ARTICLE, ARTICLE]


def test_the_device_that_refuses_is_named(devices, nornir):
    nornir.filter(name="west").run(netmiko_send_config, config_commands=["tunnel gre x"])
    removed = nornir.run(netmiko_send_config, config_commands=["no tunnel gre x"], error_pattern=REFUSED)
    assert list(removed.failed_hosts) == ["east"]
    assert 'tunnel gre "x": there is no such object' in str(removed["east"].exception)
    assert devices["west"].text() == ""
