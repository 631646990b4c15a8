"""The machine's Ethernet devices, as the compiler must know them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv6Interface

from hsadc.dataplane.hop import hop_namespace
from hsadc.dataplane.netlink import Address, Link, Netlink
from hsadc.dataplane.originals import Originals, Setting
from hsadc.dataplane.transparent import transparent_families
from hsadc.intent.hop import DEVICE
from hsadc.intent.inventory import Device, Inventory

OWN_PREFIX = "hsadc-"
"""How the names of devices begin that hsadc makes for itself; they are never offered as interfaces."""


_MASTERS = ("bridge", "bond", "team")
_STACKED = ("vlan", "macvlan", "ipvlan")


def observe_inventory(netlink: Netlink, originals: Originals) -> Inventory:
    """The Ethernet devices of the socket's namespace by index, as they would be without hsadc.

    Netlink alone is asked: sysfs shows the namespace that it was mounted in.

    Raises:
        NetlinkError: the kernel refuses.
    """
    present = netlink.links()
    links = [link for link in present if link.ethernet and not link.name.startswith(OWN_PREFIX)]
    # In a container or a lab there is no hardware: there the ends of virtual cables are the ports.
    port_kind = None if any(link.kind is None for link in links) else "veth"
    foreign = [a for a in netlink.addresses() if _kept(a)]
    return Inventory(
        tuple(
            Device(
                link.name,
                _original_mtu(link, originals),
                tuple(a.interface for a in foreign if a.index == link.index and isinstance(a.interface, IPv4Interface)),
                link.kind == port_kind,
                _seen_at(link, links),
                tuple(a.interface for a in foreign if a.index == link.index and isinstance(a.interface, IPv6Interface)),
            )
            for link in links
        ),
        hop_namespace=hop_namespace(),
        hop_present=any(link.name == DEVICE for link in present),
        transparent=transparent_families(netlink),
    )


def _kept(address: Address) -> bool:
    """Whether the system gave it, and for longer than a few hours."""
    link_local = isinstance(address.interface, IPv6Interface) and address.interface.ip.is_link_local
    return not (address.ours or address.temporary or link_local)


def _seen_at(link: Link, links: Sequence[Link]) -> str | None:
    """The device that all its packets pass as well, on their way to or from this machine."""
    by_index = {other.index: other for other in links}
    master = by_index.get(link.master or 0)
    if master is not None and master.kind in _MASTERS:
        return master.name
    below = by_index.get(link.other_end or 0)
    return below.name if below is not None and link.kind in _STACKED else None


def _original_mtu(link: Link, originals: Originals) -> int:
    original = originals.get(Setting(link.name, link.index, "mtu_bytes"))
    return link.mtu_bytes if original is None else original
