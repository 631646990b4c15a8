"""Where a tunnel's packets go: next hop, its hardware address, and whether it is there."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from hsadc.dataplane import next_hop
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.next_hop import NextHop
from hsadc.dataplane.portable.output import Way, hardware_address
from hsadc.intent.mirror import TunnelIntent

UP, NO_NEIGHBOUR = "up", "no_neighbour"
_IPV4, _IPV6 = 0x0800, 0x86DD


@dataclass(frozen=True, slots=True)
class Path:
    """The answer of this moment.

    Attributes:
        state: `up`, or the counter under which packets are dropped: `no_route`, `no_neighbour`, `link_down`.
        reason: why it is not up; empty when it is.
        mtu_bytes: the largest outer packet that it takes; None when that is not known.
        way: how packets leave; None when they do not.
        hop: what the kernel says; None for frames without encapsulation.
        device: name of the device that they leave by; None without a route.
    """

    state: str
    reason: str = ""
    mtu_bytes: int | None = None
    way: Way | None = None
    hop: NextHop | None = None
    device: str | None = None


def find_path(netlink: Netlink, tunnel: TunnelIntent) -> Path:
    """Ask the kernel.

    Raises:
        NetlinkError, OSError: it cannot be asked.
    """
    e = tunnel.encapsulation
    if e.kind == "none":  # frames leave as they are: there is no neighbour
        hop = next_hop.resolve_device(netlink, tunnel.egress or "")
        way = Way(hop.ifindex) if hop.state.name.lower() == UP else None
        return Path(hop.state.name.lower(), hop.reason, hop.mtu_bytes or None, way, hop, hop.device or None)
    source: Any = e.source
    destination: Any = e.destination
    hop = next_hop.resolve(netlink, source, destination, tunnel.egress or "")
    state, device = hop.state.name.lower(), hop.device or None
    if state != UP:
        return Path(state, hop.reason, hop.mtu_bytes or None, None, hop, device)
    protocol = _IPV4 if isinstance(destination, IPv4Address) else _IPV6
    return Path(UP, "", hop.mtu_bytes, Way(hop.ifindex, hardware_address(hop.mac), protocol), hop, device)
