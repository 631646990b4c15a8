"""netmiko's own drivers push the article, read it back and save it."""

from __future__ import annotations

import pytest
from netmiko import ConfigInvalidException, ConnectHandler

from tests.external.conftest import SAMPLES

pytestmark = pytest.mark.external

ARTICLE = (SAMPLES / "article.cfg").read_text()
VERBATIM = (SAMPLES / "article-verbatim.cfg").read_text()


def connect(driver, port, **more):
    return ConnectHandler(device_type=driver, host="127.0.0.1", port=port, username="admin", password="hsadc", **more)


@pytest.mark.parametrize("driver", ["hillstone_stoneos", "cisco_ios"])
@pytest.mark.parametrize("text", [ARTICLE, VERBATIM], ids=["rendered", "verbatim"])
def test_the_article_is_pushed_read_back_and_saved(kept_device, driver, text):
    with connect(driver, kept_device.port) as connection:
        said = connection.send_config_set(text.splitlines(), error_pattern=r"\^-----|% ")
        assert "hsadc(config-slb-vs)#" in said
        assert not connection.check_config_mode()
        for command in ("show running-config", "show configuration", "show configuration running"):
            assert connection.send_command(command).strip() == ARTICLE.strip()
        connection.save_config()
        assert connection.send_command("show startup-config").strip() == ARTICLE.strip()
    assert kept_device.text() == ARTICLE
    assert kept_device.saved() == ARTICLE


@pytest.mark.parametrize("driver", ["hillstone_stoneos", "cisco_ios"])
def test_an_error_stops_the_push(kept_device, driver):
    with connect(driver, kept_device.port) as connection:
        with pytest.raises(ConfigInvalidException):
            connection.send_config_set(['tunnel gre "x"', "destinaton 1.2.3.4"], error_pattern=r"\^-----|% ")
        connection.exit_config_mode()
        assert connection.send_command("show privilege") == "Current privilege level is 15"
    assert kept_device.text() == 'tunnel gre "x"\nexit\n'


def test_a_push_to_a_device_that_forwards(lab):
    def push():
        return connect("hillstone_stoneos", 2222)

    with lab.inside("adc", push) as connection:
        off = ['slb virtual-server "l7-http"', "no mirror-traffic"]
        connection.send_config_set(off, error_pattern=r"\^-----|% ")
        assert "mirror-traffic" not in connection.send_command("show running-config")
        connection.send_config_set(VERBATIM.splitlines(), error_pattern=r"\^-----|% ")
        assert connection.send_command("show running-config").strip() == ARTICLE.strip()
        assert "tunnel1: up" in connection.send_command("show tunnel gre")
