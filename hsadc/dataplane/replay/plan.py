"""Which profiles are simple enough for the fast path, and what it must know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsadc.dataplane.portable.core import MirrorCore
from hsadc.dataplane.portable.sending import UP
from hsadc.dataplane.portable.state import DestinationMemory
from hsadc.dataplane.replay.headers import ETHERNET_BYTES, HeaderRows
from hsadc.intent.mirror import ProfileIntent

_ANY_LENGTH = 1 << 30


@dataclass(frozen=True, slots=True)
class Target:
    """A destination of a profile: the interface's name and number, its headers, and its counters."""

    name: str
    number: int
    headers: HeaderRows
    memory: DestinationMemory


@dataclass(frozen=True, slots=True)
class Plan:
    """A profile for the fast path.

    Attributes:
        profile: its intent.
        targets: its destinations, in order.
        simple: whether what becomes of a plain packet follows from it alone, without rates, samples or checksums of payloads.
        ip_bytes_max: the largest IP packet whose copies fit all destinations.
    """

    profile: ProfileIntent
    targets: tuple[Target, ...]
    simple: bool
    ip_bytes_max: int


def make_plan(profile: ProfileIntent, core: MirrorCore, headers: Mapping[str, HeaderRows]) -> Plan:
    """The plan of a profile."""
    names = list(headers)
    targets = tuple(
        Target(name, names.index(name), headers[name], core.state.destinations[profile.number, name])
        for name in profile.destinations
    )
    simple = profile.sample_packets == 1 and not profile.rate_pps and not profile.rate_mbps
    simple = simple and all(t.headers.supported and core.tunnels[t.name].status.state == UP for t in targets)
    return Plan(profile, targets, simple, min(_ip_bytes_max(profile, core, t) for t in targets))


def _ip_bytes_max(profile: ProfileIntent, core: MirrorCore, target: Target) -> int:
    tunnel = core.tunnels[target.name]
    room = tunnel.mtu_bytes - tunnel.header_bytes + (ETHERNET_BYTES if target.headers.is_frame else 0)  # for the payload
    if profile.truncate_bytes is not None and profile.truncate_bytes <= room:
        return _ANY_LENGTH
    return room if target.headers.carries_ip else room - ETHERNET_BYTES
