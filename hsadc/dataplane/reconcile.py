"""Make what is there equal to what is wanted: one transaction over all drivers, undone as a whole when one step fails."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyroute2 import NetlinkError

from hsadc.dataplane.driver import Driver
from hsadc.errors import ApplyError, Unsupported

_log = logging.getLogger(__name__)

_Objects = Mapping[Hashable, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many objects were created, changed in place and deleted; all 0 when everything was right already."""

    created: int = 0
    changed: int = 0
    deleted: int = 0

    def __str__(self) -> str:
        return f"{self.created} created, {self.changed} changed, {self.deleted} deleted"


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    do: Callable[[], None]
    undo: Callable[[], None]


def reconcile(work: Sequence[tuple[Driver[Any], Iterable[Any]]]) -> Outcome:
    """Bring the objects of each driver to exactly the wanted ones.

    First everything is observed and prepared. Then objects are created and changed in the order of `work` (a route after the
    address that it needs), and only then those that are no longer wanted are deleted, in the opposite order: what takes the
    place of something is there before that goes. A driver's failed step must leave nothing behind; the steps before it are
    undone in reverse.

    Args:
        work: drivers with the objects wanted of each, in order of dependence. An empty list of objects deletes all.

    Returns:
        What was done.

    Raises:
        ApplyError: a step failed; `rolled_back` says whether all is as before. `Unsupported` if the driver raised that.
        ValueError: two wanted objects of one driver have the same key.
        Exception: any other comes from a driver's mistake; the steps are undone then, too.
    """
    plans = [(driver, _by_key(driver, wanted)) for driver, wanted in work]
    observed: list[_Objects] = []
    for driver, wanted in plans:
        with asking(f"observe {driver.kind}"):
            observed.append(driver.observe(wanted))
    for driver, wanted in plans:
        with asking(f"prepare {driver.kind}"):
            driver.prepare(wanted)

    created = changed = deleted = 0
    forward: list[_Step] = []
    backward: list[_Step] = []
    for (driver, wanted), present in zip(plans, observed, strict=True):
        differing = [new for key, new in wanted.items() if present.get(key) != new]
        surplus = [old for key, old in present.items() if key not in wanted]
        forward += [_make(driver, present.get(new.key), new) for new in differing]
        backward += [_delete(driver, old) for old in surplus]
        created += sum(new.key not in present for new in differing)
        changed += sum(new.key in present for new in differing)
        deleted += len(surplus)
    _carry_out([*forward, *reversed(backward)])
    return Outcome(created, changed, deleted)


def _by_key(driver: Driver[Any], wanted: Iterable[Any]) -> _Objects:
    objects: dict[Hashable, Any] = {}
    for new in wanted:
        if new.key in objects:
            raise ValueError(f"two wanted objects of kind {driver.kind} have the key {new.key!r}")
        objects[new.key] = new
    return objects


def _make(driver: Driver[Any], old: Any | None, new: Any) -> _Step:
    if old is None:
        return _Step(f"create {driver.kind} {_called(new)}", partial(driver.create, new), partial(driver.delete, new))
    name = f"change {driver.kind} {_called(new)}"
    return _Step(name, partial(driver.change, old, new), partial(driver.change, new, old))


def _delete(driver: Driver[Any], old: Any) -> _Step:
    return _Step(f"delete {driver.kind} {_called(old)}", partial(driver.delete, old), partial(driver.create, old))


def _called(thing: Any) -> str:
    """What the operator calls it: its text, or its key when it has none of its own."""
    return str(thing if "__str__" in vars(type(thing)) else thing.key)


@contextmanager
def asking(step: str) -> Iterator[None]:
    """Give the system's refusal the step's name; for what changes nothing, so that nothing is undone.

    Raises:
        ApplyError: for ApplyError, OSError and NetlinkError in the block.
    """
    try:
        yield
    except (ApplyError, OSError, NetlinkError) as e:
        raise _failure(step, e, rolled_back=True) from e


def _carry_out(steps: Sequence[_Step]) -> None:
    for number, step in enumerate(steps):
        try:
            step.do()
        except (ApplyError, OSError, NetlinkError) as e:
            raise _failure(step.name, e, _undo(steps[:number])) from e
        except BaseException:
            _undo(steps[:number])
            raise


def _undo(done: Sequence[_Step]) -> bool:
    """Undo the steps, the last one first, and go on after an error. True when there was none."""
    clean = True
    for step in reversed(done):
        try:
            step.undo()
        except Exception:
            _log.exception("cannot undo: %s", step.name)
            clean = False
    return clean


def _failure(step: str, error: Exception, rolled_back: bool) -> ApplyError:
    kind = Unsupported if isinstance(error, Unsupported) else ApplyError
    whole = rolled_back and (not isinstance(error, ApplyError) or error.rolled_back)
    return kind(step, _cause(error), whole)


def _cause(error: Exception) -> str:
    """The system's words, in the middle of a line: the errno's meaning, and what the kernel says about it beyond that."""
    if isinstance(error, ApplyError):
        return error.cause
    if isinstance(error, NetlinkError):
        meaning, detail = os.strerror(error.code), error.args[1]
    elif isinstance(error, OSError) and error.strerror:
        meaning, detail = error.strerror, error.filename
    else:
        return str(error) or type(error).__name__
    words = meaning[:1].lower() + meaning[1:]
    return f"{words} ({detail})" if detail and detail != meaning else words
