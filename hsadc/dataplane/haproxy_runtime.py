"""What can be changed while a worker serves, without another one: weights, limits and states of servers, certificates; pure.

HAProxy's Runtime API (management.txt, section 9.3). A server's line ends with those of its words that can be changed:

    server NAME ADDRESS:PORT ...fixed words... [weight N] [maxconn N] [disabled]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hsadc.dataplane.haproxy_file import Generation, file_digests
from hsadc.intent.haproxy_file import HaproxyFile

_SERVER = re.compile(r"  server (\S+) (\S+)(.*?)(?: weight (\d+))?(?: maxconn (\d+))?( disabled)?")
_MOST_BYTES = 30_000
"""Far below HAProxy's buffer (`tune.bufsize`): a worker that was sent more than that has been seen to spin, and to abort."""

_NOT_SERVICES = re.compile(r"^(  description .*|# file .*)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be changed of a server.

    Attributes:
        weight: 0 to 256; with 0 it gets no new clients.
        most: connections at once; 0 for any number.
        disabled: True takes it out of service.
    """

    weight: int = 1
    most: int = 0
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class ServerLine:
    """A server of a configuration file.

    Attributes:
        backend: its backend's name.
        name: its own.
        endpoint: its address and port, as written.
        words: those that cannot be changed, from behind the endpoint on.
        settings: those that can.
    """

    backend: str
    name: str
    endpoint: str
    words: str
    settings: Settings

    @property
    def path(self) -> str:
        """What the Runtime API calls it."""
        return f"{self.backend}/{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """A step of what is changed.

    Attributes:
        commands: one after the other.
        expected: what the answer to the last one must have; empty where any answer is a refusal.
        undo: what is sent when one is refused; empty for nothing.
    """

    commands: tuple[str, ...]
    expected: str = ""
    undo: str = ""


def servers_of(text: str) -> Iterator[ServerLine]:
    """The servers of a configuration file's services."""
    backend = ""
    for line in Generation(text).services.split("\n"):
        backend = _backend(line) or backend
        if (server := _server(backend, line)) is not None:
            yield server


def changes(old: Generation, new: Generation) -> Sequence[Change] | None:
    """How a worker that has one generation gets the other.

    Returns:
        The steps, in any order; None when another worker is needed.
    """
    servers, files = _servers_changes(old.text, new.text), _file_changes(old, new)
    return None if servers is None or files is None else [*files, *servers]


def _servers_changes(old: str, new: str) -> Sequence[Change] | None:
    """Of thousands of lines only those that differ are taken apart."""
    before, after = (_NOT_SERVICES.sub("", text).split("\n") for text in (old, new))
    if len(before) != len(after):
        return None
    backend, steps = "", list[Change]()
    for was, line in zip(before, after, strict=True):
        backend = _backend(line) or backend
        if was == line:
            continue
        a, b = _server(backend, was), _server(backend, line)
        if a is None or b is None or replace(a, settings=b.settings) != b:
            return None
        steps += _server_changes(b.path, a.settings, b.settings)
    return steps


def _backend(line: str) -> str:
    """The backend that begins with a line; empty when none does."""
    return line.split()[1] if line.startswith("backend ") else ""


def _server(backend: str, line: str) -> ServerLine | None:
    if not line.startswith("  server ") or (match := _SERVER.fullmatch(line)) is None:
        return None
    name, endpoint, words, weight, most, disabled = match.groups()
    return ServerLine(backend, name, endpoint, words, Settings(int(weight or 1), int(most or 0), disabled is not None))


def _server_changes(path: str, old: Settings, new: Settings) -> Iterator[Change]:
    """Weight and limit come before the state: a server that gets traffic again has its share from the beginning."""
    if old.weight != new.weight:
        yield Change((f"set server {path} weight {new.weight}",))
    if old.most != new.most:
        yield Change((f"set maxconn server {path} {new.most}",))
    if old.disabled != new.disabled:
        yield Change((f"set server {path} state {'maint' if new.disabled else 'ready'}",))


def _file_changes(old: Generation, new: Generation) -> Sequence[Change] | None:
    before, after = file_digests(old.text), file_digests(new.text)
    if before.keys() != after.keys():
        return None
    steps = [_file_change(file) for file in new.files if before[file.name] != after[file.name]]
    return None if None in steps else [step for step in steps if step is not None]


def _file_change(file: HaproxyFile) -> Change | None:
    """None for what a worker reads only when it starts, such as lists of certificates and pages, and for large files.

    Also for authorities, which HAProxy would take: it lets in again, unchecked, whom it knows of by a TLS session or a connection
    that is still open, and another worker knows nobody.
    """
    if not file.name.endswith(".pem"):
        return None
    # An empty line ends what is sent.
    content = "\n".join(line for line in file.content.decode("ascii", "replace").splitlines() if line.strip())
    if len(content) > _MOST_BYTES:
        return None
    return Change(
        (f"set ssl cert {file.name} <<\n{content}\n", f"commit ssl cert {file.name}"),
        expected="Success!",
        undo=f"abort ssl cert {file.name}",
    )
