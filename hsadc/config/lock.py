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
class Transaction:
    """An author collects lines that are to be in force together.

    Attributes:
        author: who does.
        since: when it was begun, in UTC.
        ended_by: who took it from him.
    """

    author: Author
    since: datetime
    ended_by: Author | None = None

    @property
    def why(self) -> str:
        """Why others must wait."""
        return "in a transaction"


@dataclass(eq=False, slots=True)
class Unconfirmed:
    """A commit that is taken back unless it is confirmed in time.

    Attributes:
        author: whose it is.
        since: when it came into force, in UTC.
        base: the configuration that comes back.
        alarm: when the time is over, it calls; set right after this is made.
        error: why taking it back has failed; then it is tried again at the next alarm.
    """

    author: Author
    since: datetime
    base: Config
    alarm: Alarm = field(init=False)
    error: str | None = None

    @property
    def why(self) -> str:
        """Why others must wait."""
        return f"until its commit is confirmed, or taken back in {number_of(self.alarm.remaining_s, 'second')}"


class Lock:
    """Why others must wait; where there are two reasons, both are of one author.

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
