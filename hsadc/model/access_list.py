"""Access lists: which flows are meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class PortRange:
    """`eq P` or `range P Q`: TCP or UDP ports from `first` to `last`, both included; 0 to 65535."""

    first: int
    last: int

    def __str__(self) -> str:
        """As it is typed."""
        return f"eq {self.first}" if self.first == self.last else f"range {self.first} {self.last}"


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """`{permit|deny} PROTOCOL SOURCE [PORTS] DESTINATION [PORTS]`.

    It means flows: a packet of the other direction, whose ends are exchanged, is matched as well.

    Attributes:
        action: `permit` or `deny`.
        protocol: `ip` (any, of both families), `tcp`, `udp`, `icmp` (of the packet's family) or an IP protocol number, 0 to 255.
        source: network of one end; None is any.
        source_ports: its ports; None is any.
        destination: network of the other end; None is any.
        destination_ports: its ports; None is any.
    """

    action: str
    protocol: str | int
    source: IPv4Network | IPv6Network | None = None
    source_ports: PortRange | None = None
    destination: IPv4Network | IPv6Network | None = None
    destination_ports: PortRange | None = None

    @property
    def key(self) -> AccessEntry:
        """The whole: an entry is there or not."""
        return self

    def __str__(self) -> str:
        """As an error names it."""
        ends = ((self.source, self.source_ports), (self.destination, self.destination_ports))
        words = (str(word) for network, ports in ends for word in (network or "any", ports) if word is not None)
        return " ".join((self.action, str(self.protocol), *words))


@dataclass(frozen=True, slots=True)
class AccessList:
    """`access-list NAME`.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        entries: in order; the first that matches decides, and what none matches is denied. At most 64.
    """

    name: str
    description: str | None = None
    entries: Mapping[AccessEntry, AccessEntry] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """The order of the entries counts, as that of a mapping does not."""
        return isinstance(other, AccessList) and _in_order(self) == _in_order(other)

    __hash__ = None  # type: ignore[assignment]  # a mapping has none


def _in_order(access_list: AccessList) -> tuple[object, ...]:
    return access_list.name, access_list.description, list(access_list.entries)
