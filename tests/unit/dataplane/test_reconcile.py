"""The transaction, over drivers that keep their objects in a dict."""

import errno
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2 import NetlinkError

from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.errors import ApplyError, Unsupported


@dataclass(frozen=True)
class Thing:
    key: str
    value: int

    def __str__(self):
        return f"{self.key}={self.value}"


@dataclass(frozen=True)
class Anonymous:
    key: str
    text: str


class DictDriver:
    """`fuse` is shared: it counts the steps of all drivers, and step number `fuse.at` (from 0) fails."""

    def __init__(self, kind, things=(), fuse=None):
        self.kind = kind
        self.things = {t.key: t for t in things}
        self.fuse = fuse or Fuse()

    def observe(self, wanted):
        self.fuse.burn(f"observe {self.kind}", "observe")
        return dict(self.things)

    def prepare(self, wanted):
        self.fuse.burn(f"prepare {self.kind}", "prepare")

    def create(self, new):
        self.fuse.burn(f"create {new}")
        assert new.key not in self.things
        self.things[new.key] = new

    def change(self, old, new):
        self.fuse.burn(f"change {old} {new}")
        assert self.things[old.key] == old
        assert old.key == new.key
        self.things[new.key] = new

    def delete(self, old):
        self.fuse.burn(f"delete {old}")
        assert self.things.pop(old.key) == old


class Fuse:
    def __init__(self, at=None, error=None, undo_fails=False):
        self.at = at
        self.error = error or OSError(errno.EIO, "Input/output error")
        self.undo_fails = undo_fails
        self.calls = []
        self.count = 0

    def burn(self, call, stage=None):
        self.calls.append(call)
        here = stage
        if stage is None:
            here = self.count
            self.count += 1
        if here == self.at or (self.undo_fails and stage is None and here > self.at):
            raise self.error


def things(*pairs):
    return [Thing(k, v) for k, v in pairs]


def two_drivers(fuse=None):
    fuse = fuse or Fuse()
    first = DictDriver("link", things(("a", 1), ("b", 1), ("c", 1), ("d", 1)), fuse)
    second = DictDriver("route", things(("r", 1), ("s", 1)), fuse)
    work = [(first, things(("b", 2), ("a", 1), ("e", 1))), (second, things(("t", 1), ("r", 2)))]
    return first, second, work


STEPS = ["change b=1 b=2", "create e=1", "create t=1", "change r=1 r=2", "delete s=1", "delete d=1", "delete c=1"]


def test_creates_and_changes_forward_then_deletes_backward():
    first, _, work = two_drivers()
    assert reconcile(work) == Outcome(created=2, changed=2, deleted=3)
    assert first.fuse.calls == ["observe link", "observe route", "prepare link", "prepare route", *STEPS]
    assert reconcile(work) == Outcome()


def test_nothing_wanted_deletes_all():
    first, second, _ = two_drivers()
    assert reconcile([(first, ()), (second, ())]) == Outcome(deleted=6)
    assert (first.things, second.things) == ({}, {})


@pytest.mark.parametrize("n", range(len(STEPS)))
def test_a_failed_step_is_named_and_those_before_it_are_undone_in_reverse(n):
    first, second, work = two_drivers(Fuse(at=n))
    before = dict(first.things), dict(second.things)
    with pytest.raises(ApplyError) as e:
        reconcile(work)
    assert (first.things, second.things) == before
    assert e.value.rolled_back
    assert e.value.cause == "input/output error"
    names = ["change link b=2", "create link e=1", "create route t=1", "change route r=2"]
    names += ["delete route s=1", "delete link d=1", "delete link c=1"]
    assert e.value.step == names[n]
    undone = ["change b=2 b=1", "delete e=1", "delete t=1", "change r=2 r=1", "create s=1", "create d=1", "create c=1"]
    assert first.fuse.calls[4:] == STEPS[: n + 1] + undone[:n][::-1]


KINDS = ["x", "y", "z"]
OBJECTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2))
MACHINES = st.fixed_dictionaries({k: st.tuples(OBJECTS, OBJECTS) for k in KINDS})


@given(machine=MACHINES, data=st.data())
def test_either_all_is_as_wanted_or_all_is_as_before(machine, data):
    def drivers(fuse):
        return [(DictDriver(k, things(*had.items()), fuse), things(*want.items())) for k, (had, want) in machine.items()]

    whole = Fuse()
    work = drivers(whole)
    outcome = reconcile(work)
    assert all(d.things == {t.key: t for t in wanted} for d, wanted in work)
    assert whole.count == outcome.created + outcome.changed + outcome.deleted
    assert reconcile(work) == Outcome()
    if not whole.count:
        return

    error = data.draw(st.sampled_from([OSError(errno.EIO, "x"), NetlinkError(errno.EIO), ApplyError("s", "c"), RuntimeError()]))
    fuse = Fuse(at=data.draw(st.integers(0, whole.count - 1)), error=error)
    work = drivers(fuse)
    with pytest.raises(RuntimeError if isinstance(error, RuntimeError) else ApplyError):
        reconcile(work)
    for driver, _ in work:
        assert driver.things == {k: Thing(k, v) for k, v in machine[driver.kind][0].items()}


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NetlinkError(errno.ENETUNREACH), "network is unreachable"),
        (NetlinkError(errno.ENETUNREACH, "Nexthop has invalid gateway"), "network is unreachable (Nexthop has invalid gateway)"),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/x"), "permission denied (/etc/x)"),
        (OSError("no words from the system"), "no words from the system"),
        (TimeoutError(), "TimeoutError"),
        (ApplyError("run haproxy", "parsing failed"), "parsing failed"),
    ],
)
@pytest.mark.parametrize(("at", "step"), [("observe", "observe link"), ("prepare", "prepare link"), (0, "change link b=2")])
def test_the_cause_is_in_plain_words(error, cause, at, step):
    _, _, work = two_drivers(Fuse(at=at, error=error))
    with pytest.raises(ApplyError) as e:
        reconcile(work)
    assert str(e.value) == f"{step}: {cause}; nothing was changed"
    assert type(e.value) is ApplyError
    assert e.value.__cause__ is error


@pytest.mark.parametrize("at", ["observe", "prepare", 1])
def test_unsupported_stays_unsupported(at):
    _, _, work = two_drivers(Fuse(at=at, error=Unsupported("load", "no BPF")))
    with pytest.raises(Unsupported, match="no BPF"):
        reconcile(work)


def test_an_error_whose_driver_could_not_clean_up_is_not_rolled_back():
    _, _, work = two_drivers(Fuse(at=1, error=ApplyError("run", "died", rolled_back=False)))
    with pytest.raises(ApplyError, match="undoing it failed too") as e:
        reconcile(work)
    assert not e.value.rolled_back


def test_a_failed_undo_is_logged_and_the_others_go_on(caplog):
    first, _, work = two_drivers(Fuse(at=2, undo_fails=True))
    with pytest.raises(ApplyError, match="undoing it failed too") as e:
        reconcile(work)
    assert (e.value.step, e.value.rolled_back) == ("create route t=1", False)
    assert first.fuse.calls[-2:] == ["delete e=1", "change b=2 b=1"]
    assert [r.getMessage() for r in caplog.records] == ["cannot undo: create link e=1", "cannot undo: change link b=2"]


def test_a_mistake_in_a_driver_undoes_and_is_not_dressed_up():
    bug = KeyError("bug")
    first, second, work = two_drivers(Fuse(at=3, error=bug))
    with pytest.raises(KeyError) as e:
        reconcile(work)
    assert e.value is bug
    assert sorted(first.things) == ["a", "b", "c", "d"]
    assert second.things["r"] == Thing("r", 1)


def test_a_thing_without_a_text_of_its_own_is_named_by_its_key():
    driver = DictDriver("haproxy", fuse=Fuse(at=0))
    with pytest.raises(ApplyError, match=r"^create haproxy services:"):
        reconcile([(driver, [Anonymous("services", "a thousand lines")])])


def test_two_wanted_objects_of_one_key_are_a_mistake_of_the_caller():
    driver = DictDriver("link")
    with pytest.raises(ValueError, match="two wanted objects of kind link have the key 'a'"):
        reconcile([(driver, things(("a", 1), ("a", 1)))])
    assert driver.fuse.calls == []
