"""The kernel's links, addresses and IPv4 routes as plain values, and the requests that change them.

What hsadc makes carries the number `PROTOCOL` in the kernel: addresses in IFA_PROTO (Linux 5.18), routes in rtm_protocol. So a
restarted daemon recognises its own objects and leaves those of others alone.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, ip_interface
from socket import AF_INET, AF_INET6, AF_UNSPEC
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETQDISC,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
)

from hsadc.dataplane.route_message import RouteMessage, decode_route
from hsadc.dataplane.rtnetlink import RtnetlinkSocket
from hsadc.errors import ApplyError

PROTOCOL = 72
"""Whose an address or a route is; no number that iproute2's rt_protos gives to another program."""

_ARPHRD_ETHER = 1
_IFF_UP, _IFF_NOARP, _IFF_LOWER_UP = 0x1, 0x80, 0x10000
_IFA_F_SECONDARY, _IFA_F_NODAD = 0x1, 0x2
_RTEXT_FILTER_SKIP_STATS = 0x8
_RTNH_F_ONLINK = 0x4
_RTN_UNICAST = 1
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE = 0, 253, 255
_TABLE_MAIN = 254
_TC_H_ROOT = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Link:
    """A network device.

    Attributes:
        index: the kernel's number, from 1; a name may come back, an index does not.
        name: 1 to 15 characters.
        mtu_bytes: the largest IP packet.
        up: the administrative state (IFF_UP), not the carrier.
        ethernet: True when frames have an Ethernet header (ARPHRD_ETHER); false for the loopback and layer-3 tunnels.
        arp: False when neighbours are not asked for their hardware addresses (IFF_NOARP).
        kind: `veth`, `bridge` and so on; None for hardware.
        master: index of the bridge, bond or the like that it is a port of (IFLA_MASTER).
        other_end: index of the device below a VLAN, or of a veth's peer, which may be in another namespace (IFLA_LINK).
        carrier: True when it is up and its cable leads to something that is up as well (IFF_LOWER_UP).
        mac: its hardware address.
    """

    index: int
    name: str
    mtu_bytes: int
    up: bool
    ethernet: bool
    arp: bool
    kind: str | None
    master: int | None = None
    other_end: int | None = None
    carrier: bool = True
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a device.

    Attributes:
        index: the device.
        interface: the local address with its prefix length.
        secondary: IPv4: True when an earlier address of the device is in the same subnet; the kernel may delete it with that one.
        ours: True when hsadc made it.
        temporary: IPv6: True when the kernel made it up to hide the machine, and will drop it soon (RFC 8981).
    """

    index: int
    interface: IPv4Interface | IPv6Interface
    secondary: bool
    ours: bool
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """An IPv4 route of the main table with TOS 0.

    Attributes:
        destination: the network it leads to.
        metric: the lowest wins; kernel and address routes have 0.
        gateway: next hop; None when it is reached directly, and when there are several next hops, or one of another family.
        index: the device that packets leave by; None when they do not (blackhole) or when there are several.
        ours: True when hsadc made it.
    """

    destination: IPv4Network
    metric: int
    gateway: IPv4Address | None
    index: int | None
    ours: bool


class Netlink(RtnetlinkSocket):
    """A socket that speaks of links, addresses and routes; namespace, threads and closing as for any.

    Each method raises NetlinkError with the kernel's errno as `code`, and OSError when the socket fails.
    """

    def links(self) -> tuple[Link, ...]:
        """All devices, by index."""
        messages = self.dump(RTM_GETLINK, {"IFLA_EXT_MASK": _RTEXT_FILTER_SKIP_STATS})
        return tuple(sorted((_link(m) for m in messages), key=lambda link: link.index))

    def find_link(self, which: str | int) -> Link | None:
        """The device of that name or index; None when there is none."""
        name, index = ({"IFLA_IFNAME": which}, 0) if isinstance(which, str) else ({}, which)
        try:
            (message,) = self.request(RTM_GETLINK, 0, name | {"IFLA_EXT_MASK": _RTEXT_FILTER_SKIP_STATS}, index=index)
        except NetlinkError as e:
            if e.code in (errno.ENODEV, errno.ERANGE):  # ERANGE: longer than any name can be
                return None
            raise
        return _link(message)

    def link(self, name: str) -> Link:
        """The device of that name.

        Raises:
            ApplyError: there is none.
        """
        link = self.find_link(name)
        if link is None:
            raise ApplyError(f"find device {name}", f"device {name} does not exist")
        return link

    def dropped(self, name: str) -> int:
        """Outgoing packets that a device and its queue have dropped since they were made; 0 when there is no such device."""
        link = self.find_link(name)
        if link is None:
            return 0
        (message,) = self.request(RTM_GETLINK, 0, {}, index=link.index)
        queues = (q for q in self.dump(RTM_GETQDISC) if q["index"] == link.index and q["parent"] == _TC_H_ROOT)
        return int(message.get_attr("IFLA_STATS64")["tx_dropped"]) + sum(int(q.get_attr("TCA_STATS")["drop"]) for q in queues)

    def add_link(self, name: str, kind: str, settings: Mapping[str, int] | None = None) -> None:
        """Make a device of a kind; it is down. Refused (EEXIST) when the name is taken.

        Args:
            name: 1 to 15 characters.
            kind: `ifb`, `bridge`.
            settings: what the kind has of its own, by the kernel's names (`IFLA_BR_...`).
        """
        info: list[tuple[str, Any]] = [("IFLA_INFO_KIND", kind)]
        if settings:
            info.append(("IFLA_INFO_DATA", {"attrs": list(settings.items())}))
        self.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, {"IFLA_IFNAME": name, "IFLA_LINKINFO": {"attrs": info}})

    def add_cable(self, name: str, namespace: int) -> None:
        """Make a pair of veth devices of one name, here and in another network namespace; both are down.

        Refused (EEXIST) when the name is taken here or there.

        Args:
            name: 1 to 15 characters.
            namespace: descriptor of the other namespace; owned by the caller.
        """
        peer = {"attrs": [("IFLA_IFNAME", name), ("IFLA_NET_NS_FD", namespace)]}
        info = [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", peer)]})]
        self.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, {"IFLA_IFNAME": name, "IFLA_LINKINFO": {"attrs": info}})

    def set_master(self, index: int, master: int) -> None:
        """Make a device a port of a bridge."""
        self.request(RTM_NEWLINK, 0, {"IFLA_MASTER": master}, index=index)

    def delete_link(self, index: int) -> None:
        """Remove a device that was made; also right when it is gone already."""
        try:
            self.request(RTM_DELLINK, index=index)
        except NetlinkError as e:
            if e.code != errno.ENODEV:
                raise

    def set_link(
        self,
        index: int,
        *,
        mtu_bytes: int | None = None,
        arp: bool | None = None,
        up: bool | None = None,
        mac: str | None = None,
    ) -> None:
        """Set what is not None; after an error some of it may be set."""
        attributes: dict[str, Any] = {} if mtu_bytes is None else {"IFLA_MTU": mtu_bytes}
        if mac is not None:
            attributes["IFLA_ADDRESS"] = mac
        mask = (0 if up is None else _IFF_UP) | (0 if arp is None else _IFF_NOARP)
        flags = (_IFF_UP if up else 0) | (_IFF_NOARP if arp is False else 0)  # flags without a mask would all be set
        self.request(RTM_NEWLINK, 0, attributes, index=index, flags=flags, change=mask)

    def addresses(self) -> tuple[Address, ...]:
        """All addresses of both families, those of a device and family in the kernel's order: for IPv4, primary ones first."""
        return tuple(_address(m) for m in self.dump(RTM_GETADDR, family=AF_UNSPEC))

    def has_address(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether a device of this machine has the address."""
        if isinstance(address, IPv4Address):  # the kernel answers for a single address of IPv6 alone
            return any(a.interface.ip == address for a in self.addresses())
        try:
            self.request(RTM_GETADDR, 0, {"IFA_ADDRESS": str(address)}, family=AF_INET6, prefixlen=128)
        except NetlinkError as e:
            if e.code == errno.EADDRNOTAVAIL:
                return False
            raise
        return True

    def add_address(self, index: int, interface: IPv4Interface | IPv6Interface) -> None:
        """Give a device an address, marked as ours; refused (EEXIST) when it is there (IPv6: with any prefix length).

        An IPv6 address can be used at once: without detection of duplicates (IFA_F_NODAD), which would keep HAProxy from
        listening on it, and tunnels from sending, for a second or two after each start. IPv4 addresses have no such check either.
        """
        self._address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, interface)

    def delete_address(self, index: int, interface: IPv4Interface | IPv6Interface) -> None:
        """Take an address from a device, whoever gave it."""
        self._address_request(RTM_DELADDR, 0, index, interface)

    def _address_request(self, kind: int, nlm_flags: int, index: int, interface: IPv4Interface | IPv6Interface) -> None:
        attributes = {"IFA_LOCAL": str(interface.ip), "IFA_ADDRESS": str(interface.ip), "IFA_PROTO": PROTOCOL}
        family, flags = (AF_INET, 0) if isinstance(interface, IPv4Interface) else (AF_INET6, _IFA_F_NODAD)
        prefixlen = interface.network.prefixlen
        self.request(kind, nlm_flags, attributes, family=family, prefixlen=prefixlen, flags=flags, index=index)

    def routes(self) -> tuple[Route, ...]:
        """The main table without routes for a TOS."""
        messages = map(decode_route, self.dump_bytes(RTM_GETROUTE, family=AF_INET))
        return tuple(_route(m) for m in messages if m.table == _TABLE_MAIN and not m.tos)

    def add_route(self, destination: IPv4Network, metric: int, gateway: IPv4Address | None, index: int | None) -> None:
        """Make a route, marked as ours; refused (EEXIST) when there is any of this destination and metric."""
        self._new_route(NLM_F_CREATE | NLM_F_EXCL, destination, metric, gateway, index)

    def replace_route(self, destination: IPv4Network, metric: int, gateway: IPv4Address | None, index: int | None) -> None:
        """Put a route in the place of the one of this destination and metric, whoever made that, in one step."""
        self._new_route(NLM_F_CREATE | NLM_F_REPLACE, destination, metric, gateway, index)

    def _new_route(
        self, flags: int, destination: IPv4Network, metric: int, gateway: IPv4Address | None, index: int | None
    ) -> None:
        """With a gateway and a device, the gateway is taken to be on that device's link even if no address says so."""
        hop: dict[str, Any] = {} if index is None else {"RTA_OIF": index}
        if gateway is not None:
            hop["RTA_GATEWAY"] = str(gateway)
        scope = _SCOPE_LINK if gateway is None else _SCOPE_UNIVERSE
        onlink = 0 if gateway is None or index is None else _RTNH_F_ONLINK
        self._route_request(RTM_NEWROUTE, flags, destination, metric, hop, scope=scope, type=_RTN_UNICAST, flags=onlink)

    def delete_route(self, destination: IPv4Network, metric: int) -> None:
        """Remove our route; the kernel compares the mark, so one of others stays (ESRCH)."""
        self._route_request(RTM_DELROUTE, 0, destination, metric, {}, scope=_SCOPE_NOWHERE)

    def _route_request(
        self, kind: int, nlm_flags: int, destination: IPv4Network, metric: int, hop: dict[str, Any], **fields: int
    ) -> None:
        attributes = {"RTA_DST": str(destination.network_address), "RTA_PRIORITY": metric, "RTA_TABLE": _TABLE_MAIN} | hop
        self.request(
            kind,
            nlm_flags,
            attributes,
            family=AF_INET,
            dst_len=destination.prefixlen,
            table=_TABLE_MAIN,
            proto=PROTOCOL,
            **fields,
        )


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    return Link(
        message["index"],
        message.get_attr("IFLA_IFNAME"),
        message.get_attr("IFLA_MTU"),
        bool(message["flags"] & _IFF_UP),
        message["ifi_type"] == _ARPHRD_ETHER,
        not message["flags"] & _IFF_NOARP,
        info.get_attr("IFLA_INFO_KIND") if info else None,
        message.get_attr("IFLA_MASTER"),
        message.get_attr("IFLA_LINK"),
        bool(message["flags"] & _IFF_LOWER_UP),
        message.get_attr("IFLA_ADDRESS"),
    )


def _address(message: Any) -> Address:
    # IFA_ADDRESS alone is the address itself; beside IFA_LOCAL it may be the other end's.
    local = ip_interface((message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"), message["prefixlen"]))
    bit = bool(message["flags"] & _IFA_F_SECONDARY)  # IPv6 has given this bit the name IFA_F_TEMPORARY
    ours, ipv4 = message.get_attr("IFA_PROTO") == PROTOCOL, isinstance(local, IPv4Interface)
    return Address(message["index"], local, bit and ipv4, ours, bit and not ipv4)


def _route(message: RouteMessage) -> Route:
    ours = message.protocol == PROTOCOL
    # To deliver locally, or by a gateway of another family, is not to reach the destination on the device. (Several next hops
    # have neither gateway nor device here.)
    if message.kind != _RTN_UNICAST or message.via:
        return Route(message.destination, message.metric, None, None, ours)
    return Route(message.destination, message.metric, message.gateway, message.index, ours)
