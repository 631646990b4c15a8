"""The mirror: which packets are copied, and what becomes of a copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from hsadc.errors import ConfigError
from hsadc.intent.ports import Port, Ports
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.model.tunnel import GreTunnel
from hsadc.model.virtual_server import VirtualServer

GRE_OVERHEAD_BYTES = 24
"""Outer IPv4 header (20) and GRE header (4) without options (RFC 2784)."""
KEY_BYTES = 4
TCP_HEADERS_BYTES = 40
"""IPv4 and TCP headers without options: what an MSS does not count (RFC 9293 section 3.7.1)."""
TCP = 6


@dataclass(frozen=True, slots=True)
class TunnelIntent:
    """What happens to the copies that leave by a tunnel interface.

    Attributes:
        interface: `tunnel1` and so on.
        egress: Linux device that the encapsulated packets leave by; None lets the routing table choose.
        source: outer source address.
        destination: outer destination address, the analyzer.
        gre_key: GRE key (RFC 2890), 0 to 4294967295; None sends none.
        mtu_bytes: the largest outer IP packet that the egress takes.
    """

    interface: str
    egress: str | None
    source: IPv4Address
    destination: IPv4Address
    gre_key: int | None = None
    mtu_bytes: int = 1500

    @property
    def inner_mtu_bytes(self) -> int:
        """The largest packet whose copy fits in one outer packet."""
        return self.mtu_bytes - GRE_OVERHEAD_BYTES - (KEY_BYTES if self.gre_key is not None else 0)

    @property
    def key(self) -> str:
        """One per tunnel interface."""
        return self.interface


@dataclass(frozen=True, slots=True)
class RuleIntent:
    """Packets to or from this address and port are copied, in both directions.

    Attributes:
        id: the virtual server's number, 1 to 65535; names its counters.
        address: the virtual server's address.
        port: the virtual server's port, 1 to 65535.
        protocol: IP protocol number; 6 is TCP.
        tunnel: the tunnel interface that copies leave by.
    """

    id: int
    address: IPv4Address
    port: int
    protocol: int
    tunnel: str

    @property
    def key(self) -> tuple[IPv4Address, int, int]:
        """What a packet is matched by."""
        return self.address, self.port, self.protocol

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.address} port {self.port} to {self.tunnel}"


@dataclass(frozen=True, slots=True)
class TapIntent:
    """A Linux device on which packets are looked at, both those that come in and those that go out."""

    device: str

    @property
    def key(self) -> str:
        """One per device."""
        return self.device


def compile_tunnels(config: Config, ports: Ports) -> tuple[TunnelIntent, ...]:
    """The tunnel interfaces that copies can leave by.

    Raises:
        ConfigError: a tunnel's source is not one of our addresses.
    """
    bound = ((i, config.gre_tunnel[i.tunnel]) for i in config.tunnel_interface.values() if i.tunnel and not i.shutdown)
    return tuple(_tunnel(i.name, tunnel, ports) for i, tunnel in bound)


def _tunnel(interface: str, tunnel: GreTunnel, ports: Ports) -> TunnelIntent:
    egress = ports[tunnel.interface] if tunnel.interface else None
    source = _source(tunnel, ports)
    mtu = egress.mtu_bytes if egress else min(p.mtu_bytes for p in ports)
    if tunnel.destination is None:
        raise ConfigError(title("gre_tunnel", tunnel.name), "it has no destination")
    return TunnelIntent(interface, egress.device.name if egress else None, source, tunnel.destination, tunnel.key, mtu)


def _source(tunnel: GreTunnel, ports: Ports) -> IPv4Address:
    path = title("gre_tunnel", tunnel.name)
    if isinstance(tunnel.source, str):
        if not (addresses := ports[tunnel.source].addresses):
            raise ConfigError(path, f"its source interface {tunnel.source} has no address")
        return addresses[0].ip
    if tunnel.source not in ports.addresses:
        raise ConfigError(path, f"its source {tunnel.source} is not an address of this device")
    return tunnel.source


def compile_rules(served: Iterable[VirtualServer], tunnels: Iterable[TunnelIntent]) -> tuple[RuleIntent, ...]:
    """A rule for each virtual server in force whose mirror's tunnel interface is in force too."""
    up = {t.interface for t in tunnels}
    return tuple(
        RuleIntent(v.id, v.ip.address, v.ip.port, TCP, v.mirror_traffic)
        for v in served
        if v.mirror_traffic in up and v.mirror_traffic and v.ip
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
    owners = [p for r in rules if (p := ports.owner(r.address))]
    tapped = {p.device.name: p.device for p in [*owners, *(ports[name] for name in config.ethernet)]}
    once = sorted(name for name, device in tapped.items() if device.seen_at not in tapped)
    return tuple(map(TapIntent, once)) if tunnels else ()


def clamp_mss(server: VirtualServer, owner: Port, tunnels: Iterable[TunnelIntent]) -> int | None:
    """The largest TCP segment (bytes of payload) whose copy fits the tunnel; None when all fit."""
    tunnel = next((t for t in tunnels if t.interface == server.mirror_traffic), None)
    if tunnel is None or tunnel.inner_mtu_bytes >= owner.mtu_bytes:
        return None
    return tunnel.inner_mtu_bytes - TCP_HEADERS_BYTES
