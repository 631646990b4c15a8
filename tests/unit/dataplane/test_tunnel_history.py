"""What is remembered of a tunnel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hsadc.dataplane.tunnel_history import Past, Trouble, TunnelHistory

START = datetime(2026, 11, 23, tzinfo=UTC)


class Time:
    def __init__(self):
        self.seconds = 0

    def now(self):
        return START + timedelta(seconds=self.seconds)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def history(time):
    return TunnelHistory(time.now)


def at(seconds):
    return START + timedelta(seconds=seconds)


def note(history, time, seconds, *state):
    time.seconds = seconds
    return history.note("tunnel1", *state)


def test_one_that_was_always_up_had_no_trouble(history, time):
    assert note(history, time, 1, "up", "") == note(history, time, 5, "up", "") == Past("up", "", at(1))


def test_a_trouble_is_remembered_after_it_is_over(history, time):
    note(history, time, 1, "up", "")
    assert note(history, time, 2, "down", "no route") == Past("down", "no route", at(2), Trouble(at(2), "no route"))
    assert note(history, time, 3, "up", "") == Past("up", "", at(3), Trouble(at(2), "no route"))


def test_another_reason_is_another_trouble_in_the_same_state(history, time):
    note(history, time, 1, "down", "being asked for")
    assert note(history, time, 2, "down", "does not answer") == Past(
        "down", "does not answer", at(1), Trouble(at(2), "does not answer")
    )


def test_what_does_not_work_as_configured_is_a_trouble(history, time):
    assert note(history, time, 1, "degraded", "too small").trouble == Trouble(at(1), "too small")


def test_one_that_is_gone_is_forgotten(history, time):
    note(history, time, 1, "down", "no route")
    history.keep({"tunnel2"})
    assert note(history, time, 2, "up", "") == Past("up", "", at(2))


def test_one_that_stays_is_remembered(history, time):
    note(history, time, 1, "down", "no route")
    history.keep({"tunnel1"})
    assert note(history, time, 2, "up", "").trouble == Trouble(at(1), "no route")


def test_the_time_is_that_of_the_machine():
    before = datetime.now(UTC)
    assert before <= TunnelHistory().note("tunnel1", "up", "").since <= datetime.now(UTC)
