"""What the operator should know of the mirror: what is not copied, what does not fit, what the receiver cannot decode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hsadc.intent.hop import MTU_BYTES
from hsadc.intent.mirror import TapIntent, TunnelIntent
from hsadc.intent.mirror_profile import destinations_of, is_decrypted
from hsadc.intent.ports import Port, Ports
from hsadc.intent.receiver import undecodable
from hsadc.intent.tunnel import bound_tunnel
from hsadc.model.config import Config
from hsadc.model.mirror_profile import MirrorTarget
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer

TCP_HEADERS_BYTES = {4: 40, 6: 60}
"""IP and TCP headers without options, by the IP version: what an MSS does not count (RFC 9293 section 3.7.1)."""
_ETHERNET_BYTES = 14


def clamp_mss(config: Config, server: VirtualServer, owner: Port, tunnels: Iterable[TunnelIntent]) -> int | None:
    """The largest TCP segment (bytes of payload) whose copy fits all tunnels that want segments cut; None when all fit.

    None also where there is nothing to ask clients for: of UDP, and of TCP that is not what is copied (copies are decrypted).
    """
    if server.mirror_traffic is None or server.ip is None or server.type == "udp" or is_decrypted(server):
        return None
    small = _too_small(config, server.mirror_traffic, owner.mtu_bytes, tunnels)
    fits = [t.inner_mtu_bytes for t in small if t.oversize == "segment"]
    return min(fits) - TCP_HEADERS_BYTES[server.ip.address.version] if fits else None


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
    yield from _shut_down(config, tunnels)
    yield from _seen_elsewhere(config, ports, {t.device for t in taps})
    yield from _too_large(config, ports, tunnels, mss)
    yield from dict.fromkeys(_not_decoded(config, tunnels))


def _sources(config: Config) -> Iterator[tuple[str, str, MirrorTarget]]:
    """What is to be mirrored, by section and name, and to what."""
    for section in ("virtual_server", "ethernet"):
        for source in getattr(config, section).values():
            if source.mirror_traffic:
                yield section, source.name, source.mirror_traffic


def _too_small(config: Config, target: MirrorTarget, mtu_bytes: int, tunnels: Iterable[TunnelIntent]) -> list[TunnelIntent]:
    """The tunnels of a target that a copy of a packet of that size does not fit, as it is or as the profile shortens it."""
    profile = config.mirror_profile[target.name] if target.kind == "profile" else None
    most = profile.truncate if profile else None
    return [t for t in destinations_of(config, target, tunnels) if min(mtu_bytes, _kept(t, most)) > t.inner_mtu_bytes]


def _kept(tunnel: TunnelIntent, truncate_bytes: int | None) -> int:
    """How much of an IP packet is left when a payload is shortened; all, when it is not."""
    if truncate_bytes is None:
        return 1 << 16
    return truncate_bytes - (_ETHERNET_BYTES if tunnel.encapsulation.payload == "ethernet" else 0)


def _shut_down(config: Config, tunnels: tuple[TunnelIntent, ...]) -> Iterator[str]:
    in_force = {t.interface for t in tunnels}
    for section, name, target in _sources(config):
        wanted = config.mirror_profile[target.name].destinations if target.kind == "profile" else (target.name,)
        missing = [d for d in wanted if d not in in_force]
        if missing:
            which = "interface" if len(missing) == 1 else "interfaces"
            what = f"{which} {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} shut down"
            part = "its traffic is not mirrored" if len(missing) == len(wanted) else "its traffic is mirrored in part"
            yield f"{title(section, name)}: {part}, {what}"


def _seen_elsewhere(config: Config, ports: Ports, tapped: set[str]) -> Iterator[str]:
    """Interfaces whose packets are looked at on the device above or below them, lest they be copied twice."""
    names = {p.device.name: p.ethernet.name for p in ports}
    for ethernet in config.ethernet.values():
        above = ports[ethernet.name].device.seen_at
        if ethernet.mirror_traffic and above in tapped:
            why = f"its packets are looked at on interface {names[above]}: say mirror-traffic there"
            yield f"{title('ethernet', ethernet.name)}: its traffic is not mirrored, {why}"


def _too_large(config: Config, ports: Ports, tunnels: tuple[TunnelIntent, ...], mss: Mapping[str, int]) -> Iterator[str]:
    """What happens to full-sized packets, once for each tunnel that is too small for those of a source."""
    small: dict[str, TunnelIntent] = {}
    clamped: dict[str, int] = {}
    for section, name, target in _sources(config):
        for t in _too_small(config, target, _mtu_bytes(config, ports, section, name), tunnels):
            small[t.interface] = t
            if section == "virtual_server" and name in mss:
                clamped[t.interface] = min(mss[name], clamped.get(t.interface, mss[name]))
    for t in small.values():
        what = f"interface {t.interface}: copies of packets over {t.inner_mtu_bytes} bytes do not fit its {t.mtu_bytes} bytes"
        yield f"{what}: {_consequence(t, clamped.get(t.interface))}"


def _mtu_bytes(config: Config, ports: Ports, section: str, name: str) -> int:
    """The largest IP packet of a source; of a virtual server that has no address (yet) there is none."""
    if section == "ethernet":
        return ports[name].mtu_bytes
    server = config.virtual_server[name]
    if is_decrypted(server):
        return MTU_BYTES
    owner = ports.owner(server.ip.address) if server.ip else None
    return owner.mtu_bytes if owner else 0


def _consequence(tunnel: TunnelIntent, clamped: int | None) -> str:
    if tunnel.oversize == "fragment":
        return "they are sent in fragments"
    if tunnel.oversize == "truncate":
        return "their end is left out"
    if tunnel.oversize == "drop":
        return "they are dropped"
    asked = f"clients are asked for TCP segments of at most {clamped} bytes, larger ones are" if clamped else "TCP is"
    return f"{asked} copied in pieces, other packets are not copied"


def _not_decoded(config: Config, tunnels: tuple[TunnelIntent, ...]) -> Iterator[str]:
    in_force = {t.interface: t for t in tunnels}
    for interface in config.tunnel_interface.values():
        bound, intent = bound_tunnel(config, interface), in_force.get(interface.name)
        if bound and intent:
            section, tunnel = bound
            if why := undecodable(tunnel.receiver, intent.encapsulation):
                yield f"{title(section, tunnel.name)}: {why}"
