"""Real servers: the machines behind a virtual server."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class RealServer:
    """`slb real-server NAME`.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        ip: its address; None while not set.
        port: TCP or UDP port, 1 to 65535; None takes the pool's or the virtual server's.
        weight: share of the traffic, 1 to 255.
        max_connection: connections that it is given at once by each virtual server, 1 to 1000000; None sets no limit.
        state: `enable`, `drain` (it keeps the connections that it has, and clients that are bound to it by a cookie) or `disable`
            (it gets nothing).
        monitor: name of the monitor that watches it; None takes the pool's.
    """

    name: str
    description: str | None = None
    ip: IPv4Address | IPv6Address | None = None
    port: int | None = None
    weight: int = 1
    max_connection: int | None = None
    state: str = "enable"
    monitor: str | None = None
