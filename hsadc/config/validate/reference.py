"""References: what is named exists, and what is used is not deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hsadc.config.change import Change
from hsadc.config.validate.found import Found
from hsadc.errors import DanglingReference
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.model.tunnel import TUNNELS

Names = Callable[[Any], Iterable[str | None]]
"""From an object to the names in it; None and what another kind of thing is called are no names."""


def _bound_to(kind: str) -> Names:
    return lambda interface: (interface.tunnel.name,) if interface.tunnel and interface.tunnel.kind == kind else ()


def _mirrored_to(kind: str) -> Names:
    return lambda o: (o.mirror_traffic.name,) if o.mirror_traffic and o.mirror_traffic.kind == kind else ()


def _tunnels_of(profile: Any) -> Iterable[str]:
    """Its destinations; an Ethernet interface is one of the machine's, and needs no section."""
    return (name for name in profile.destinations if name.startswith("tunnel"))


_REFERENCES: tuple[tuple[str, Names, str], ...] = (
    *(("tunnel_interface", _bound_to(kind), section) for kind, section in TUNNELS.items()),
    ("mirror_profile", _tunnels_of, "tunnel_interface"),
    ("mirror_profile", lambda o: (o.access_list,), "access_list"),
    ("ethernet", _mirrored_to("interface"), "tunnel_interface"),
    ("ethernet", _mirrored_to("profile"), "mirror_profile"),
    ("ethernet", lambda o: (o.mirror_traffic and o.mirror_traffic.access_list,), "access_list"),
    ("server_pool", lambda o: o.members, "real_server"),
    ("server_pool", lambda o: (o.monitor,), "monitor"),
    ("server_pool", lambda o: (o.backup_pool,), "server_pool"),
    ("real_server", lambda o: (o.monitor,), "monitor"),
    ("ssl_profile", lambda o: o.trust_domains, "trust_domain"),
    ("virtual_server", lambda o: (o.app_profile,), "app_profile"),
    ("virtual_server", lambda o: (o.ssl_profile, o.server_ssl_profile), "ssl_profile"),
    ("virtual_server", lambda o: (o.server_pool, *(r.server_pool for r in o.rules.values())), "server_pool"),
    ("virtual_server", _mirrored_to("interface"), "tunnel_interface"),
    ("virtual_server", _mirrored_to("profile"), "mirror_profile"),
)


def references(change: Change) -> Iterator[Found]:
    """Every name is that of an object."""
    for section, names, target in _REFERENCES:
        known = getattr(change.after, target)
        users = getattr(change.after, section) if change.lost(target) else change.changed(section)
        for user in users.values():
            for name in names(user):
                if name is not None and name not in known:
                    yield section, user.name, _dangling(change.before, section, user.name, target, name)


def _dangling(before: Config, section: str, user: str, target: str, name: str) -> DanglingReference:
    path, missing = title(section, user), title(target, name)
    if name in getattr(before, target) and user in getattr(before, section):
        return DanglingReference(missing, f"it is used by {path} and cannot be deleted")
    return DanglingReference(path, f"{missing} does not exist")
