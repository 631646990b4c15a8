"""Two devices never work in one network namespace."""

import os
import signal
import subprocess
import sys

import pytest

from hsadc.dataplane.claim import claim_network
from hsadc.dataplane.originals import kernel_identity
from hsadc.errors import Conflict
from tests.netns.mirror_net import until

pytestmark = pytest.mark.netns


def run_daemon(state_dir, log):
    command = [sys.executable, "-m", "hsadc", "daemon", "--ssh", "off", "--state-dir", str(state_dir)]
    return subprocess.Popen(command, stdout=log, stderr=log)


def test_a_second_device_with_a_directory_of_its_own_is_refused(net, tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as out, run_daemon(tmp_path / "one", out) as first:
        try:
            until(lambda: b"ready" in log.read_bytes())
            with run_daemon(tmp_path / "two", out) as second:
                try:
                    assert second.wait(20) == 1
                finally:
                    second.kill()
            assert b"hsadc: hsadc daemon: another one, with another state directory, works on this machine" in log.read_bytes()
            assert first.poll() is None
        finally:
            first.terminate()
    assert first.returncode == 0
    assert not os.path.exists(f"/run/hsadc-{kernel_identity().rpartition('/')[2]}.lock")


def test_who_is_killed_holds_nothing(net):
    script = "from hsadc.dataplane.claim import claim_network\nwith claim_network():\n    print(flush=True)\n    input()"
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(Conflict), claim_network():
            pass
        other.send_signal(signal.SIGKILL)
    with claim_network():
        pass
