"""Application profiles: how a virtual server treats its protocol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AppProfile:
    """`app-profile NAME`.

    Attributes:
        name: as the operator wrote it.
        type: the protocol; `http`.
        description: free text for people.
        x_forwarded_for: True tells the real server the client's address in an X-Forwarded-For header.
    """

    name: str
    type: str = "http"
    description: str | None = None
    x_forwarded_for: bool = False
