"""A client in terms of scrapli before 2026, a process of its own because both generations are called `scrapli`.

Arguments: the device's port on loopback, the transport, and the file with the configuration.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scrapli.driver import GenericDriver
from scrapli.driver.core import IOSXEDriver

port, transport, file = sys.argv[1:]
text = Path(file).read_text()
login = {"host": "127.0.0.1", "port": int(port), "auth_username": "admin", "auth_password": "hsadc", "auth_strict_key": False}

with IOSXEDriver(**login, transport=transport, ssh_config_file=False) as connection:
    pushed = connection.send_configs(text.splitlines(), stop_on_failed=True)
    assert not pushed.failed, pushed.result
    assert len(pushed) == len(text.splitlines())
    refused = connection.send_config("tunnel gree x\nhostname never", stop_on_failed=True)
    assert refused.failed
    assert "^-----unrecognized keyword gree, did you mean 'gre'?" in refused.result
    assert connection.send_command("show running-config").result.strip() == text.strip()
    assert not connection.send_command("write memory").failed

with GenericDriver(**login, transport=transport, ssh_config_file=False) as connection:
    assert connection.get_prompt() == "hsadc#"
    assert connection.send_command("terminal length 0").result == ""
    assert connection.send_command("show startup-config").result.strip() == text.strip()
