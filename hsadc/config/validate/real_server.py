"""Real servers: hosts that can be reached, and not this device where it would talk to itself."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict
from hsadc.config.validate.interface import is_one_host
from hsadc.config.validate.server_pool import served_otherwise
from hsadc.config.validate.virtual_server import ALL_BUT_UDP, listed
from hsadc.model.config import Config
from hsadc.model.pools import pools_of
from hsadc.model.real_server import RealServer
from hsadc.model.title import title
from hsadc.model.virtual_server import Listener, VirtualServer


def real_servers(change: Change) -> Iterator[Found]:
    """Each has an address that can be reached, and HAProxy does not connect to itself.

    It would send one request round until no port is left. It takes 0.0.0.0 for the address that the client connected to.
    """
    for name, real in change.changed("real_server").items():
        if real.ip is not None and (why := _misfit(real.ip)) is not None:
            yield conflict("real_server", name, f"its ip {real.ip} {why}")
    for name, server in served_otherwise(change).items():
        for real, port in _targets(change.after, server):
            if server.ip and real.ip and server.ip == Listener(real.ip, port or server.ip.port):
                itself = f"{title('real_server', real.name)} of its pool is the virtual server itself"
                yield conflict("virtual_server", name, itself)
        if why := next(_unreachable(change.after, server), None):
            yield conflict("virtual_server", name, why)


def _misfit(address: IPv4Address | IPv6Address) -> str | None:
    if not is_one_host(address):
        return "is not the address of a single host"
    if isinstance(address, IPv6Address) and address.is_link_local:  # no zone (RFC 4007) can be typed
        return "is of one link, and nothing says which: take another address of the server"
    return None


def _unreachable(config: Config, server: VirtualServer) -> Iterator[str]:
    """Real servers on this device that packets with a client's address never get to, nor those that the kernel passes on."""
    if server.shutdown or server.ip is None or (server.auto_snat and server.type != "udp"):
        return
    right = f"type {listed(ALL_BUT_UDP)}, with auto-snat" if server.type == "udp" else "auto-snat"
    for real, _ in _targets(config, server):
        if real.ip is not None and real.ip.is_loopback:
            yield f"{title('real_server', real.name)} of its pool is this device itself: {real.ip} needs {right}"


def _targets(config: Config, server: VirtualServer) -> Iterator[tuple[RealServer, int | None]]:
    """The real servers of a virtual server's pools and their ports; None is the virtual server's own."""
    for member in (m for pool in pools_of(config, server) for m in pool.members.values()):
        if (real := config.real_server.get(member.real_server)) is not None:
            yield real, member.port or real.port
