"""Real servers: the machines behind a virtual server."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True, slots=True)
class RealServer:
    """`slb real-server NAME`.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        ip: its address; None while not set.
        port: TCP port, 1 to 65535; None takes the pool's or the virtual server's.
        weight: share of the traffic, 1 to 255.
    """

    name: str
    description: str | None = None
    ip: IPv4Address | None = None
    port: int | None = None
    weight: int = 1
