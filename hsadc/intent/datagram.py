"""Virtual servers of type udp: flows that the kernel hands to real servers."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from hsadc.intent.probe import Probe


@dataclass(frozen=True, slots=True)
class DatagramTarget:
    """A real server of a pool.

    Attributes:
        real_server: its name.
        address: of the virtual server's family.
        port: 1 to 65535.
        weight: share of the flows, 1 to 255.
        state: `enable`, `drain` (it keeps the flows that it has) or `disable` (they are forgotten).
        probe: how it is checked; None takes it as working.
    """

    real_server: str
    address: IPv4Address | IPv6Address
    port: int
    weight: int = 1
    state: str = "enable"
    probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class DatagramTier:
    """Targets of one priority of one pool.

    Attributes:
        targets: in the order of the pool.
        minimum: so many must work, else the next tier serves.
        load_balance: `weighted-round-robin`, `round-robin`, `random` or `source-hash`.
    """

    targets: tuple[DatagramTarget, ...]
    minimum: int = 1
    load_balance: str = "weighted-round-robin"


@dataclass(frozen=True, slots=True)
class DatagramIntent:
    """A virtual server of type udp.

    Attributes:
        id: the virtual server's number.
        address: where it listens.
        port: UDP port.
        tiers: the first that has enough working targets serves; when none has, clients get an ICMP error.
        auto_snat: whether real servers see this device's address instead of the client's.
    """

    id: int
    address: IPv4Address | IPv6Address
    port: int
    tiers: tuple[DatagramTier, ...]
    auto_snat: bool

    @property
    def key(self) -> int:
        """One per virtual server."""
        return self.id

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.address} port {self.port}"
