import signal

import pytest

from hsadc.lab.interrupt import Interrupt, Interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_taken_only_when_waiting(number):
    with Interrupt() as interrupt:
        signal.raise_signal(number)
        with pytest.raises(Interrupted):
            interrupt.wait(lambda: True, 0)


def test_waiting_ends_when_the_condition_holds():
    answers = iter([False, True])
    with Interrupt() as interrupt:
        assert interrupt.wait(lambda: next(answers), 60)


def test_waiting_ends_in_time():
    with Interrupt() as interrupt:
        assert not interrupt.wait(lambda: False, 0)


def test_the_signals_go_back_to_whom_they_belonged():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert interrupt.wait(lambda: True, 0)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
