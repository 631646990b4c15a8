"""The kernel's neighbours: which hardware address an address of the local network has."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from pyroute2.netlink.rtnl import RTM_GETNEIGH

from hsadc.dataplane.netlink import Netlink

_STATES = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    0x80: "permanent",
}
"""NUD_* of linux/neighbour.h, by the names of ip-neighbour(8)."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What the kernel knows of an address.

    Attributes:
        address: of the neighbour.
        mac: its hardware address; None while it does not answer.
        device: name of the device that leads to it.
        state: as ip-neighbour(8) calls it.
    """

    address: IPv4Address | IPv6Address
    mac: str | None
    device: str
    state: str


def observe_neighbours(netlink: Netlink, family: int = socket.AF_INET) -> tuple[Neighbour, ...]:
    """All of them that were asked for, by address; raises what Netlink's methods raise.

    Args:
        netlink: of the namespace; not closed.
        family: AF_INET or AF_INET6.
    """
    names = {link.index: link.name for link in netlink.links()}
    found = (
        Neighbour(ip_address(m.get_attr("NDA_DST")), m.get_attr("NDA_LLADDR"), names.get(m["ifindex"], "-"), _STATES[m["state"]])
        for m in netlink.dump(RTM_GETNEIGH, family=family)
        if m["state"] in _STATES and m["state"] != 0x40  # noarp: multicast and the like
    )
    return tuple(sorted(found, key=lambda n: (int(n.address), n.device)))
