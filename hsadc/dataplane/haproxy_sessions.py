"""Clients' connections and requests that go on (`show sess`, management.txt section 9.3); pure.

All are listed in one line each, which costs a worker little; figures are asked for those alone that are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hsadc.intent.haproxy_word import decode_name

_LINE = re.compile(r"(0x[0-9a-f]+): proto=\S+ src=(\S+) fe=vs(\d+)_\S* be=(\S+) srv=(\S+) ")
_DETAIL = re.compile(r"^(0x[0-9a-f]+): \[", re.MULTILINE)
_TOTAL = re.compile(r"^ +(req|res)=0x\S+ .*?\btotal=(\d+)\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ServerSession:
    """A connection of a client or, where HTTP is spoken, a request of it.

    Attributes:
        number: HAProxy's name for it.
        virtual_server: the virtual server's number.
        client: the client's address and port.
        server_pool: whose real server serves it; None while none is chosen.
        real_server: the real server; None while none is chosen.
        since: when it began; None when that is not known. (The age in HAProxy's list is wrong for TCP, seen with 2.8.25.)
        bytes_in: from the client; None when that is not known.
        bytes_out: to the client; None when that is not known.
    """

    number: str
    virtual_server: int
    client: str
    server_pool: str | None
    real_server: str | None
    since: datetime | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None


def parse_sessions(answer: str) -> Iterator[ServerSession]:
    """Those in an answer to `show sess`.

    A client whose clear text crosses the hop is there once, behind it; what is HAProxy's own is left out.
    """
    for line in answer.splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        number, client, server, backend, real = match.groups()
        pool = re.fullmatch(r"pool\d+\.\d+_(.*)", backend)
        yield ServerSession(
            number,
            int(server),
            client,
            decode_name(pool[1]) if pool is not None else None,
            None if real.startswith("<") else decode_name(real),
        )


def detail_commands(sessions: Iterable[ServerSession]) -> Iterator[str]:
    """What asks for the figures of sessions."""
    return (f"show sess {session.number}" for session in sessions)


def with_figures(sessions: Iterable[ServerSession], answer: str) -> Iterator[ServerSession]:
    """The sessions with the figures that the answers to `detail_commands` have; one that has ended meanwhile has none."""
    parts = _DETAIL.split(answer)[1:]
    details = dict(zip(parts[::2], parts[1::2], strict=True))
    for session in sessions:
        text = details.get(session.number)
        yield session if text is None else _with_figures(session, text)


def _with_figures(session: ServerSession, text: str) -> ServerSession:
    totals = {name: int(total) for name, total in _TOTAL.findall(text)}
    return replace(session, since=_since(text), bytes_in=totals.get("req"), bytes_out=totals.get("res"))


def _since(text: str) -> datetime | None:
    """HAProxy's times are local ones."""
    try:
        return datetime.strptime(text.partition("]")[0], "%d/%b/%Y:%H:%M:%S.%f").astimezone(UTC)
    except ValueError:
        return None
