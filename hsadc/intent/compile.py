"""The running-config and the machine, compiled into everything that the dataplane must have."""

from __future__ import annotations

from dataclasses import dataclass

from hsadc.errors import ConfigError
from hsadc.intent.address import AddressIntent, compile_addresses
from hsadc.intent.haproxy import HaproxyIntent, compile_services
from hsadc.intent.inventory import Inventory
from hsadc.intent.link import LinkIntent, compile_links
from hsadc.intent.mirror import RuleIntent, TapIntent, TunnelIntent, clamp_mss, compile_rules, compile_taps, compile_tunnels
from hsadc.intent.ports import Port, Ports, resolve_ports
from hsadc.intent.route import RouteIntent, compile_routes
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer


@dataclass(frozen=True, slots=True)
class Intent:
    """The wanted state of the dataplane, in the order in which it is made."""

    links: tuple[LinkIntent, ...] = ()
    addresses: tuple[AddressIntent, ...] = ()
    routes: tuple[RouteIntent, ...] = ()
    tunnels: tuple[TunnelIntent, ...] = ()
    rules: tuple[RuleIntent, ...] = ()
    taps: tuple[TapIntent, ...] = ()
    haproxy: tuple[HaproxyIntent, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """An intent, and what the operator should know about it, a line each."""

    intent: Intent
    warnings: tuple[str, ...] = ()


def compile_config(config: Config, inventory: Inventory) -> Compiled:
    """Compile a configuration whose references are right.

    Raises:
        ConfigError: it does not fit this machine.
    """
    ports = resolve_ports(config, inventory)
    routes, route_warnings = compile_routes(config, ports)
    tunnels = compile_tunnels(config, ports)
    served = tuple(v for v in config.virtual_server.values() if reason_not_served(v) is None)
    owners = {v.name: _owner(v, ports) for v in config.virtual_server.values() if v.ip}
    rules = compile_rules(served, tunnels)
    mss = {v.name: m for v in served if (m := clamp_mss(v, owners[v.name], tunnels)) is not None}
    intent = Intent(
        links=compile_links(config, ports),
        addresses=compile_addresses(config, ports),
        routes=routes,
        tunnels=tunnels,
        rules=rules,
        taps=compile_taps(config, ports, tunnels, rules),
        haproxy=compile_services(config, served, mss),
    )
    return Compiled(intent, (*route_warnings, *_server_warnings(config), *_mss_warnings(config, tunnels, mss)))


def reason_not_served(server: VirtualServer) -> str | None:
    """Why a virtual server is not in force; None when it is."""
    if server.shutdown:
        return "shutdown"
    if server.ip is None:
        return "it has no ip"
    if server.server_pool is None:
        return "it has no server-pool"
    if not server.auto_snat:
        return "without auto-snat the clients' addresses would have to be kept, which this version cannot do"
    return None


def _owner(server: VirtualServer, ports: Ports) -> Port:
    assert server.ip is not None  # noqa: S101
    if (owner := ports.owner(server.ip.address)) is None:
        raise ConfigError(title("virtual_server", server.name), f"{server.ip.address} is not an address of this device")
    return owner


def _server_warnings(config: Config) -> list[str]:
    warnings = []
    for server in config.virtual_server.values():
        path = title("virtual_server", server.name)
        if server.ip and server.server_pool and not server.shutdown and not server.auto_snat:
            warnings.append(f"{path}: not in force, {reason_not_served(server)}")
        interface = config.tunnel_interface.get(server.mirror_traffic or "")
        if interface is not None and interface.shutdown:
            warnings.append(f"{path}: its traffic is not mirrored, interface {interface.name} is shut down")
    return warnings


def _mss_warnings(config: Config, tunnels: tuple[TunnelIntent, ...], mss: dict[str, int]) -> list[str]:
    """What happens to full-sized packets of mirrored virtual servers, once for each tunnel interface."""
    clamps = {config.virtual_server[name].mirror_traffic: size for name, size in mss.items()}
    return [
        f"interface {t.interface}: copies of packets over {t.inner_mtu_bytes} bytes do not fit its {t.mtu_bytes} bytes: "
        f"clients are asked for TCP segments of at most {clamps[t.interface]} bytes"
        for t in tunnels
        if t.interface in clamps
    ]
