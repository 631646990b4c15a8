"""Application profiles: how a virtual server treats its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """`header {request|response} {insert|replace|remove} NAME [VALUE]`.

    Attributes:
        message: `request` or `response`.
        action: `insert` (adds one), `replace` (makes it the only one of that name) or `remove`.
        header: its name.
        value: what it says; None when it is removed.
    """

    message: str
    action: str
    header: str
    value: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """One of each."""
        return self.message, self.action, self.header.lower()

    def __str__(self) -> str:
        """As an error names it."""
        return f"header {self.message} {self.action} {self.header}"


@dataclass(frozen=True, slots=True)
class Timeout:
    """`timeout KIND N`.

    Attributes:
        kind: `connect` (to a real server), `client` and `server` (silence of that side), `http-request` (a request's headers),
            `keepalive` (between two requests) or `queue` (for a real server that is full).
        seconds: 1 to 86400.
    """

    kind: str
    seconds: int

    @property
    def key(self) -> str:
        """One of each."""
        return self.kind

    def __str__(self) -> str:
        """As an error names it."""
        return f"timeout {self.kind}"


@dataclass(frozen=True, slots=True)
class AppProfile:
    """`app-profile NAME`.

    Attributes:
        name: as the operator wrote it.
        type: the protocol; `http`, also inside TLS.
        description: free text for people.
        x_forwarded_for: True tells the real server the client's address (X-Forwarded-For) and, inside TLS, that it was https
            (X-Forwarded-Proto).
        http2: True offers HTTP/2 to clients inside TLS.
        compression: True compresses answers of textual types for clients that take it.
        max_body: bytes of a request's body, at most; None sets no limit.
        headers: what is done to headers, in the order of entry.
        timeouts: those that are not the default.
    """

    name: str
    type: str = "http"
    description: str | None = None
    x_forwarded_for: bool = False
    http2: bool = False
    compression: bool = False
    max_body: int | None = None
    headers: Mapping[tuple[str, str, str], HeaderEdit] = field(default_factory=dict)
    timeouts: Mapping[str, Timeout] = field(default_factory=dict)
