"""Server pools: real servers that serve the same content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PoolMember:
    """`real-server NAME [port N] [weight N]` in a pool; None takes the real server's own value."""

    real_server: str
    port: int | None = None
    weight: int | None = None

    @property
    def key(self) -> str:
        """What tells one member from another."""
        return self.real_server

    def __str__(self) -> str:
        """As an error names it."""
        return self.real_server


@dataclass(frozen=True, slots=True)
class ServerPool:
    """`slb server-pool NAME`.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        load_balance: `round-robin`, `least-connection` or `source-hash`.
        members: the real servers by name, in the order of entry.
    """

    name: str
    description: str | None = None
    load_balance: str = "round-robin"
    members: Mapping[str, PoolMember] = field(default_factory=dict)
