"""Routes that the kernel must have."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from hsadc.intent.ports import Ports
from hsadc.model.config import Config
from hsadc.model.route import Route


@dataclass(frozen=True, slots=True)
class RouteIntent:
    """A route of the main table; one of gateway and device is set.

    Attributes:
        destination: the network it leads to.
        gateway: next hop's address.
        device: Linux device that reaches the destination directly.
        metric: the lowest wins.
    """

    destination: IPv4Network
    gateway: IPv4Address | None
    device: str | None
    metric: int

    @property
    def key(self) -> tuple[IPv4Network, int]:
        """What the kernel tells routes apart by; another next hop replaces the old one in place."""
        return self.destination, self.metric

    def __str__(self) -> str:
        """As an error names it."""
        hop = "" if self.gateway is None else f" via {self.gateway}"
        out = "" if self.device is None else f" on {self.device}"
        return f"{self.destination}{hop}{out}"


def compile_routes(config: Config, ports: Ports) -> tuple[tuple[RouteIntent, ...], tuple[str, ...]]:
    """The routes that can be in force, and a warning for each that cannot (yet)."""
    usable, warnings = [], []
    for route in config.routes.values():
        if (why := _unusable(route, ports)) is None:
            usable.append(_route(route, ports))
        else:
            warnings.append(f"ip route {route.destination} {route.next_hop}: not in force, {why}")
    return tuple(usable), tuple(warnings)


def _unusable(route: Route, ports: Ports) -> str | None:
    if isinstance(route.next_hop, str):
        return f"{route.next_hop} is shut down" if ports[route.next_hop].ethernet.shutdown else None
    return None if ports.reaches(route.next_hop) else f"{route.next_hop} is in no network of an interface that is up"


def _route(route: Route, ports: Ports) -> RouteIntent:
    if isinstance(route.next_hop, str):
        return RouteIntent(route.destination, None, ports[route.next_hop].device.name, route.distance)
    return RouteIntent(route.destination, route.next_hop, None, route.distance)
