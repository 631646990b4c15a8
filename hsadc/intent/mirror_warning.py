"""What the operator should know of the mirror: what is not copied, what does not fit, what the receiver cannot decode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hsadc.intent.mirror import TapIntent, TunnelIntent
from hsadc.intent.mirror_profile import destinations_of, mirrored_elsewhere
from hsadc.intent.ports import Port, Ports
from hsadc.intent.receiver import undecodable
from hsadc.intent.tunnel import bound_tunnel
from hsadc.model.config import Config
from hsadc.model.mirror_profile import MirrorTarget
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer

TCP_HEADERS_BYTES = 40
"""IPv4 and TCP headers without options: what an MSS does not count (RFC 9293 section 3.7.1)."""


def clamp_mss(config: Config, server: VirtualServer, owner: Port, tunnels: Iterable[TunnelIntent]) -> int | None:
    """The largest TCP segment (bytes of payload) whose copy fits all tunnels that want segments cut; None when all fit."""
    if server.mirror_traffic is None:
        return None
    fits = [t.inner_mtu_bytes for t in _cutting(config, server.mirror_traffic, tunnels)]
    return min(fits) - TCP_HEADERS_BYTES if fits and min(fits) < owner.mtu_bytes else None


def _cutting(config: Config, target: MirrorTarget, tunnels: Iterable[TunnelIntent]) -> list[TunnelIntent]:
    """The tunnels of a target that copies may be too large for, and that cut them into smaller segments then."""
    profile = config.mirror_profile.get(target.name) if target.kind == "profile" else None
    most = profile.truncate if profile and profile.truncate else None
    found = (t for t in destinations_of(config, target, tunnels) if t.oversize == "segment")
    return [t for t in found if most is None or most > t.inner_mtu_bytes]


def mirror_warnings(
    config: Config, ports: Ports, tunnels: tuple[TunnelIntent, ...], taps: Iterable[TapIntent], mss: Mapping[str, int]
) -> Iterator[str]:
    """A line for each thing.

    Args:
        config: the configuration.
        ports: its interfaces.
        tunnels: those in force.
        taps: the devices on which packets are looked at.
        mss: the largest TCP segment of virtual servers whose clients are asked for smaller ones, by name.
    """
    yield from _not_copied(config, ports, tunnels, tuple(taps))
    yield from _too_large(config, ports, tunnels, mss)
    for interface in config.tunnel_interface.values():
        intent = next((t for t in tunnels if t.interface == interface.name), None)
        if intent and (bound := bound_tunnel(config, interface)):
            section, tunnel = bound
            if why := undecodable(tunnel.receiver, intent.encapsulation):
                yield f"{title(section, tunnel.name)}: {why}"


def _sources(config: Config) -> Iterator[tuple[str, MirrorTarget]]:
    """What is to be mirrored, as it is called, and to what."""
    for server in config.virtual_server.values():
        if server.mirror_traffic:
            yield title("virtual_server", server.name), server.mirror_traffic
    for ethernet in config.ethernet.values():
        if ethernet.mirror_traffic:
            yield title("ethernet", ethernet.name), ethernet.mirror_traffic


def _not_copied(config: Config, ports: Ports, tunnels: tuple[TunnelIntent, ...], taps: tuple[TapIntent, ...]) -> Iterator[str]:
    for path, target in _sources(config):
        wanted = config.mirror_profile[target.name].destinations if target.kind == "profile" else (target.name,)
        missing = [name for name in wanted if name not in {t.interface for t in tunnels}]
        if missing and len(missing) == len(wanted):
            yield f"{path}: its traffic is not mirrored, interface {', '.join(missing)} is shut down"
        elif missing:
            yield f"{path}: its traffic is not mirrored to interface {', '.join(missing)}, which is shut down"
    for ethernet in config.ethernet.values():
        if ethernet.mirror_traffic and (where := mirrored_elsewhere(ethernet, ports, taps)):
            yield f"{title('ethernet', ethernet.name)}: its traffic is not mirrored, its packets are looked at on {where}"


def _too_large(config: Config, ports: Ports, tunnels: tuple[TunnelIntent, ...], mss: Mapping[str, int]) -> Iterator[str]:
    """What happens to full-sized packets, once for each tunnel that is in use and too small for them."""
    largest = max((p.mtu_bytes for p in ports), default=0)
    used = {t.interface: t for _, target in _sources(config) for t in destinations_of(config, target, tunnels)}
    clamped: dict[str, int] = {}
    for name, size in mss.items():
        target = config.virtual_server[name].mirror_traffic
        for t in destinations_of(config, target, tunnels) if target else ():
            clamped[t.interface] = min(size, clamped.get(t.interface, size))
    for t in used.values():
        if t.inner_mtu_bytes < largest:
            what = f"interface {t.interface}: copies of packets over {t.inner_mtu_bytes} bytes do not fit its {t.mtu_bytes} bytes"
            yield f"{what}: {_consequence(t, clamped.get(t.interface))}"


def _consequence(tunnel: TunnelIntent, clamped: int | None) -> str:
    if tunnel.oversize == "fragment":
        return "they are sent in fragments"
    if tunnel.oversize == "truncate":
        return "their end is left out"
    if tunnel.oversize == "drop":
        return "they are dropped"
    asked = f"clients are asked for TCP segments of at most {clamped} bytes, " if clamped else ""
    return f"{asked}TCP is sent in smaller segments, others are dropped"
