"""Routes that the kernel must have."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network


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
