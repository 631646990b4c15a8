"""Tunnels: what a copy is wrapped in, and where it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True, slots=True)
class GreTunnel:
    """`tunnel gre NAME` (RFC 2784, key of RFC 2890).

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        source: outer source: an interface's name (its first address) or an address; None while not set.
        destination: outer destination, the analyzer; None while not set.
        interface: the interface that the encapsulated packets leave by; None asks the routing table.
        key: GRE key, 0 to 4294967295; None sends none.
    """

    name: str
    description: str | None = None
    source: str | IPv4Address | None = None
    destination: IPv4Address | None = None
    interface: str | None = None
    key: int | None = None
