"""What is mirrored in which way: profiles, and the virtual servers and interfaces that are copied by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hsadc.intent.access_list import compile_access_lists
from hsadc.intent.hop import DEVICE, HopIntent
from hsadc.intent.mirror import (
    TCP,
    UDP,
    AccessListIntent,
    PortMirrorIntent,
    ProfileIntent,
    RuleIntent,
    TapIntent,
    TunnelIntent,
)
from hsadc.intent.number import number_each
from hsadc.intent.ports import Port, Ports
from hsadc.model.config import Config
from hsadc.model.interface import PortMirror
from hsadc.model.mirror_profile import MirrorTarget
from hsadc.model.virtual_server import TLS_TYPES, VirtualServer

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
    numbers = number_each((name.encode() for name in config.mirror_profile), FIRST_PROFILE)
    return {name: numbers[name.encode()] for name in config.mirror_profile}


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
    numbers, lists = profile_numbers(config), compile_access_lists(config)
    servers = [(v, t) for v in served if (t := v.mirror_traffic) and destinations_of(config, t, tunnels)]
    interfaces = [(e, m) for e in config.ethernet.values() if (m := e.mirror_traffic) and destinations_of(config, m, tunnels)]
    rules = tuple(_rule(v, profile_number(numbers, t)) for v, t in servers)
    mirrors = tuple(_port_mirror(e.name, t, ports, profile_number(numbers, t), lists) for e, t in interfaces)
    targets: dict[int, MirrorTarget] = {profile_number(numbers, t): t for _, t in (*servers, *interfaces)}
    profiles = tuple(_profile(config, number, t, lists, tunnels) for number, t in targets.items())
    used = {p.access_list for p in profiles} | {m.access_list for m in mirrors}
    by_number = {a.number: a for a in lists.values() if a.number in used}
    return MirrorIntent(tuple(by_number.values()), profiles, rules, mirrors)


def is_decrypted(server: VirtualServer) -> bool:
    """Whether what TLS hides is to be copied of a virtual server, over the clear hop."""
    return server.type in TLS_TYPES and server.mirror_traffic is not None and server.mirror_traffic.view == "decrypted"


def copied_port(server: VirtualServer) -> int | None:
    """The port of a virtual server in its decrypted copies; None where there are no such copies."""
    if server.ip is None or server.mirror_traffic is None or not is_decrypted(server):
        return None
    return server.mirror_traffic.port or server.ip.port


def protocol_of(server: VirtualServer) -> int:
    """The number of the IP protocol that a virtual server speaks."""
    return UDP if server.type == "udp" else TCP


def _rule(server: VirtualServer, profile: int) -> RuleIntent:
    assert server.ip is not None  # noqa: S101  it is in force
    port = copied_port(server) or server.ip.port
    return RuleIntent(server.id, server.ip.address, port, protocol_of(server), profile, is_decrypted(server))


_Lists = Mapping[str, AccessListIntent]


def _port_mirror(interface: str, mirror: PortMirror, ports: Ports, profile: int, lists: _Lists) -> PortMirrorIntent:
    device, listed = ports[interface].device.name, _number_of_list(lists, mirror.access_list)
    return PortMirrorIntent(source_id(interface), device, profile, listed, mirror.direction)


def _profile(
    config: Config, number: int, target: MirrorTarget, lists: _Lists, tunnels: tuple[TunnelIntent, ...]
) -> ProfileIntent:
    destinations = tuple(t.interface for t in destinations_of(config, target, tunnels))
    if target.kind != "profile":
        return ProfileIntent(number, destinations)
    profile = config.mirror_profile[target.name]
    sampling, limit = profile.sampling, profile.rate_limit
    return ProfileIntent(
        number,
        destinations,
        direction=profile.direction,
        distribute=profile.distribute,
        sample_packets=sampling.one_in if sampling and sampling.unit == "packet" else 1,
        sample_flows=sampling.one_in if sampling and sampling.unit == "flow" else 1,
        truncate_bytes=profile.truncate,
        rate_pps=limit.rate if limit and limit.unit == "pps" else None,
        rate_mbps=limit.rate if limit and limit.unit == "mbps" else None,
        access_list=_number_of_list(lists, profile.access_list),
    )


def _number_of_list(lists: _Lists, name: str | None) -> int:
    """0 is no list: all is permitted."""
    return lists[name].number if name is not None else 0


def compile_taps(
    config: Config,
    ports: Ports,
    tunnels: tuple[TunnelIntent, ...],
    rules: tuple[RuleIntent, ...],
    hops: tuple[HopIntent, ...],
) -> tuple[TapIntent, ...]:
    """Where packets of virtual servers pass: every configured interface, the ones that own a mirrored address, the clear hop.

    A client may be reached by another interface than the one that has the address: its packets must not be missed. Nor may
    they be copied twice where one device stands on another.

    They are there as soon as there is a tunnel to copy to, not only with the first rule: the kernel drops packets in the moment
    in which a device gets or loses its first filter, and a mirror that is switched on and off must not disturb what it copies.
    The clear hop has its tap as long as it is there: from before the first packet until after the last.
    """
    tapped = {p.device.name: p.device for p in _tapped(config, ports, rules)}
    once = sorted(name for name, device in tapped.items() if device.seen_at not in tapped)
    return tuple(map(TapIntent, [*(once if tunnels else ()), *(DEVICE for _ in hops)]))


def _tapped(config: Config, ports: Ports, rules: Iterable[RuleIntent]) -> list[Port]:
    owners = [p for r in rules if (p := ports.owner(r.address))]
    return [*owners, *(ports[name] for name in config.ethernet)]
