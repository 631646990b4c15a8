"""Which pools serve a virtual server: those that it names, and those that stand in for them."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.model.config import Config
from hsadc.model.server_pool import ServerPool
from hsadc.model.virtual_server import VirtualServer


def named_pools(server: VirtualServer) -> list[str]:
    """The names of the pools that a virtual server names, its own first, then those of its rules by their numbers."""
    own = [] if server.server_pool is None else [server.server_pool]
    return [*own, *(rule.server_pool for rule in sorted(server.rules.values(), key=lambda r: r.number))]


def with_backups(config: Config, name: str | None) -> Iterator[ServerPool]:
    """A pool, its backup pool, that one's, and so on: each once, and as far as there are such."""
    seen: set[str] = set()
    while name is not None and name not in seen and name in config.server_pool:
        seen.add(name)
        pool = config.server_pool[name]
        yield pool
        name = pool.backup_pool


def pools_of(config: Config, server: VirtualServer) -> list[ServerPool]:
    """All pools that may serve a virtual server, each once."""
    return list({p.name: p for name in named_pools(server) for p in with_backups(config, name)}.values())
