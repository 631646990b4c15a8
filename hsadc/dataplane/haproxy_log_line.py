"""A line of HAProxy's log (`option httplog`, `option tcplog`): written with the operator's names, and read; pure.

192.0.2.9:40312 [26/Nov/2026:05:07:11.203] vs7_www~ pool7.1_web/r:20:1 0/0/1/12/13 200 1234 - - ---- ... "GET / HTTP/1.1"
192.0.2.9:40312 [26/Nov/2026:05:07:11.203] "www" "web"/"r 1" 0/0/1/12/13 200 1234 - - ---- ... "GET / HTTP/1.1"
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hsadc.intent.haproxy_word import decode_name

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_RAW = re.compile(r"(\S+ \[[^\]]*\]) (vs|tls)\d+_([^\s~/]*)~?(?: (\S+?)~?/(\S+))?(?= |$)")
_CROSSED = re.compile(r"[^\"]* [A-Za-z-]D(?:[A-Za-z-]{2})? ")
"""Behind the names: a connection that ended while it carried data."""
_OURS = re.compile(rf"(\S+) \[([^\]]*)\] ({_QUOTED})(?: ({_QUOTED}|-)/({_QUOTED}|-))? ?(.*)")
_OPENSSL = re.compile(r"error:[0-9A-F]{8}:[^:]*::")
"""Before OpenSSL's words for an error."""
_POOL = re.compile(r"pool\d+\.\d+_(.*)")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A request, or a connection where no HTTP is spoken.

    Attributes:
        time: when it began, UTC.
        client: its address and port.
        virtual_server: its name.
        server_pool: its name; None where none was asked.
        real_server: its name; None where none was asked.
        total_ms: how long it took; None for a connection that failed before anything was said in it.
        status: what the client was answered with; None without HTTP or an answer.
        sent_bytes: to the client; None as for `total_ms`.
        ended: HAProxy's letters for how it ended (configuration.txt, section 8.5); `--` and `----` are well.
        request: its first line; None without HTTP.
        error: why a connection failed before anything was said in it; None for others.
    """

    time: datetime
    client: str
    virtual_server: str
    server_pool: str | None = None
    real_server: str | None = None
    total_ms: int | None = None
    status: int | None = None
    sent_bytes: int | None = None
    ended: str | None = None
    request: str | None = None
    error: str | None = None


def in_operators_names(line: str) -> str | None:
    """HAProxy's line with the operator's names.

    None for one that tells of no client, such as of a worker's end, or of one that the clear leg behind the hop tells of, too.
    """
    match = _RAW.match(line)
    if match is None or (match[2] == "tls" and match[4] is not None and _CROSSED.match(line, match.end())):
        return None
    named = _with_names(match) + _OPENSSL.sub("", line[match.end() :], count=1)
    return named if named.isprintable() else "".join(c if c.isprintable() else "?" for c in named)


def parse_line(line: str) -> LogLine | None:
    """A line of `in_operators_names`; None for one of another kind."""
    match = _OURS.fullmatch(line)
    if match is None:
        return None
    client, time, server, pool, real, rest = match.groups()
    try:
        began = datetime.strptime(time, "%d/%b/%Y:%H:%M:%S.%f").astimezone(UTC)  # HAProxy's times are local ones
        head = LogLine(began, client, _name(server) or "", _name(pool), _name(real))
        return replace(head, error=rest) if pool is None else _carried(head, rest)
    except (ValueError, IndexError):
        return None


def _carried(head: LogLine, rest: str) -> LogLine:
    words = rest.split(" ")
    total_ms = int(words[0].rpartition("/")[2].lstrip("+"))
    if words[0].count("/") == 2:
        return replace(head, total_ms=total_ms, sent_bytes=int(words[1].lstrip("+")), ended=words[2])
    status, sent = int(words[1]), int(words[2].lstrip("+"))
    request = rest[rest.index('"') + 1 :].removesuffix('"')
    return replace(
        head,
        total_ms=total_ms,
        status=status if status > 0 else None,
        sent_bytes=sent,
        ended=words[5],
        request=request,
    )


def _with_names(match: re.Match[str]) -> str:
    _, _, server, backend, real = match.groups()
    head = f"{match[1]} {_quote(decode_name(server))}"
    if backend is None:
        return head
    pool = _POOL.fullmatch(backend)
    if pool is None:
        return f"{head} -/-"
    return f"{head} {_quote(decode_name(pool[1]))}/{'-' if real.startswith('<') else _quote(decode_name(real))}"


def _quote(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _name(quoted: str | None) -> str | None:
    return None if quoted in (None, "-") else re.sub(r"\\(.)", r"\1", quoted[1:-1])
