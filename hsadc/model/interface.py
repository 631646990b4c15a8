"""Interfaces: the machine's Ethernet ports and the tunnel interfaces that copies leave by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from hsadc.model.mirror_profile import MirrorTarget


@dataclass(frozen=True, slots=True)
class PortMirror(MirrorTarget):
    """`mirror-traffic {interface tunnelN | profile P} [access-list L] [direction D]` of an Ethernet interface.

    Attributes:
        access_list: name of the list that permits what is copied; None permits all.
        direction: `forward` (received), `backward` (sent) or `bidirection`.
    """

    access_list: str | None = None
    direction: str = "bidirection"


@dataclass(frozen=True, slots=True)
class TunnelBinding:
    """`tunnel {gre|erspan|vxlan} NAME`: the tunnel that an interface sends through."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Ethernet:
    """`interface ethernetX/Y`.

    Attributes:
        name: `ethernet0/0` and so on.
        device: the Linux device it stands for; None takes the Y-th physical one.
        description: free text for people.
        ip_address: the primary address with its prefix length; None leaves what the system gave.
        secondary_addresses: further addresses, keyed by themselves.
        ipv6_addresses: IPv6 addresses, keyed by themselves, in addition to what the system gave.
        mtu: bytes of an IP packet, 576 to 9216; None leaves what the system set.
        mirror_traffic: what all its packets are copied to.
        shutdown: True takes the device down.
    """

    name: str
    device: str | None = None
    description: str | None = None
    ip_address: IPv4Interface | None = None
    secondary_addresses: Mapping[IPv4Interface, IPv4Interface] = field(default_factory=dict)
    ipv6_addresses: Mapping[IPv6Interface, IPv6Interface] = field(default_factory=dict)
    mtu: int | None = None
    mirror_traffic: PortMirror | None = None
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
        tunnel: what it sends through; None while it is not bound.
        shutdown: True stops the copies that would leave by it.
    """

    name: str
    description: str | None = None
    tunnel: TunnelBinding | None = None
    shutdown: bool = False
