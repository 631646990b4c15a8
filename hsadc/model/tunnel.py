"""Tunnels: what a copy is wrapped in, and where it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class Tunnel:
    """What all kinds of tunnels have.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        source: outer source: an interface's name (its first address of the destination's family) or an address; None while not
            set.
        destination: outer destination, the analyzer; None while not set.
        interface: the interface that the encapsulated packets leave by; None asks the routing table.
        ttl: outer time to live or hop limit, 1 to 255.
        dscp: outer differentiated services code point, 0 to 63 (RFC 2474).
        dont_fragment: True forbids routers to fragment the outer packet (IPv4's DF; IPv6 has it always).
        mtu: bytes of the largest outer packet, 576 to 9216; None takes what the path has.
        oversize: what happens to a copy that does not fit: `segment` (TCP is cut into smaller segments, the rest dropped),
            `fragment` (the outer packet is), `truncate` (the copy's end is left out) or `drop`.
        receiver: what decodes the copies: `suricata`, `zeek`, `snort3`, `arkime`, `tshark` or `generic`; a commit warns of what
            it cannot decode.
    """

    name: str
    description: str | None = None
    source: str | IPv4Address | IPv6Address | None = None
    destination: IPv4Address | IPv6Address | None = None
    interface: str | None = None
    ttl: int = 64
    dscp: int = 0
    dont_fragment: bool = False
    mtu: int | None = None
    oversize: str = "segment"
    receiver: str = "generic"


@dataclass(frozen=True, slots=True)
class GreTunnel(Tunnel):
    """`tunnel gre NAME` (RFC 2784, key and sequence number of RFC 2890).

    Attributes:
        payload: `ip` carries the IP packet, `ethernet` the whole frame (protocol type 0x6558).
        key: GRE key, 0 to 4294967295; None sends none.
        sequence: True numbers the packets, so that the receiver can prove a loss.
        checksum: True sends the checksum of GRE header and payload.
    """

    payload: str = "ip"
    key: int | None = None
    sequence: bool = False
    checksum: bool = False


@dataclass(frozen=True, slots=True)
class ErspanTunnel(Tunnel):
    """`tunnel erspan NAME` (draft-foschiano-erspan-03); whole frames.

    Attributes:
        version: 1 (no header of its own), 2 or 3.
        session_id: 0 to 1023; tells mirror sessions apart at the receiver, from version 2 on.
    """

    version: int = 2
    session_id: int = 1


@dataclass(frozen=True, slots=True)
class VxlanTunnel(Tunnel):
    """`tunnel vxlan NAME` (RFC 7348); whole frames.

    Attributes:
        vni: VXLAN network identifier, 0 to 16777215; None while not set.
        port: UDP port of the receiver.
    """

    vni: int | None = None
    port: int = 4789


TUNNELS = {"gre": "gre_tunnel", "erspan": "erspan_tunnel", "vxlan": "vxlan_tunnel"}
"""The section of each kind of tunnel."""
