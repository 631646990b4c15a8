"""The running-config and the machine, compiled into everything that the dataplane must have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hsadc.errors import ConfigError
from hsadc.intent.address import AddressIntent, compile_addresses
from hsadc.intent.datagram import DatagramIntent, compile_datagrams
from hsadc.intent.haproxy import HaproxyIntent, compile_services
from hsadc.intent.hop import HopIntent, compile_hop
from hsadc.intent.inventory import Inventory
from hsadc.intent.link import LinkIntent, compile_links
from hsadc.intent.mirror import (
    AccessListIntent,
    PortMirrorIntent,
    ProfileIntent,
    RuleIntent,
    TapIntent,
    TunnelIntent,
)
from hsadc.intent.mirror_profile import compile_mirror, compile_taps
from hsadc.intent.mirror_warning import clamp_mss, mirror_warnings
from hsadc.intent.pki import check_materials, pki_warnings
from hsadc.intent.pool_warning import check_pages, server_warnings
from hsadc.intent.ports import Port, Ports, resolve_ports
from hsadc.intent.refusal import Refusal
from hsadc.intent.route import RouteIntent, compile_routes
from hsadc.intent.transparent import TransparentIntent, compile_transparent
from hsadc.intent.tunnel import compile_tunnels
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.model.virtual_server import TLS_TYPES, VirtualServer


@dataclass(frozen=True, slots=True)
class Intent:
    """The wanted state of the dataplane, in the order in which it is made."""

    links: tuple[LinkIntent, ...] = ()
    addresses: tuple[AddressIntent, ...] = ()
    routes: tuple[RouteIntent, ...] = ()
    tunnels: tuple[TunnelIntent, ...] = ()
    access_lists: tuple[AccessListIntent, ...] = ()
    profiles: tuple[ProfileIntent, ...] = ()
    rules: tuple[RuleIntent, ...] = ()
    port_mirrors: tuple[PortMirrorIntent, ...] = ()
    hops: tuple[HopIntent, ...] = ()
    transparents: tuple[TransparentIntent, ...] = ()
    taps: tuple[TapIntent, ...] = ()
    datagrams: tuple[DatagramIntent, ...] = ()
    haproxy: tuple[HaproxyIntent, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """An intent, and what the operator should know about it.

    Attributes:
        intent: without the virtual servers that a refusal takes out of force.
        warnings: a line each.
        refusals: what no change may bring about.
    """

    intent: Intent
    warnings: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def compile_config(config: Config, inventory: Inventory) -> Compiled:
    """Compile a configuration whose references are right.

    Raises:
        ConfigError: it does not fit this machine.
    """
    ports = resolve_ports(config, inventory)
    routes, route_warnings = compile_routes(config, ports)
    tunnels = compile_tunnels(config, ports)
    refusals = refusals_of(config, inventory)
    out = {r.server for r in refusals}
    served = tuple(v for v in _served(config) if v.name not in out)
    owners = {v.name: _owner(v, ports) for v in config.virtual_server.values() if v.ip}
    mirror = compile_mirror(config, ports, served, tunnels)
    hops = compile_hop(served, inventory, mirror.rules)
    taps = compile_taps(config, ports, tunnels, mirror.rules, hops)
    mss = {v.name: m for v in served if (m := clamp_mss(config, v, owners[v.name], tunnels)) is not None}
    intent = Intent(
        links=compile_links(config, ports),
        addresses=compile_addresses(config, ports),
        routes=routes,
        tunnels=tunnels,
        access_lists=mirror.access_lists,
        profiles=mirror.profiles,
        rules=mirror.rules,
        port_mirrors=mirror.port_mirrors,
        hops=hops,
        transparents=compile_transparent(served, inventory),
        taps=taps,
        datagrams=compile_datagrams(config, served),
        haproxy=compile_services(config, inventory, served, mss, mirror.rules),
    )
    warnings = (
        *route_warnings,
        *server_warnings(config, ports, served),
        *pki_warnings(config, inventory, _served(config)),
        *mirror_warnings(config, ports, tunnels, taps, mss),
    )
    return Compiled(intent, warnings, refusals)


def refusals_of(config: Config, inventory: Inventory) -> tuple[Refusal, ...]:
    """What no change may bring about, and a configuration has all the same."""
    served = tuple(_served(config))
    return (*check_materials(config, inventory, served), *check_pages(config, inventory, served))


def certificate_lines(config: Config, inventory: Inventory) -> list[str]:
    """Those warnings of a compiled configuration that come with time alone, and with its refusals."""
    refusals = refusals_of(config, inventory)
    return list(dict.fromkeys([*pki_warnings(config, inventory, _served(config)), *(r.warning for r in refusals)]))


def _served(config: Config) -> Iterator[VirtualServer]:
    return (v for v in config.virtual_server.values() if reason_not_served(v) is None)


def reason_not_served(server: VirtualServer) -> str | None:
    """Why a virtual server is not in force; None when it is."""
    if server.shutdown:
        return "shutdown"
    if server.ip is None:
        return "it has no ip"
    if server.server_pool is None and not server.redirect_https:
        return "it has no server-pool"
    if server.type in TLS_TYPES and server.ssl_profile is None:
        return "it has no ssl-profile"
    return None


def _owner(server: VirtualServer, ports: Ports) -> Port:
    assert server.ip is not None  # noqa: S101
    if (owner := ports.owner(server.ip.address)) is None:
        raise ConfigError(title("virtual_server", server.name), f"{server.ip.address} is not an address of this device")
    return owner
