"""Several sessions at once, whatever they do in whatever order: what is in force is what a model of four rules says.

1. A line outside a transaction is in force at once, those of a transaction when it is committed; all or nothing.
2. While one session is in a transaction or its commit is not confirmed, no other one changes anything.
3. An unconfirmed commit is taken back in time, or by a restart.
4. What is saved is never something unconfirmed.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hsadc.config.change import Change
from hsadc.config.check import checked
from hsadc.config.edits import Edit, Edits
from hsadc.config.lock import Author
from hsadc.errors import ConfigError, HsadcError
from hsadc.syntax.nodes import Command
from tests.unit.config.memory import MemoryClock, MemoryDataplane, adc

PORTS = ("ethernet0/0", "ethernet0/1")
sessions = st.integers(0, 2)
mtus = st.integers(1000, 1004)
ports = st.sampled_from(PORTS)
failures = st.none() | st.none() | st.integers(0, 6)
START = "".join(f"interface {port}\nexit\n" for port in PORTS)


def set_mtu(port, mtu):
    return Edit(("ethernet", port), Command("ethernet_mtu", False, (mtu,)))


class Sessions(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hsadc-test-"))
        (self.folder / "startup.cfg").write_text(START)
        self.startup = self.running = dict.fromkeys(PORTS)
        self.switch_on()

    def teardown(self):
        shutil.rmtree(self.folder)

    def switch_on(self):
        self.plane, self.clock = MemoryDataplane(), MemoryClock()
        self.device = adc(self.folder, self.plane, self.clock)
        self.device.start()
        self.edits = [Edits(self.device, Author(str(n))) for n in range(3)]
        self.owner = None  # of the transaction
        self.inside = set()  # who is in a transaction, or in one that somebody ended
        self.lines = {n: [] for n in range(3)}
        self.base = self.trier = None
        self.due = 0

    def sizes(self):
        return {name: port.mtu for name, port in self.device.running.ethernet.items()}

    def may(self, n):
        """Rule 2."""
        return self.owner in (None, n) and (self.base is None or self.trier == n) and (n not in self.inside or self.owner == n)

    def attempt(self, act, allowed, fail_at=None):
        """Whether it was done; what is not allowed must be refused, and what is refused changes nothing."""
        before = self.device.running, self.plane.objects
        self.plane.fail_at = fail_at
        try:
            act()
        except HsadcError:
            assert fail_at is not None or not allowed
            assert (self.device.running, self.plane.objects) == before
            return False
        finally:
            self.plane.fail_at = None
        assert allowed
        return True

    def forget(self, n):
        self.lines[n] = []
        self.inside.discard(n)
        self.owner = None if self.owner == n else self.owner

    @rule(n=sessions, port=ports, mtu=mtus)
    def add_line(self, n, port, mtu):
        if self.attempt(lambda: self.edits[n].add(set_mtu(port, mtu)), self.may(n)):
            self.lines[n].append((port, mtu))

    @rule(n=sessions, port=ports, mtu=mtus, fail_at=failures)
    def line(self, n, port, mtu, fail_at):
        self.add_line(n, port, mtu)
        if n not in self.inside:
            self.commit(n, fail_at)

    @rule(n=sessions, fail_at=failures)
    def commit(self, n, fail_at):
        nothing = not self.lines[n] and n not in self.inside
        if self.attempt(self.edits[n].commit, nothing or self.may(n), fail_at):
            self.running = {**self.running, **dict(self.lines[n])}
            self.forget(n)
        elif n not in self.inside:
            self.lines[n] = []

    @rule(n=sessions)
    def begin(self, n):
        if self.attempt(self.edits[n].begin, self.may(n) and n not in self.inside):
            self.owner = n
            self.inside.add(n)

    @rule(n=sessions, fail_at=failures, minutes=st.integers(1, 3))
    def commit_confirmed(self, n, fail_at, minutes):
        if self.attempt(lambda: self.edits[n].commit(60 * minutes), self.may(n), fail_at):
            if self.base is None:
                self.base, self.trier = self.running, n
            self.due = self.clock.seconds + 60 * minutes
            self.running = {**self.running, **dict(self.lines[n])}
            self.forget(n)
        elif n not in self.inside:
            self.lines[n] = []

    @rule(n=sessions)
    def discard(self, n):
        self.edits[n].discard()
        self.forget(n)

    @rule(n=sessions)
    def leave_and_come_again(self, n):
        self.discard(n)
        self.edits[n] = Edits(self.device, Author(str(n)))
        self.trier = None if self.trier == n else self.trier

    @rule(n=sessions)
    def clear_lock(self, n):
        if self.attempt(lambda: self.device.clear_lock(Author(str(n))), self.owner is not None):
            self.owner = None

    @rule()
    def confirm(self):
        if self.attempt(lambda: self.device.confirm(Author("x")), self.base is not None):
            self.base = None

    @rule(fail_at=failures)
    def take_back(self, fail_at):
        if self.attempt(lambda: self.device.take_back(Author("x")), self.base is not None, fail_at):
            self.running, self.base = self.base, None

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds):
        self.clock.wait(seconds)
        if self.base is not None and self.clock.seconds >= self.due:
            self.running, self.base = self.base, None

    @rule()
    def save(self):
        try:
            self.device.save(Author("x"))
        except ConfigError:
            assert self.base is not None
        else:
            assert self.base is None
            self.startup = self.running

    @rule(n=sessions, fail_at=failures)
    def replace(self, n, fail_at):
        def act():
            self.edits[n].refuse_in_transaction()
            self.device.commit(
                lambda now: Change(now, checked(self.device.grammar, "x", START)), self.edits[n]._author, "replacement"
            )

        if self.attempt(act, self.may(n) and n not in self.inside, fail_at):
            self.running = dict.fromkeys(PORTS)

    @precondition(lambda self: self.clock.seconds > 50)
    @rule(clean=st.booleans())
    def restart(self, clean):
        if clean:
            self.device.stop()
        self.running = self.startup if self.base is None else self.base
        self.switch_on()

    @invariant()
    def in_force_is_what_the_model_says(self):
        assert self.sizes() == self.running
        links = self.plane.objects["links"].values()
        assert sorted(filter(None, (link.mtu_bytes for link in links))) == sorted(filter(None, self.running.values()))

    @invariant()
    def saved_is_what_the_model_says(self):
        saved = checked(self.device.grammar, "x", self.device.archive.saved_startup().text)
        assert {name: port.mtu for name, port in saved.ethernet.items()} == self.startup

    @invariant()
    def who_waits_is_who_the_model_says(self):
        transaction, unconfirmed = self.device.lock.transaction, self.device.lock.unconfirmed
        assert (transaction and int(transaction.author.name)) == self.owner
        assert (unconfirmed is None) == (self.base is None)
        assert (self.folder / "confirm.cfg").exists() == (self.base is not None)


Sessions.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSessions = Sessions.TestCase
