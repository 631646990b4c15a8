"""Who alone may change the configuration: the session with a transaction, and the one whose commit is not confirmed yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from hsadc.config.clock import Alarm
from hsadc.errors import Locked
from hsadc.model.config import Config
from hsadc.model.title import number_of


@dataclass(frozen=True, eq=False, slots=True)
class Author:
    """One session, as the one that changes the configuration: two sessions of one user are two authors.

    Attributes:
        name: the login, such as `admin (ssh 10.0.0.7)`.
    """

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(eq=False, slots=True)
class Hold:
    """Why an author has the configuration for himself."""

    author: Author
    since: datetime

    @property
    def why(self) -> str:
        """The reason, for those who must wait."""
        raise NotImplementedError


@dataclass(eq=False, slots=True)
class Transaction(Hold):
    """He collects lines that are to be in force together; `ended_by` is who took it from him."""

    ended_by: Author | None = None

    @property
    def why(self) -> str:
        """The reason, for those who must wait."""
        return "in a transaction"


@dataclass(eq=False, slots=True)
class Unconfirmed(Hold):
    """A commit that is taken back unless it is confirmed in time.

    Attributes:
        base: the configuration that comes back.
        timeout_s: after how many seconds.
        alarm: when the time is over, it calls; set right after this is made.
        error: why taking it back has failed; then it is tried again at the next alarm.
    """

    base: Config
    timeout_s: int
    alarm: Alarm = field(init=False)
    error: str | None = None

    @property
    def why(self) -> str:
        """The reason, for those who must wait."""
        return f"until its commit is confirmed, or taken back in {number_of(self.alarm.remaining_s, 'second')}"


class Lock:
    """The holds on the configuration; where there are two, both are of one author or the unconfirmed one's has gone.

    Attributes:
        transaction: the open transaction.
        unconfirmed: the commit that is not confirmed.
    """

    def __init__(self) -> None:
        self.transaction: Transaction | None = None
        self.unconfirmed: Unconfirmed | None = None

    def check(self, author: Author) -> None:
        """Refuse an author who has to wait.

        Raises:
            Locked: another one has the configuration for himself.
        """
        for hold in (self.transaction, self.unconfirmed):
            if hold is not None and hold.author is not author:
                raise Locked("", f"the configuration is locked by {hold.author} since {hold.since:%H:%M:%S} UTC, {hold.why}")
