"""What is mirrored in which way: profiles, and the virtual servers and interfaces that are copied by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

from hsadc.intent.access_list import compile_access_list
from hsadc.intent.mirror import TCP, AccessListIntent, PortMirrorIntent, ProfileIntent, RuleIntent, TapIntent, TunnelIntent
from hsadc.intent.ports import Port, Ports
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet
from hsadc.model.mirror_profile import MirrorProfile, MirrorTarget
from hsadc.model.virtual_server import VirtualServer

FIRST_PROFILE = 1 << 16
"""The number of the first named profile; those below are of tunnel interfaces that are named directly."""
FIRST_PORT = 1 << 16
"""The id of the first interface as a source; those below are of virtual servers."""
_PORTS_IN_SLOT = 1000


@dataclass(frozen=True, slots=True)
class MirrorIntent:
    """All that is mirrored, in the order in which it is made."""

    access_lists: tuple[AccessListIntent, ...] = ()
    profiles: tuple[ProfileIntent, ...] = ()
    rules: tuple[RuleIntent, ...] = ()
    port_mirrors: tuple[PortMirrorIntent, ...] = ()


def profile_numbers(config: Config) -> Mapping[str, int]:
    """The number of each named profile: it follows from the name, so that a restarted device finds its counters again."""
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for name in config.mirror_profile:
        number = FIRST_PROFILE + crc32(name.encode()) % (2**32 - FIRST_PROFILE)
        while number in taken:
            number = FIRST_PROFILE + (number + 1 - FIRST_PROFILE) % (2**32 - FIRST_PROFILE)
        taken.add(number)
        numbers[name] = number
    return numbers


def profile_number(numbers: Mapping[str, int], target: MirrorTarget) -> int:
    """The number of the profile that a target means."""
    return numbers[target.name] if target.kind == "profile" else int(target.name.removeprefix("tunnel"))


def source_id(interface: str) -> int:
    """The id of an Ethernet interface as a source."""
    slot, port = interface.removeprefix("ethernet").split("/")
    return FIRST_PORT + int(slot) * _PORTS_IN_SLOT + int(port)


def destinations_of(config: Config, target: MirrorTarget, tunnels: Iterable[TunnelIntent]) -> tuple[TunnelIntent, ...]:
    """The tunnels in force that a target's copies go to."""
    names = config.mirror_profile[target.name].destinations if target.kind == "profile" else (target.name,)
    by_name = {t.interface: t for t in tunnels}
    return tuple(by_name[name] for name in names if name in by_name)


def compile_mirror(
    config: Config, ports: Ports, served: Iterable[VirtualServer], tunnels: tuple[TunnelIntent, ...]
) -> MirrorIntent:
    """What virtual servers in force and interfaces copy; what has no destination in force is left out."""
    numbers = profile_numbers(config)
    targets: dict[MirrorTarget, None] = {}
    rules, mirrors = [], []
    lists: dict[int, AccessListIntent] = {}

    def number_of_list(name: str | None) -> int:
        if name is None:
            return 0
        compiled = compile_access_list(config.access_list[name])
        lists[compiled.number] = compiled
        return compiled.number

    def number_of(target: MirrorTarget) -> int | None:
        target = MirrorTarget(target.kind, target.name)
        if not destinations_of(config, target, tunnels):
            return None
        targets[target] = None
        return profile_number(numbers, target)

    for server in served:
        if server.mirror_traffic and server.ip and (number := number_of(server.mirror_traffic)) is not None:
            rules.append(RuleIntent(server.id, server.ip.address, server.ip.port, TCP, number))
    for ethernet in config.ethernet.values():
        if (mirror := ethernet.mirror_traffic) and (number := number_of(mirror)) is not None:
            device, listed = ports[ethernet.name].device.name, number_of_list(mirror.access_list)
            mirrors.append(PortMirrorIntent(source_id(ethernet.name), device, number, listed, mirror.direction))
    profiles = []
    for target in targets:
        names = tuple(t.interface for t in destinations_of(config, target, tunnels))
        number = profile_number(numbers, target)
        profile = config.mirror_profile[target.name] if target.kind == "profile" else None
        profiles.append(_profile(number, names, profile, number_of_list(profile.access_list if profile else None)))
    return MirrorIntent(tuple(lists.values()), tuple(profiles), tuple(rules), tuple(mirrors))


def _profile(number: int, destinations: tuple[str, ...], profile: MirrorProfile | None, access_list: int) -> ProfileIntent:
    if profile is None:
        return ProfileIntent(number, destinations)
    sampling, limit = profile.sampling, profile.rate_limit
    return ProfileIntent(
        number,
        destinations,
        profile.direction,
        profile.distribute,
        sampling.one_in if sampling and sampling.unit == "packet" else 1,
        sampling.one_in if sampling and sampling.unit == "flow" else 1,
        profile.truncate,
        limit.rate if limit and limit.unit == "pps" else None,
        limit.rate if limit and limit.unit == "mbps" else None,
        access_list,
    )


def compile_taps(
    config: Config, ports: Ports, tunnels: tuple[TunnelIntent, ...], rules: tuple[RuleIntent, ...]
) -> tuple[TapIntent, ...]:
    """Where packets of virtual servers pass: every configured interface, and the ones that own a mirrored address.

    A client may be reached by another interface than the one that has the address: its packets must not be missed. Nor may
    they be copied twice where one device stands on another.

    They are there as soon as there is a tunnel to copy to, not only with the first rule: the kernel drops packets in the moment
    in which a device gets or loses its first filter, and a mirror that is switched on and off must not disturb what it copies.
    """
    tapped = {p.device.name: p.device for p in _tapped(config, ports, rules)}
    once = sorted(name for name, device in tapped.items() if device.seen_at not in tapped)
    return tuple(map(TapIntent, once)) if tunnels else ()


def _tapped(config: Config, ports: Ports, rules: Iterable[RuleIntent]) -> list[Port]:
    owners = [p for r in rules if (p := ports.owner(r.address))]
    return [*owners, *(ports[name] for name in config.ethernet)]


def mirrored_elsewhere(ethernet: Ethernet, ports: Ports, taps: Iterable[TapIntent]) -> str | None:
    """The device at which a mirrored interface's packets are looked at instead of its own; None when it is its own."""
    device = ports[ethernet.name].device
    return None if device.name in {t.device for t in taps} else device.seen_at
