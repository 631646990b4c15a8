"""HAProxy is killed in every way, and is back."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_supervisor import HaproxyState, Supervisor
from tests.netns.haproxy_lab import Site, site

pytestmark = pytest.mark.netns

Lab = tuple[Site, HaproxyDriver, Supervisor]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with site(tmp_path) as (here, driver):
        supervisor = Supervisor(driver)
        supervisor.start()
        try:
            yield here, driver, supervisor
        finally:
            supervisor.stop()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def steal(here: Site) -> socket.socket:
    """Bind the virtual server's port as soon as the dying worker has let it go."""
    while True:
        try:
            return socket.create_server((str(here.address), here.port))
        except OSError:
            time.sleep(0.01)


def test_state(lab: Lab) -> None:
    here, driver, supervisor = lab
    assert supervisor.state() == HaproxyState(None, None, None, 0, None)
    driver.create(here.intent())
    state = supervisor.state()
    assert [state.pid] == here.masters
    assert state.version is not None
    assert state.version.startswith("2.")
    assert state.running_since is not None
    assert abs(state.running_since.timestamp() - Path(f"/proc/{state.pid}").stat().st_mtime) < 60
    driver.delete(here.intent())
    assert supervisor.state() == HaproxyState(None, None, None, 0, None)


@pytest.mark.parametrize("whom", ["masters", "workers"])
@pytest.mark.parametrize("times", [1, 3])
def test_killed_and_back(lab: Lab, whom: str, times: int) -> None:
    here, driver, supervisor = lab
    intent = here.intent()
    driver.create(intent)
    for n in range(times):
        (pid,) = getattr(here, whom)
        old = supervisor.state().pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda n=n: supervisor.state().restarts == n + 1)
        assert here.get()
        state = supervisor.state()
        assert state.last_error == f"process {old} ended without being told to"
        wait_until(lambda: len(here.processes()) == 2)
        assert here.masters == [state.pid]
    assert driver.observe({}) == {intent.key: intent}


def test_an_adopted_one_is_watched_too(lab: Lab) -> None:
    here, driver, supervisor = lab
    intent = here.intent()
    driver.create(intent)
    supervisor.stop()
    second = HaproxyDriver(here.state_dir)
    other = Supervisor(second)
    other.start()
    try:
        assert second.observe({}) == {intent.key: intent}
        os.kill(here.masters[0], signal.SIGKILL)
        wait_until(lambda: other.state().restarts == 1)
        assert here.get()
        second.delete(intent)
    finally:
        other.stop()


@pytest.mark.parametrize("spoil", [lambda file: file.write_text("by hand\n"), lambda file: file.unlink()], ids=["other", "gone"])
def test_it_serves_what_it_served_whatever_became_of_its_file(lab: Lab, spoil: Callable[[Path], object]) -> None:
    here, driver, supervisor = lab
    driver.create(here.intent())
    spoil(here.state_dir / "haproxy" / "haproxy.cfg")
    driver.observe({})
    os.kill(here.masters[0], signal.SIGKILL)
    wait_until(lambda: supervisor.state().restarts == 1)
    assert here.get()
    assert driver.observe({}) == {here.intent().key: here.intent()}


def test_what_was_deleted_stays_away(lab: Lab) -> None:
    here, driver, supervisor = lab
    driver.create(here.intent())
    driver.delete(here.intent())
    supervisor.stop()
    assert supervisor.state().restarts == 0
    assert here.processes() == {}


def test_no_zombie_stays(lab: Lab) -> None:
    here, driver, supervisor = lab
    driver.create(here.intent())
    pid = here.masters[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: supervisor.state().restarts == 1)
    assert not Path(f"/proc/{pid}").exists()


def test_it_is_tried_again_until_it_starts(lab: Lab) -> None:
    here, driver, supervisor = lab
    driver.create(here.intent())
    with driver.lock:
        os.kill(here.masters[0], signal.SIGKILL)
        thief = steal(here)
    with thief:
        wait_until(lambda: "Address already in use" in (supervisor.state().last_error or ""))
        assert supervisor.state().pid is None
    wait_until(lambda: supervisor.state().restarts == 1)
    assert here.get()


def test_a_change_while_it_is_down_brings_it_back(lab: Lab) -> None:
    here, driver, supervisor = lab
    old, new = here.intent(weight=1), here.intent(weight=2)
    driver.create(old)
    with driver.lock:
        os.kill(here.masters[0], signal.SIGKILL)
        wait_until(lambda: here.processes() == {})
        driver.change(old, new)
    assert driver.observe({}) == {new.key: new}
    assert len(here.masters) == 1
    assert supervisor.state().restarts == 0


def test_stopping_the_supervisor_leaves_haproxy_alone(lab: Lab) -> None:
    here, driver, supervisor = lab
    driver.create(here.intent())
    supervisor.stop()
    assert here.get()
    assert "haproxy-supervisor" not in {t.name for t in threading.enumerate()}
