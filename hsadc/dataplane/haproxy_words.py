"""How HAProxy tells that a server works, in words; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CHECKS: Mapping[str, str] = {
    "INI": "not checked yet",
    "SOCKERR": "the check could not be started",
    "L4OK": "it takes connections",
    "L4TOUT": "it does not take a connection in time",
    "L4CON": "it takes no connection",
    "L6OK": "it speaks TLS",
    "L6TOUT": "its TLS handshake takes too long",
    "L6RSP": "its TLS handshake fails",
    "L7OK": "it answers",
    "L7OKC": "it answers",
    "L7TOUT": "it does not answer in time",
    "L7RSP": "its answer is no HTTP",
    "L7STS": "it answers",
}
"""By HAProxy's word for a check's result (management.txt, section 9.1, check_status)."""


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """How a server is.

    Attributes:
        state: `up`, `down` or `disabled`.
        checked: False when nobody looks whether it works.
        changing: how many checks of those that it takes have spoken for the other state, such as `1/3`; None when none has.
        since_s: seconds since the state began; None when that is not known.
        check: the last check's result in words; None when there was none.
        check_ms: how long it took.
        weight: share of the traffic; 0 for one that gets nothing new.
    """

    state: str
    checked: bool
    changing: str | None
    since_s: int | None
    check: str | None
    check_ms: int | None
    weight: int

    @property
    def works(self) -> bool:
        """Whether it can serve."""
        return self.state == "up"


def health_of(row: Mapping[str, str]) -> ServerHealth:
    """The health in a server's row of `show stat`."""
    word, _, rest = row["status"].partition(" ")
    state = {"MAINT": "disabled", "DOWN": "down"}.get(word, "up")
    check = check_words(row.get("check_status") or "", row.get("check_code") or "", row.get("last_chk") or "")
    return ServerHealth(
        state,
        word != "no",
        rest if re.fullmatch(r"\d+/\d+", rest) else None,
        int(row.get("lastchg") or 0),
        check,
        int(row["check_duration"]) if check is not None and row.get("check_duration") else None,
        int(row.get("uweight") or row.get("weight") or 0),
    )


def check_words(status: str, code: str, detail: str) -> str | None:
    """A check's result in words.

    Args:
        status: HAProxy's word for it; a star before it says that the next check is under way.
        code: the status of an HTTP answer; empty for none.
        detail: what the system or the server said; empty for nothing.
    """
    word = status.removeprefix("* ")
    if not word:
        return None
    words = _CHECKS.get(word, word)
    if code and words == "it answers":
        return f"{words} {code}"
    if not detail or words == "it answers":
        return words
    return f"{words}: {detail if detail[:2].isupper() else detail[:1].lower() + detail[1:]}"
