"""The mirror: which packets are copied, and what becomes of a copy."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address


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


@dataclass(frozen=True, slots=True)
class TapIntent:
    """A Linux device on which packets are looked at, both those that come in and those that go out."""

    device: str

    @property
    def key(self) -> str:
        """One per device."""
        return self.device
