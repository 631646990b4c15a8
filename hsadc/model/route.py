"""Static routes."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network


@dataclass(frozen=True, slots=True)
class Route:
    """`ip route PREFIX {GATEWAY | INTERFACE}`.

    Attributes:
        destination: the network it leads to.
        next_hop: a gateway's address, or the name of an interface.
        distance: preference among routes to one destination, 1 to 255, the lowest wins.
    """

    destination: IPv4Network
    next_hop: IPv4Address | str
    distance: int = 1

    @property
    def key(self) -> tuple[IPv4Network, IPv4Address | str]:
        """What tells one route from another."""
        return self.destination, self.next_hop

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.destination} {self.next_hop}"
