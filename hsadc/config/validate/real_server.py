"""Real servers: hosts, and not this device where it would talk to itself."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict
from hsadc.config.validate.interface import is_one_host
from hsadc.config.validate.server_pool import served_otherwise
from hsadc.model.config import Config
from hsadc.model.pools import pools_of
from hsadc.model.real_server import RealServer
from hsadc.model.title import title
from hsadc.model.virtual_server import Listener, VirtualServer


def real_servers(change: Change) -> Iterator[Found]:
    """Where HAProxy would connect to itself: one request would be sent round until no port is left.

    It takes 0.0.0.0 for the address that the client connected to.
    """
    for name, real in change.changed("real_server").items():
        if real.ip is not None and not is_one_host(real.ip):
            why = f"its ip {real.ip} is not the address of a single host"
            yield conflict("real_server", name, why)
    for name, server in served_otherwise(change).items():
        for real, port in _targets(change.after, server):
            if server.ip and real.ip and server.ip == Listener(real.ip, port or server.ip.port):
                why = f"{title('real_server', real.name)} of its pool is the virtual server itself"
                yield conflict("virtual_server", name, why)


def _targets(config: Config, server: VirtualServer) -> Iterator[tuple[RealServer, int | None]]:
    """The real servers of a virtual server's pools and their ports; None is the virtual server's own."""
    for member in (m for pool in pools_of(config, server) for m in pool.members.values()):
        if (real := config.real_server.get(member.real_server)) is not None:
            yield real, member.port or real.port
