"""`commit confirmed`: a commit that is taken back by itself unless somebody confirms it in time.

What comes back is written to a file before the commit touches anything, and the file is removed when the commit is confirmed or
has been taken back. A device that finds the file when it starts was stopped, or died, in between: it starts with what is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hsadc.config.clock import Clock
from hsadc.config.lock import Author, Lock, Unconfirmed
from hsadc.config.saved import Saved, load_saved
from hsadc.config.store import remove, write_text
from hsadc.errors import ApplyError, ConfigError, HsadcError
from hsadc.model.config import Config
from hsadc.model.title import number_of

RETRY_S = 30

log = logging.getLogger(__name__)


class Confirmation:
    """The commit that waits to be confirmed, in the device's lock and on the disk; for one thread at a time.

    Attributes:
        path: the file of the configuration that comes back.
    """

    def __init__(self, path: Path, clock: Clock, lock: Lock, take_back: Callable[[Unconfirmed], None]) -> None:
        """`take_back` is called in a thread of its own when the time is over, and again after a while when it raises."""
        self.path = path
        self._clock = clock
        self._lock = lock
        self._take_back = take_back
        self._unforgotten = False

    @contextmanager
    def of(self, author: Author, base: Config, text: Callable[[], str], timeout_s: int) -> Iterator[None]:
        """What is committed inside waits to be confirmed; where a commit waits already, its base stays and its time begins anew.

        Args:
            author: who has the configuration for himself until then.
            base: what is in force now.
            text: gives the base as text.
            timeout_s: seconds until it is taken back.

        Raises:
            ApplyError: the disk refused; and what is raised inside: then nothing waits that did not before.
        """
        waiting = self._lock.unconfirmed
        since = self._clock.now()
        try:
            if waiting is None:
                why = "in force before a commit that is not confirmed"
                write_text(self.path, Saved(text(), since, author.name, why).file_text())
            yield
        except BaseException:
            if waiting is None:
                self.forget()
            raise
        if waiting is not None:
            waiting.alarm.cancel()
            base, since = waiting.base, waiting.since
        self._arm(Unconfirmed(author, since, base), timeout_s)
        log.info("what %s has committed is taken back in %d seconds unless it is confirmed", author, timeout_s)

    @property
    def base(self) -> Config:
        """What comes back unless the commit is confirmed; raises ConfigError when none waits."""
        return self._waiting().base

    def confirm(self) -> None:
        """Nothing waits any more.

        Raises:
            ConfigError: no commit waits.
            ApplyError: the disk refused; it still waits.
        """
        waiting = self._waiting()
        remove(self.path)  # from here on the next start does not take it back
        self._end(waiting)

    def taken_back(self) -> None:
        """The base is in force: nothing waits any more, even where the disk refuses to forget it now."""
        self._end(self._waiting())
        self.forget()

    def refuse_unconfirmed(self) -> None:
        """Refuse to go on while a commit waits, or while the next start would take for one what has been resolved.

        Raises:
            ConfigError: a commit waits.
            ApplyError: the disk refuses to forget an earlier one.
        """
        if (waiting := self._lock.unconfirmed) is not None:
            why = f"the commit of {waiting.author} is not confirmed yet, `commit` confirms it"
            raise ConfigError("", f"{why}; else it is taken back in {number_of(waiting.alarm.remaining_s, 'second')}")
        if self._unforgotten:
            remove(self.path)
            self._unforgotten = False

    def left_behind(self) -> Saved | None:
        """The configuration before a commit that was not confirmed in an earlier run; None when there is none.

        Raises:
            ConfigError: the file cannot be read.
        """
        return load_saved(self.path)

    def forget(self) -> None:
        """Remove the file; when that fails, a save must."""
        try:
            remove(self.path)
        except ApplyError as e:
            self._unforgotten = True
            log.error("%s", e)

    def stop(self) -> None:
        """Take nothing back any more; the next start does."""
        if self._lock.unconfirmed is not None:
            self._lock.unconfirmed.alarm.cancel()

    def _waiting(self) -> Unconfirmed:
        if self._lock.unconfirmed is None:
            raise ConfigError("", "no commit waits to be confirmed")
        return self._lock.unconfirmed

    def _end(self, waiting: Unconfirmed) -> None:
        waiting.alarm.cancel()
        self._lock.unconfirmed = None

    def _arm(self, waiting: Unconfirmed, seconds: int) -> None:
        waiting.alarm = self._clock.alarm(seconds, lambda: self._expire(waiting))
        self._lock.unconfirmed = waiting

    def _expire(self, waiting: Unconfirmed) -> None:
        try:
            self._take_back(waiting)
            return
        except HsadcError as e:
            waiting.error = str(e)
            log.error("the commit of %s cannot be taken back, it is tried again in %d seconds: %s", waiting.author, RETRY_S, e)
        except Exception:
            waiting.error = "internal error, the log has the details"
            log.exception("a bug: a commit could not be taken back, it is tried again in %d seconds", RETRY_S)
        waiting.alarm = self._clock.alarm(RETRY_S, lambda: self._expire(waiting))
