"""Who is logged in now, and what each user has typed."""

from __future__ import annotations

import re
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from hsadc.cli.history import History

if TYPE_CHECKING:
    from hsadc.cli.session import Session


class Logins:
    """What the sessions of a device know of each other. A session is forgotten when its front end drops it."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` keeps the histories, a file for each user; it is made when the first line is. Without it nothing is kept."""
        self._folder = folder
        self._lock = threading.Lock()
        self._histories: dict[str, History] = {}
        self._sessions: list[weakref.ref[Session]] = []

    def enter(self, session: Session) -> History:
        """Remember a session. Returns its user's history."""
        with self._lock:
            self._sessions = [known for known in self._sessions if known() is not None]
            self._sessions.append(weakref.ref(session))
            if session.login.user not in self._histories:
                self._histories[session.login.user] = History(self._folder and self._folder / _file_name(session.login.user))
            return self._histories[session.login.user]

    def online(self) -> list[Session]:
        """The sessions that have not ended, in the order of their logins."""
        with self._lock:
            return [s for known in self._sessions if (s := known()) is not None and not s.closed]


def _file_name(user: str) -> str:
    """Names may hold any character, and have 63 of them at most: encoded so they fit into a file name of 255 bytes."""
    return re.sub(r"[%./\0]", lambda m: f"%{ord(m[0]):02X}", user) or "%"
