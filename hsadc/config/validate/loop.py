"""Virtual servers that would send each other's requests round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict
from hsadc.config.validate.server_pool import served_otherwise
from hsadc.model.config import Config
from hsadc.model.pools import pools_of
from hsadc.model.title import title
from hsadc.model.virtual_server import Listener, VirtualServer

_Listeners = Mapping[Listener, VirtualServer]


def loops(change: Change) -> Iterator[Found]:
    """No virtual server's real servers are virtual servers whose real servers are, in the end, itself."""
    config, changed = change.after, served_otherwise(change)
    if not changed:
        return
    listeners = {s.ip: s for s in config.virtual_server.values() if s.ip is not None and s.type != "udp"}
    for name, server in changed.items():
        others = [other for other in _next(config, listeners, server) if other is not server]
        for other in others:
            if server in _reached(config, listeners, other):
                why = f"{title('virtual_server', other.name)} is a real server of its pools, and leads back to it"
                yield conflict("virtual_server", name, why)
                break


def _reached(config: Config, listeners: _Listeners, start: VirtualServer) -> list[VirtualServer]:
    """All virtual servers that requests to one may come to, itself among them."""
    found, left = [start], [start]
    while left:
        for server in _next(config, listeners, left.pop()):
            if not any(server is other for other in found):
                found.append(server)
                left.append(server)
    return found


def _next(config: Config, listeners: _Listeners, server: VirtualServer) -> Iterator[VirtualServer]:
    """The virtual servers that are real servers of one."""
    for member in (m for pool in pools_of(config, server) for m in pool.members.values()):
        real = config.real_server.get(member.real_server)
        port = member.port or (real and real.port) or (server.ip and server.ip.port)
        if real is not None and real.ip is not None and port and (other := listeners.get(Listener(real.ip, port))):
            yield other
