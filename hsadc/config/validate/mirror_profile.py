"""Mirroring: where copies go, and that they are not copied again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict, wrong
from hsadc.model.title import title

MOST_DESTINATIONS = 8
_SOURCES = ("ethernet", "virtual_server")
"""The sections whose objects are mirrored."""


def profiles(change: Change) -> Iterator[Found]:
    """A profile has not too many destinations; one that is in use has one, and each of them leads somewhere."""
    config = change.after
    for name, profile in change.changed("mirror_profile").items():
        if (number := len(profile.destinations)) > MOST_DESTINATIONS:
            yield conflict("mirror_profile", name, f"it has {number} destinations, at most {MOST_DESTINATIONS} are possible")
    for name, user in _in_use(change).items():
        if (profile := config.mirror_profile.get(name)) is None:
            continue
        if not profile.destinations:
            yield wrong("mirror_profile", name, f"it has no destination, and {user} is mirrored to it")
        for destination in profile.destinations:
            interface = config.tunnel_interface.get(destination)
            if interface is not None and interface.tunnel is None:
                yield wrong("mirror_profile", name, f"its destination interface {destination} is not bound to a tunnel")


def _in_use(change: Change) -> Mapping[str, str]:
    """The profiles to be looked at that something is mirrored to, by name, and what that is."""
    found: dict[str, str] = {}
    for section in _SOURCES:
        for name, user in change.users(section, "mirror_profile", "tunnel_interface").items():
            if user.mirror_traffic is not None and user.mirror_traffic.kind == "profile":
                found.setdefault(user.mirror_traffic.name, title(section, name))
    return found


def mirrored(change: Change) -> Iterator[Found]:
    """What is mirrored to an interface: it is bound to a tunnel."""
    for section in _SOURCES:
        for name, user in change.users(section, "tunnel_interface").items():
            if user.mirror_traffic is None or user.mirror_traffic.kind != "interface":
                continue
            interface = change.after.tunnel_interface.get(user.mirror_traffic.name)
            if interface is not None and interface.tunnel is None:
                yield wrong(section, name, f"its mirror's interface {interface.name} is not bound to a tunnel")


def port_mirrors(change: Change) -> Iterator[Found]:
    """An interface that is mirrored does not itself send copies as they are: nothing tells them from other packets it sends."""
    config = change.after
    if not change.touches("mirror_profile", *_SOURCES):
        return
    mirrored_ports = [name for name, port in config.ethernet.items() if port.mirror_traffic is not None]
    in_use = _profiles_of_all(change) if mirrored_ports else {}
    for name in mirrored_ports:
        for profile in in_use:
            if name in config.mirror_profile[profile].destinations:
                why = f'it is mirrored, and mirror-profile "{profile}" sends copies out of it, which would be copied again'
                yield conflict("ethernet", name, why)


def _profiles_of_all(change: Change) -> Mapping[str, None]:
    """All profiles that something is mirrored to."""
    targets = (user.mirror_traffic for section in _SOURCES for user in getattr(change.after, section).values())
    used = (target.name for target in targets if target is not None and target.kind == "profile")
    return dict.fromkeys(name for name in used if name in change.after.mirror_profile)
