"""Tunnels: where their packets go, and what those that interfaces send through need."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict, wrong
from hsadc.config.validate.interface import is_one_host, is_ours
from hsadc.model.config import Config
from hsadc.model.tunnel import TUNNELS, Tunnel


def tunnels(change: Change) -> Iterator[Found]:
    """Each is right by itself."""
    for section in TUNNELS.values():
        for name, tunnel in change.users(section, "ethernet").items():
            if why := _conflict(change.after, tunnel):
                yield conflict(section, name, why)


def _conflict(config: Config, tunnel: Tunnel) -> str | None:
    """What is wrong with it; the first thing, as the others may follow from that."""
    source, destination = tunnel.source, tunnel.destination
    if destination is None:
        return None
    if why := _not_an_analyzer(config, destination):
        return f"its destination {destination} is {why}"
    if source is not None and not isinstance(source, str) and source.version != destination.version:
        return f"its source {source} is IPv{source.version} and its destination {destination} is not, give both of one family"
    if tunnel.dont_fragment and tunnel.oversize == "fragment" and destination.version == 4:
        return "oversize fragment sends fragments, and dont-fragment forbids them: take one of the two"
    return None


def _not_an_analyzer(config: Config, address: IPv4Address | IPv6Address) -> str | None:
    if address.is_loopback or not is_one_host(address):
        return "not the address of a single other host"
    return "an address of this device" if is_ours(config, address) else None


_NEEDED = {"gre": ("source", "destination"), "erspan": ("source", "destination"), "vxlan": ("source", "destination", "vni")}


def bindings(change: Change) -> Iterator[Found]:
    """A tunnel that an interface sends through has all that it needs."""
    for interface in change.users("tunnel_interface", *TUNNELS.values()).values():
        if interface.tunnel is None:
            continue
        section = TUNNELS[interface.tunnel.kind]
        tunnel = getattr(change.after, section).get(interface.tunnel.name)
        missing = tunnel and next((what for what in _NEEDED[interface.tunnel.kind] if getattr(tunnel, what) is None), None)
        if missing:
            yield wrong(section, tunnel.name, f"it has no {missing}, and interface {interface.name} sends through it")
