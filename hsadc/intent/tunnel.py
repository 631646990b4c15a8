"""Tunnels: the tunnel interfaces that copies can leave by, and the Ethernet interfaces that take them as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from hsadc.errors import ConfigError
from hsadc.intent.mirror import TunnelIntent
from hsadc.intent.ports import Port, Ports
from hsadc.model.config import Config
from hsadc.model.interface import TunnelInterface
from hsadc.model.title import title
from hsadc.model.tunnel import TUNNELS, ErspanTunnel, GreTunnel, Tunnel, VxlanTunnel
from hsadc.wire.encapsulation import Encapsulation


def bound_tunnel(config: Config, interface: TunnelInterface) -> tuple[str, Tunnel] | None:
    """The section and the tunnel that an interface sends through; None while it is not bound."""
    if interface.tunnel is None:
        return None
    section = TUNNELS[interface.tunnel.kind]
    tunnel: Tunnel = getattr(config, section)[interface.tunnel.name]
    return section, tunnel


def compile_tunnels(config: Config, ports: Ports) -> tuple[TunnelIntent, ...]:
    """The tunnel interfaces in force, and the Ethernet interfaces that are a profile's destination.

    Raises:
        ConfigError: a tunnel has no destination, or its source is not one of our addresses.
    """
    interfaces = (i for i in config.tunnel_interface.values() if not i.shutdown)
    tunnels = (_tunnel(i.name, *bound, ports) for i in interfaces if (bound := bound_tunnel(config, i)))
    return (*tunnels, *_ethernets(config, ports))


def _ethernets(config: Config, ports: Ports) -> Iterator[TunnelIntent]:
    names = dict.fromkeys(d for p in config.mirror_profile.values() for d in p.destinations if d.startswith("ethernet"))
    for name in names:
        port = ports[name]
        if not port.ethernet.shutdown:
            yield TunnelIntent(name, port.device.name, Encapsulation("none", payload="ethernet"), port.mtu_bytes)


def _tunnel(interface: str, section: str, tunnel: Tunnel, ports: Ports) -> TunnelIntent:
    if tunnel.destination is None:
        raise ConfigError(title(section, tunnel.name), "it has no destination")
    encapsulation = _encapsulation(tunnel, _source(section, tunnel, tunnel.destination, ports))
    egress = ports[tunnel.interface] if tunnel.interface else None
    path = egress.mtu_bytes if egress else min(p.mtu_bytes for p in ports)
    mtu = min(tunnel.mtu or path, path)
    return TunnelIntent(interface, egress.device.name if egress else None, encapsulation, mtu, tunnel.oversize)


def _encapsulation(tunnel: Tunnel, source: IPv4Address | IPv6Address) -> Encapsulation:
    outer = Encapsulation("gre", source, tunnel.destination, "ethernet", tunnel.ttl, tunnel.dscp, tunnel.dont_fragment)
    match tunnel:
        case GreTunnel():
            return replace(outer, payload=tunnel.payload, key=tunnel.key, sequence=tunnel.sequence, checksum=tunnel.checksum)
        case ErspanTunnel():
            session = tunnel.session_id if tunnel.version > 1 else 0  # type I has no header of its own
            return replace(outer, kind="erspan", version=tunnel.version, session_id=session)
        case VxlanTunnel():
            return replace(outer, kind="vxlan", vni=tunnel.vni or 0, port=tunnel.port)
    raise TypeError(tunnel)


def _source(section: str, tunnel: Tunnel, destination: IPv4Address | IPv6Address, ports: Ports) -> IPv4Address | IPv6Address:
    path = title(section, tunnel.name)
    if isinstance(tunnel.source, str):
        if not (addresses := _addresses(ports[tunnel.source], destination)):
            family = "" if destination.version == 4 else "IPv6 "
            raise ConfigError(path, f"its source interface {tunnel.source} has no {family}address")
        return addresses[0]
    if tunnel.source is None or not any(tunnel.source in _addresses(p, destination) for p in ports):
        raise ConfigError(path, f"its source {tunnel.source} is not an address of this device")
    return tunnel.source


def _addresses(port: Port, destination: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The interface's addresses of the destination's family."""
    return [a.ip for a in (port.addresses if destination.version == 4 else port.ipv6_addresses)]
