"""Server pools: real servers that serve the same content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PoolMember:
    """`real-server NAME [port N] [weight N] [priority N]` in a pool.

    Attributes:
        real_server: its name.
        port: None takes the real server's own.
        weight: None takes the real server's own.
        priority: 1 to 100; only the members of the highest priority that has enough working ones get traffic.
    """

    real_server: str
    port: int | None = None
    weight: int | None = None
    priority: int = 1

    @property
    def key(self) -> str:
        """What tells one member from another."""
        return self.real_server

    def __str__(self) -> str:
        """As an error names it."""
        return self.real_server


@dataclass(frozen=True, slots=True)
class Persistence:
    """`persistence {source-ip [timeout N] | cookie [name NAME]}`: a client stays with its real server.

    Attributes:
        kind: `source-ip` or `cookie`.
        timeout_min: minutes after a client's last connection until it is forgotten, 1 to 1440; of `source-ip`.
        cookie: name of the cookie that the ADC sets; of `cookie`.
    """

    kind: str
    timeout_min: int = 30
    cookie: str = "HSADC"


@dataclass(frozen=True, slots=True)
class ServerPool:
    """`slb server-pool NAME`.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        load_balance: `weighted-round-robin`, `round-robin` (whatever the weights), `least-connection`, `source-hash`, `uri-hash`
            or `random`.
        members: the real servers by name, in the order of entry.
        monitor: name of the monitor that watches its members.
        persistence: None lets each connection go where it will.
        slow_start_s: seconds in which a server that comes up works its way to its full share, 1 to 3600.
        minimum_working_servers: with fewer the pool is out of work, 1 to 256.
        backup_pool: name of the pool that serves instead of one that is out of work.
        sorry_page: HTML file that clients are shown when nothing else serves, 60 KiB at most; its name in the device's files.
    """

    name: str
    description: str | None = None
    load_balance: str = "weighted-round-robin"
    members: Mapping[str, PoolMember] = field(default_factory=dict)
    monitor: str | None = None
    persistence: Persistence | None = None
    slow_start_s: int | None = None
    minimum_working_servers: int = 1
    backup_pool: str | None = None
    sorry_page: str | None = None
