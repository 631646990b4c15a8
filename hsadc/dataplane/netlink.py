"""The kernel's links, IPv4 addresses and routes, through one rtnetlink socket (RFC 3549); nothing else here imports pyroute2.

What hsadc makes carries the number `PROTOCOL` in the kernel: addresses in IFA_PROTO (Linux 5.18), routes in rtm_protocol. So a
restarted daemon recognises its own objects and leaves those of others alone.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from types import TracebackType
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from hsadc.errors import ApplyError

PROTOCOL = 72
"""Whose an address or a route is; no number that iproute2's rt_protos gives to another program."""

_ARPHRD_ETHER = 1
_IFF_UP = 0x1
_IFA_F_SECONDARY = 0x1
_NLM_F_DUMP_INTR = 0x10
_RTNH_F_ONLINK = 0x4
_RTN_UNICAST = 1
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE = 0, 253, 255
_TABLE_MAIN = 254
_DUMP_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Link:
    """A network device.

    Attributes:
        index: the kernel's number, from 1; a name may come back, an index does not.
        name: 1 to 15 characters.
        mtu_bytes: the largest IP packet.
        up: the administrative state (IFF_UP), not the carrier.
        ethernet: True when frames have an Ethernet header (ARPHRD_ETHER); false for the loopback and layer-3 tunnels.
        kind: `veth`, `bridge` and so on; None for hardware.
    """

    index: int
    name: str
    mtu_bytes: int
    up: bool
    ethernet: bool
    kind: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """An IPv4 address of a device.

    Attributes:
        index: the device.
        interface: the local address with its prefix length.
        secondary: True when an earlier address of the device is in the same subnet; the kernel may delete it with that one.
        ours: True when hsadc made it.
    """

    index: int
    interface: IPv4Interface
    secondary: bool
    ours: bool


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


class Netlink:
    """A socket in the network namespace of the thread that makes it; a context manager that closes it.

    pyroute2 runs an event loop of its own inside: make it, use it and close it in one thread, where no event loop runs. It
    costs less than a millisecond, so a transaction opens one.

    Each method raises NetlinkError with the kernel's errno as `code`.
    """

    def __init__(self) -> None:
        self._socket: Any = IPRoute(ext_ack=True)

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def links(self) -> tuple[Link, ...]:
        """All devices, by index."""
        return tuple(sorted((_link(m) for m in self._dump(self._socket.get_links)), key=lambda link: link.index))

    def find_link(self, name: str) -> Link | None:
        """The device of that name; None when there is none."""
        try:
            (message,) = self._socket.link("get", ifname=name)
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

    def set_link(self, index: int, *, mtu_bytes: int | None = None, up: bool | None = None) -> None:
        """Set what is not None; after an error some of it may be set."""
        settings = {} if mtu_bytes is None else {"mtu": mtu_bytes}
        state = {} if up is None else {"state": "up" if up else "down"}
        self._socket.link("set", index=index, **settings, **state)

    def addresses(self) -> tuple[Address, ...]:
        """All IPv4 addresses, those of a device in its own order: primary ones first."""
        return tuple(_address(m) for m in self._dump(lambda: self._socket.get_addr(family=socket.AF_INET)))

    def add_address(self, index: int, interface: IPv4Interface) -> None:
        """Give a device an address, marked as ours; refused (EEXIST) when it is there."""
        self._socket.addr("add", index=index, address=str(interface.ip), prefixlen=interface.network.prefixlen, proto=PROTOCOL)

    def delete_address(self, index: int, interface: IPv4Interface) -> None:
        """Take an address from a device, whoever gave it."""
        self._socket.addr("delete", index=index, address=str(interface.ip), prefixlen=interface.network.prefixlen)

    def routes(self) -> tuple[Route, ...]:
        """The main table without routes for a TOS."""
        messages = self._dump(lambda: self._socket.get_routes(family=socket.AF_INET, table=_TABLE_MAIN))
        return tuple(_route(m) for m in messages if not m["tos"])

    def add_route(self, destination: IPv4Network, metric: int, gateway: IPv4Address | None, index: int | None) -> None:
        """Make a route, marked as ours; refused (EEXIST) when there is any of this destination and metric."""
        self._socket.route("add", **_identity(destination, metric), **_next_hop(gateway, index))

    def replace_route(self, destination: IPv4Network, metric: int, gateway: IPv4Address | None, index: int | None) -> None:
        """Put a route in the place of the one of this destination and metric, whoever made that, in one step."""
        self._socket.route("replace", **_identity(destination, metric), **_next_hop(gateway, index))

    def delete_route(self, destination: IPv4Network, metric: int) -> None:
        """Remove our route; the kernel compares the mark, so one of others stays (ESRCH)."""
        self._socket.route("delete", **_identity(destination, metric), scope=_SCOPE_NOWHERE)

    def _dump(self, request: Callable[[], Iterable[Any]]) -> tuple[Any, ...]:
        """All messages of a dump; again when the kernel says that it changed meanwhile and may lack objects."""
        for _ in range(_DUMP_ATTEMPTS):
            messages = tuple(request())
            if not any(m["header"]["flags"] & _NLM_F_DUMP_INTR for m in messages):
                return messages
        raise NetlinkError(errno.EBUSY, "the kernel's tables change too fast to be read")


def _link(message: Any) -> Link:
    info = message.get("linkinfo")
    return Link(
        message["index"],
        message.get("ifname"),
        message.get("mtu"),
        bool(message["flags"] & _IFF_UP),
        message["ifi_type"] == _ARPHRD_ETHER,
        info.get("kind") if info else None,
    )


def _address(message: Any) -> Address:
    local = IPv4Interface((message.get("local"), message["prefixlen"]))
    secondary = bool(message["flags"] & _IFA_F_SECONDARY)
    return Address(message["index"], local, secondary, message.get("proto") == PROTOCOL)


def _route(message: Any) -> Route:
    destination = IPv4Network((message.get("dst") or 0, message["dst_len"]))
    metric = message.get("priority") or 0
    ours = message["proto"] == PROTOCOL
    # One unicast next hop of IPv4 is all that a route of ours can be: any other is shown as one that leads nowhere.
    if message["type"] != _RTN_UNICAST or message.get("multipath") or message.get("via"):
        return Route(destination, metric, None, None, ours)
    gateway = message.get("gateway")
    return Route(destination, metric, IPv4Address(gateway) if gateway else None, message.get("oif"), ours)


def _identity(destination: IPv4Network, metric: int) -> dict[str, Any]:
    return {"dst": str(destination), "priority": metric, "table": _TABLE_MAIN, "proto": PROTOCOL}


def _next_hop(gateway: IPv4Address | None, index: int | None) -> dict[str, Any]:
    """With both, the gateway is taken to be on that device's link even if no address says so."""
    if gateway is None:
        return {"oif": index, "scope": _SCOPE_LINK}
    if index is None:
        return {"gateway": str(gateway), "scope": _SCOPE_UNIVERSE}
    return {"gateway": str(gateway), "oif": index, "scope": _SCOPE_UNIVERSE, "flags": _RTNH_F_ONLINK}
