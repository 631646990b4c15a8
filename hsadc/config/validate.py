"""What a configuration must satisfy whatever the machine: references, and settings that contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address
from typing import Any

from hsadc.config.change import Change
from hsadc.errors import ConfigError, Conflict, DanglingReference
from hsadc.model.config import Config
from hsadc.model.real_server import RealServer
from hsadc.model.title import title
from hsadc.model.virtual_server import Listener, VirtualServer

_BROADCAST = IPv4Address("255.255.255.255")

Found = tuple[str, str, ConfigError]
"""The section and the name of the object that is wrong, and what is wrong with it."""

_REFERENCES: tuple[tuple[str, Callable[[Any], Iterable[str | None]], str], ...] = (
    ("tunnel_interface", lambda o: (o.tunnel,), "gre_tunnel"),
    ("server_pool", lambda o: o.members, "real_server"),
    ("virtual_server", lambda o: (o.app_profile,), "app_profile"),
    ("virtual_server", lambda o: (o.server_pool,), "server_pool"),
    ("virtual_server", lambda o: (o.mirror_traffic,), "tunnel_interface"),
)


def validate(change: Change) -> list[Found]:
    """All that is wrong with a configuration after a change.

    In the one before nothing is wrong: what has not changed since is not looked at again, and what a deletion breaks is told as
    such. To look at all of a configuration, let it come from an empty one.
    """
    return [found for check in _CHECKS for found in check(change)]


def _references(change: Change) -> Iterator[Found]:
    config, before = change.after, change.before
    for section, names, target in _REFERENCES:
        known, users = getattr(config, target), getattr(config, section) if change.lost(target) else change.changed(section)
        for user in users.values():
            for name in names(user):
                if name is None or name in known:
                    continue
                path, missing = title(section, user.name), title(target, name)
                if name in getattr(before, target) and user.name in getattr(before, section):
                    yield section, user.name, DanglingReference(missing, f"it is used by {path} and cannot be deleted")
                else:
                    yield section, user.name, DanglingReference(path, f"{missing} does not exist")


def _addresses(change: Change) -> Iterator[Found]:
    for port in change.changed("ethernet").values():
        for address in port.addresses:
            if address.network.prefixlen < 31 and address.ip in (
                address.network.network_address,
                address.network.broadcast_address,
            ):
                why = f"{address} is not a host's address, the hosts of {address.network} are between its first and last address"
                yield "ethernet", port.name, Conflict(title("ethernet", port.name), why)


def _routes(change: Change) -> Iterator[Found]:
    first: dict[tuple[int, int, int], Any] = {}
    for route in change.after.routes.values() if change.touches("routes") else ():
        # Numbers, because the hash of a network takes longer than all the rest.
        key = int(route.destination.network_address), route.destination.prefixlen, route.distance
        other = first.setdefault(key, route)
        if other is not route:
            path = f"ip route {route.destination} {route.next_hop}"
            yield (
                "routes",
                "",
                Conflict(path, f"{other.next_hop} leads there at distance {route.distance} already, give another distance"),
            )


def _tunnels(change: Change) -> Iterator[Found]:
    config = change.after
    for name, tunnel in change.users("gre_tunnel", "ethernet").items():
        if tunnel.destination is not None and (why := _not_an_analyzer(config, tunnel.destination)):
            yield "gre_tunnel", name, Conflict(title("gre_tunnel", name), f"its destination {tunnel.destination} is {why}")
    for interface in change.users("tunnel_interface", "gre_tunnel").values():
        bound = config.gre_tunnel.get(interface.tunnel or "")
        missing = bound and ("source" if bound.source is None else "destination" if bound.destination is None else None)
        if bound and missing:
            why = f"it has no {missing}, and interface {interface.name} sends through it"
            yield "gre_tunnel", bound.name, ConfigError(title("gre_tunnel", bound.name), why)


def _not_an_analyzer(config: Config, address: IPv4Address) -> str | None:
    if address.is_loopback or not _is_one_host(address):
        return "not the address of a single other host"
    if any(address == a.ip for p in config.ethernet.values() for a in p.addresses):
        return "an address of this device"
    return None


def _is_one_host(address: IPv4Address) -> bool:
    return not (address.is_multicast or address.is_unspecified or address == _BROADCAST)


def _real_servers(change: Change) -> Iterator[Found]:
    """Where HAProxy would connect to itself: one request would be sent round until no port is left.

    It takes 0.0.0.0 for the address that the client connected to.
    """
    for name, real in change.changed("real_server").items():
        if real.ip is not None and not _is_one_host(real.ip):
            why = f"its ip {real.ip} is not the address of a single host"
            yield "real_server", name, Conflict(title("real_server", name), why)
    for name, server in _with_other_targets(change).items():
        for real, port in _targets(change.after, server):
            if server.ip and real.ip and server.ip == Listener(real.ip, port or server.ip.port):
                why = f"{title('real_server', real.name)} of its pool is the virtual server itself"
                yield "virtual_server", name, Conflict(title("virtual_server", name), why)


def _with_other_targets(change: Change) -> dict[str, VirtualServer]:
    """The virtual servers that changed, or whose pool did, or a real server of their pool."""
    config, reals = change.after, change.changed("real_server").keys()
    pools = set(change.changed("server_pool"))
    if reals:
        pools |= {name for name, pool in config.server_pool.items() if not reals.isdisjoint(pool.members)}
    users = {name: server for name, server in config.virtual_server.items() if server.server_pool in pools} if pools else {}
    return {**users, **change.changed("virtual_server")}


def _targets(config: Config, server: VirtualServer) -> Iterator[tuple[RealServer, int | None]]:
    """The real servers of a virtual server's pool and their ports; None is the virtual server's own."""
    pool = config.server_pool.get(server.server_pool or "")
    for member in pool.members.values() if pool else ():
        if (real := config.real_server.get(member.real_server)) is not None:
            yield real, member.port or real.port


def _servers_told_apart(change: Change) -> Iterator[Found]:
    ids: dict[int, str] = {}
    listeners: dict[tuple[int, int], str] = {}
    for name, server in _that_may_clash(change):
        if (other := ids.setdefault(server.id, name)) != name:
            why = f"id {server.id} is {title('virtual_server', other)} already"
            yield "virtual_server", name, Conflict(title("virtual_server", name), why)
        # Numbers, because the hash of an address takes longer than all the rest.
        if server.ip and (other := listeners.setdefault((int(server.ip.address), server.ip.port), name)) != name:
            why = f"{server.ip.address} port {server.ip.port} is {title('virtual_server', other)} already"
            yield "virtual_server", name, Conflict(title("virtual_server", name), why)


def _that_may_clash(change: Change) -> list[tuple[str, VirtualServer]]:
    """The virtual servers with an id or a port that is new to one of them, and that one itself."""
    before, changed = change.before.virtual_server, change.changed("virtual_server").items()
    ids = {s.id for name, s in changed if name not in before or before[name].id != s.id}
    ports = {s.ip.port for name, s in changed if s.ip and (name not in before or before[name].ip != s.ip)}
    servers = change.after.virtual_server.items() if ids or ports else ()
    return [(name, s) for name, s in servers if s.id in ids or (ports and s.ip and s.ip.port in ports)]


def _servers(change: Change) -> Iterator[Found]:
    config = change.after
    for name, server in change.users("virtual_server", "tunnel_interface", "app_profile", "ethernet").items():
        path = title("virtual_server", name)
        interface = config.tunnel_interface.get(server.mirror_traffic or "")
        if interface is not None and interface.tunnel is None:
            yield "virtual_server", name, ConfigError(path, f"its mirror's interface {interface.name} is not bound to a tunnel")
        profile = config.app_profile.get(server.app_profile or "")
        if profile is not None and server.type != profile.type:
            why = f'app-profile "{profile.name}" is for type {profile.type}, not {server.type}'
            yield "virtual_server", name, Conflict(path, why)
        if server.ip and not _may_be_ours(config, server.ip.address):
            yield "virtual_server", name, ConfigError(path, f"{server.ip.address} is not an address of this device")


def _may_be_ours(config: Config, address: IPv4Address) -> bool:
    """Without the machine: an interface without configured addresses has what the system gives it, which is not known here."""
    ports = config.ethernet.values()
    return not all(p.addresses for p in ports) or not ports or any(address == a.ip for p in ports for a in p.addresses)


_CHECKS: tuple[Callable[[Change], Iterator[Found]], ...] = (
    _references,
    _addresses,
    _routes,
    _tunnels,
    _servers_told_apart,
    _servers,
    _real_servers,
)
