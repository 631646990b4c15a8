"""Virtual servers: told apart, and on an address of this device."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict, wrong
from hsadc.config.validate.interface import may_be_ours
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer


def servers_told_apart(change: Change) -> Iterator[Found]:
    """No two have one id, or one address and port."""
    ids: dict[int, str] = {}
    listeners: dict[tuple[int, int], str] = {}
    for name, server in _that_may_clash(change):
        if (other := ids.setdefault(server.id, name)) != name:
            why = f"id {server.id} is {title('virtual_server', other)} already"
            yield conflict("virtual_server", name, why)
        # Numbers, because the hash of an address takes longer than all the rest.
        if server.ip and (other := listeners.setdefault((int(server.ip.address), server.ip.port), name)) != name:
            why = f"{server.ip.address} port {server.ip.port} is {title('virtual_server', other)} already"
            yield conflict("virtual_server", name, why)


def _that_may_clash(change: Change) -> list[tuple[str, VirtualServer]]:
    """The virtual servers with an id or a port that is new to one of them, and that one itself."""
    before, changed = change.before.virtual_server, change.changed("virtual_server").items()
    ids = {s.id for name, s in changed if name not in before or before[name].id != s.id}
    ports = {s.ip.port for name, s in changed if s.ip and (name not in before or before[name].ip != s.ip)}
    servers = change.after.virtual_server.items() if ids or ports else ()
    return [(name, s) for name, s in servers if s.id in ids or (ports and s.ip and s.ip.port in ports)]


def servers(change: Change) -> Iterator[Found]:
    """Each fits its profile and this device."""
    config = change.after
    for name, server in change.users("virtual_server", "app_profile", "ethernet").items():
        profile = config.app_profile.get(server.app_profile or "")
        if profile is not None and server.type != profile.type:
            why = f'app-profile "{profile.name}" is for type {profile.type}, not {server.type}'
            yield conflict("virtual_server", name, why)
        if server.ip and not may_be_ours(config, server.ip.address):
            yield wrong("virtual_server", name, f"{server.ip.address} is not an address of this device")
