"""A commit that is taken back unless it is confirmed: in time, by hand, when the dataplane refuses, and over a restart."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from hsadc.config.clock import Clock
from hsadc.config.confirm import RETRY_S
from hsadc.config.lock import Author
from hsadc.errors import ApplyError, ConfigError, Locked
from tests.unit.config.memory import FULL, ROOT, MemoryClock, MemoryDataplane, adc, configure, edited

ADMIN = Author("admin (ssh 10.0.0.7)")
MTU = "interface ethernet0/0\nmtu 1300\n"


@pytest.fixture
def plane():
    return MemoryDataplane()


@pytest.fixture
def clock():
    return MemoryClock()


@pytest.fixture
def device(tmp_path, plane, clock):
    device = adc(tmp_path, plane, clock)
    configure(device, FULL)
    return device


def try_out(device, lines, author=ADMIN, seconds=300):
    return device.commit(edited(device, lines), author, "line", seconds)


def file(device):
    """What the next start would go back to."""
    saved = device._confirmation.left_behind()
    return saved and saved.text


def test_it_is_in_force_at_once_and_taken_back_in_time(device, plane, clock, caplog):
    before = device.running, plane.objects, device.text()
    caplog.set_level(logging.INFO)
    try_out(device, MTU)
    assert device.running.ethernet["ethernet0/0"].mtu == 1300
    assert plane.objects != before[1]
    assert file(device) == before[2]
    clock.wait(299)
    assert device.running is not before[0]
    clock.wait(1)
    assert (device.running, plane.objects, device.text()) == before
    assert device.lock.unconfirmed is None
    assert file(device) is None
    assert caplog.messages == [
        "configuration changed, 1 line added, 0 removed: line by admin (ssh 10.0.0.7), to be confirmed within 300 seconds",
        "what admin (ssh 10.0.0.7) has committed is taken back in 300 seconds unless it is confirmed",
        ("configuration changed, 0 lines added, 1 removed: timed rollback, the commit of admin (ssh 10.0.0.7) was not confirmed"),
    ]


@pytest.mark.parametrize("who", [ADMIN, ROOT], ids=["himself", "another"])
def test_confirmed_it_stays(device, clock, who):
    try_out(device, MTU)
    device.confirm(who)
    clock.wait(10000)
    assert device.running.ethernet["ethernet0/0"].mtu == 1300
    assert file(device) is None
    assert clock.alarms == set()
    configure(device, "hostname others-may-change-it-again")
    with pytest.raises(ConfigError, match="no commit waits to be confirmed"):
        device.confirm(who)


@pytest.mark.parametrize("who", [ADMIN, ROOT], ids=["himself", "another"])
def test_it_can_be_taken_back_at_once(device, plane, clock, who):
    before = device.running, plane.objects
    try_out(device, MTU)
    assert str(device.take_back(who)) == "0 lines added, 1 removed"
    assert (device.running, plane.objects) == before
    assert (clock.alarms, file(device)) == (set(), None)
    with pytest.raises(ConfigError, match="no commit waits to be confirmed"):
        device.take_back(who)


def test_the_author_goes_on_and_all_of_it_is_taken_back(device, clock):
    before = device.running
    try_out(device, "")
    device.commit(edited(device, MTU), ADMIN, "line")
    device.commit(edited(device, "hostname x"), ADMIN, "line")
    clock.wait(300)
    assert device.running == before


def test_a_second_one_begins_the_time_anew_and_keeps_the_base(device, clock):
    before, text = device.running, device.text()
    try_out(device, MTU)
    clock.wait(200)
    try_out(device, "hostname x", seconds=600)
    assert file(device) == text
    assert device.lock.unconfirmed.since == clock.now().replace(minute=0, second=0)
    clock.wait(599)
    assert device.running.hostname == "x"
    clock.wait(1)
    assert device.running == before


def test_others_wait_and_are_told_for_how_long(device, clock):
    try_out(device, MTU)
    clock.wait(28)
    for attempt in (lambda: configure(device, "hostname x"), lambda: try_out(device, "", ROOT), lambda: device.begin(ROOT)):
        with pytest.raises(Locked) as caught:
            attempt()
        assert str(caught.value) == (
            "the configuration is locked by admin (ssh 10.0.0.7) since 12:00:00 UTC, "
            "until its commit is confirmed, or taken back in 272 seconds"
        )
    device.begin(ADMIN)


def test_nothing_unconfirmed_is_saved(device, clock):
    try_out(device, MTU)
    with pytest.raises(ConfigError) as caught:
        device.save(ADMIN)
    assert str(caught.value) == (
        "the commit of admin (ssh 10.0.0.7) is not confirmed yet, `commit` confirms it; else it is taken back in 300 seconds"
    )
    assert device.archive.startup() is None
    device.confirm(ADMIN)
    assert device.save(ADMIN)


@pytest.mark.parametrize("waits", [False, True])
def test_one_that_is_refused_leaves_everything_as_it_was(device, plane, clock, waits):
    if waits:
        try_out(device, "hostname x")
    before = device.running, plane.objects, file(device), device.lock.unconfirmed, set(clock.alarms)
    failures = 0
    while True:
        plane.fail_at = failures
        try:
            try_out(device, MTU)
        except ApplyError:
            failures += 1
            assert (device.running, plane.objects, file(device), device.lock.unconfirmed, set(clock.alarms)) == before
        else:
            break
    assert failures > 4
    with pytest.raises(ConfigError):
        try_out(device, "interface ethernet0/9\n")
    assert device.running.ethernet["ethernet0/0"].mtu == 1300


def test_one_whose_base_cannot_be_kept_is_not_tried(device, plane, clock, tmp_path):
    (tmp_path / ".confirm.cfg.new").mkdir()
    before = device.running, plane.objects
    with pytest.raises(ApplyError, match=r"write .*confirm\.cfg: Is a directory; nothing was changed"):
        try_out(device, MTU)
    assert (device.running, plane.objects, device.lock.unconfirmed, clock.alarms) == (*before, None, set())


def test_a_confirmation_that_the_disk_refuses_can_be_given_again(device, clock, monkeypatch):
    try_out(device, MTU)

    def broken(path, **_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "unlink", broken)
    with pytest.raises(ApplyError, match="Read-only file system"):
        device.confirm(ADMIN)
    assert device.lock.unconfirmed is not None
    monkeypatch.undo()
    device.confirm(ADMIN)
    assert (device.lock.unconfirmed, file(device)) == (None, None)


def test_a_rollback_is_one_whatever_the_disk_says_and_nothing_is_saved_before_the_disk_forgets(
    device, clock, monkeypatch, caplog
):
    before = device.running
    try_out(device, MTU)

    def broken(path, **_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "unlink", broken)
    assert device.take_back(ADMIN).changed
    assert (device.running, device.lock.unconfirmed, clock.alarms) == (before, None, set())
    assert "delete" in caplog.text
    configure(device, "hostname others")
    with pytest.raises(ApplyError, match="Read-only file system"):
        device.save(ROOT)
    monkeypatch.undo()
    assert device.save(ROOT)
    assert file(device) is None


def test_a_rollback_that_the_dataplane_refuses_is_tried_again(device, plane, clock, caplog):
    before = device.running, plane.objects
    try_out(device, MTU)
    plane.fail_at = 2
    clock.wait(300)
    assert device.running != before[0]
    assert device.lock.unconfirmed.error.endswith("no space left on device; nothing was changed")
    assert "the commit of admin (ssh 10.0.0.7) cannot be taken back, it is tried again in 30 seconds: " in caplog.text
    assert file(device) is not None
    with pytest.raises(Locked, match=f"taken back in {RETRY_S} seconds"):
        configure(device, "hostname x")
    clock.wait(RETRY_S)
    assert device.lock.unconfirmed is not None
    plane.fail_at = None
    clock.wait(RETRY_S)
    assert (device.running, plane.objects, device.lock.unconfirmed, file(device)) == (*before, None, None)


def test_a_bug_in_a_rollback_is_logged_and_tried_again(device, plane, clock, caplog):
    try_out(device, MTU)
    plane.before_apply = lambda: 1 / 0
    clock.wait(300)
    assert "a bug: a commit could not be taken back, it is tried again in 30 seconds" in caplog.text
    assert device.lock.unconfirmed.error == "internal error, the log has the details"
    plane.before_apply = lambda: None
    clock.wait(RETRY_S)
    assert device.lock.unconfirmed is None


def test_one_that_is_confirmed_while_the_rollback_is_refused_stays(device, plane, clock):
    try_out(device, MTU)
    plane.fail_at = 0
    clock.wait(300)
    plane.fail_at = None
    device.confirm(ROOT)
    clock.wait(10 * RETRY_S)
    assert device.running.ethernet["ethernet0/0"].mtu == 1300


def test_a_commit_that_comes_when_the_time_is_over_is_the_next_ones_turn(device, plane, clock):
    """The alarm has gone off, and waits for the commit that confirms."""
    try_out(device, MTU)
    (alarm,) = clock.alarms
    device.confirm(ADMIN)
    alarm.call()
    assert device.running.ethernet["ethernet0/0"].mtu == 1300


class TestRestart:
    def restarted(self, tmp_path, plane=None, clock=None):
        device = adc(tmp_path, plane or MemoryDataplane(), clock or MemoryClock())
        return device, device.start()

    @pytest.mark.parametrize("clean", [True, False])
    def test_what_was_not_confirmed_is_not_there_any_more(self, device, clock, tmp_path, clean):
        configure(device, "hostname unsaved")
        device.save(ROOT)
        configure(device, "hostname base")
        before = device.running
        try_out(device, MTU)
        if clean:
            device.stop()
            assert clock.alarms == set()
        second, warnings = self.restarted(tmp_path)
        assert warnings[0] == (
            "the commit of admin (ssh 10.0.0.7) at 2026-11-23 12:00:00 UTC was not confirmed before the device stopped: "
            "the configuration before it is in force"
        )
        assert second.running == before
        assert file(second) is None
        third, warnings = self.restarted(tmp_path)
        assert third.running.hostname == "unsaved"

    def test_what_was_confirmed_is(self, device, tmp_path):
        try_out(device, MTU)
        device.confirm(ADMIN)
        device.save(ADMIN)
        second, _ = self.restarted(tmp_path)
        assert second.running == device.running

    def test_a_base_that_the_machine_refuses_is_kept_for_the_next_start(self, device, tmp_path):
        before = device.running
        try_out(device, MTU)
        plane = MemoryDataplane()
        plane.fail_at = 0
        with pytest.raises(ApplyError):
            self.restarted(tmp_path, plane)
        assert self.restarted(tmp_path)[0].running == before

    def test_one_that_somebody_spoiled_is_named(self, tmp_path):
        (tmp_path / "confirm.cfg").write_text("nonsense\n")
        with pytest.raises(ConfigError, match=r"confirm\.cfg:1:1: unrecognized keyword nonsense"):
            self.restarted(tmp_path)

    def test_a_disk_that_does_not_forget_it_keeps_others_from_being_saved(self, device, tmp_path, monkeypatch, caplog):
        """Else the next start would take the saved configuration for one that was not confirmed."""
        try_out(device, MTU)

        def broken(path, **_):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(os, "unlink", broken)
        second, _ = self.restarted(tmp_path)
        assert "Read-only file system" in caplog.text
        with pytest.raises(ApplyError, match=r"delete .*confirm\.cfg: Read-only file system"):
            second.save(ROOT)
        monkeypatch.undo()
        assert second.save(ROOT)
        assert file(second) is None


def test_an_alarm_that_goes_off_after_the_stop_changes_nothing(device, clock):
    try_out(device, MTU)
    (alarm,) = clock.alarms
    device.stop()
    running = device.running
    alarm.call()
    assert device.running is running
    assert file(device) is not None


def test_this_machines_clock():
    rung = threading.Event()
    clock = Clock()
    later = clock.alarm(1000, rung.set)
    assert 990 < later.remaining_s <= 1000
    later.cancel()
    now = clock.alarm(0, rung.set)
    assert rung.wait(10)
    assert now.remaining_s == 0
    assert clock.now().utcoffset().total_seconds() == 0
