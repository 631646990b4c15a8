"""A device that has been stopped puts nothing in force any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsadc.config.commit import Device
from hsadc.config.store import StartupFile
from hsadc.errors import ApplyError
from hsadc.syntax.grammar import load_grammar


def test_a_commit_that_comes_after_the_stop_is_refused(tmp_path):
    device = Device(load_grammar(), StartupFile(tmp_path / "startup.cfg"), None)
    device.stop()
    with pytest.raises(ApplyError, match="the device is stopping; nothing was changed"):
        device.commit(lambda running: replace(running, hostname="late"))
    assert device.running.hostname == "hsadc"
