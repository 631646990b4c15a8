"""Encapsulations: what is put in front of a copy.

    | outer IPv4 (20) or IPv6 (40) | shim: GRE (4 to 16) [+ ERSPAN (8 or 12)], or UDP (8) + VXLAN (8) | payload |

The payload is an IP packet, or an Ethernet frame with its VLAN tags. Without encapsulation (`none`) it is the frame alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """How a tunnel wraps copies.

    Attributes:
        kind: `gre`, `erspan`, `vxlan` or `none` (the frame as it is; nothing below has a meaning then).
        source: outer source address, of the same family as `destination`.
        destination: outer destination address.
        payload: `ip` or `ethernet`; always `ethernet` unless the kind is `gre`.
        ttl: outer time to live or hop limit, 1 to 255.
        dscp: outer code point, 0 to 63.
        dont_fragment: DF of an outer IPv4 header.
        key: GRE key, 0 to 4294967295; None sends none.
        sequence: whether GRE packets are numbered; ERSPAN from version 2 on always is.
        checksum: whether GRE packets carry their checksum.
        version: ERSPAN version, 1 to 3.
        session_id: ERSPAN session, 0 to 1023.
        vni: VXLAN network identifier, 0 to 16777215.
        port: UDP destination port of VXLAN.
    """

    kind: str
    source: IPv4Address | IPv6Address | None = None
    destination: IPv4Address | IPv6Address | None = None
    payload: str = "ip"
    ttl: int = 64
    dscp: int = 0
    dont_fragment: bool = False
    key: int | None = None
    sequence: bool = False
    checksum: bool = False
    version: int = 2
    session_id: int = 0
    vni: int = 0
    port: int = 4789

    @property
    def numbered(self) -> bool:
        """Whether each packet carries a sequence number."""
        return self.sequence or (self.kind == "erspan" and self.version > 1)

    @property
    def shim_bytes(self) -> int:
        """Length of what stands between the outer IP header and the payload."""
        if self.kind == "none":
            return 0
        if self.kind == "vxlan":
            return 16
        if self.kind == "erspan":
            return {1: 4, 2: 16, 3: 20}[self.version]
        return 4 + 4 * sum((self.key is not None, self.sequence, self.checksum))

    @property
    def overhead_bytes(self) -> int:
        """Bytes of the outer packet in front of the copied IP packet, which has no VLAN tag: the payload's Ethernet header counts."""
        if self.kind == "none":
            return 0
        outer = 40 if isinstance(self.destination, IPv6Address) else 20
        return outer + self.shim_bytes + (14 if self.payload == "ethernet" else 0)
