"""Interfaces: the machine's Ethernet ports and the tunnel interfaces that copies leave by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface


@dataclass(frozen=True, slots=True)
class Ethernet:
    """`interface ethernetX/Y`.

    Attributes:
        name: `ethernet0/0` and so on.
        device: the Linux device it stands for; None takes the Y-th physical one.
        description: free text for people.
        ip_address: the primary address with its prefix length; None leaves what the system gave.
        secondary_addresses: further addresses, keyed by themselves.
        mtu: bytes of an IP packet, 576 to 9216; None leaves what the system set.
        shutdown: True takes the device down.
    """

    name: str
    device: str | None = None
    description: str | None = None
    ip_address: IPv4Interface | None = None
    secondary_addresses: Mapping[IPv4Interface, IPv4Interface] = field(default_factory=dict)
    mtu: int | None = None
    shutdown: bool = False

    @property
    def addresses(self) -> tuple[IPv4Interface, ...]:
        """All configured addresses, the primary one first."""
        primary = () if self.ip_address is None else (self.ip_address,)
        return primary + tuple(self.secondary_addresses)


@dataclass(frozen=True, slots=True)
class TunnelInterface:
    """`interface tunnelN`.

    Attributes:
        name: `tunnel1` and so on.
        description: free text for people.
        tunnel: name of the GRE tunnel that it sends through; None while it is not bound.
        shutdown: True stops the copies that would leave by it.
    """

    name: str
    description: str | None = None
    tunnel: str | None = None
    shutdown: bool = False
