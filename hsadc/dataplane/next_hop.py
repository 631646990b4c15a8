"""Where a tunnel's packets go: the kernel's route to the analyzer, and whether the next hop answers.

The encapsulator sends to a next hop that is written into its map; the kernel resolves the hop's hardware address. It does not
tell when that fails, so the state of route and neighbour is watched here.

The kernel asks a neighbour that it has not heard of for a while whether it is still there, unless a local socket vouches for it:
a connection that makes progress reaches its peer. A copy of a packet from such a connection still carries that word, and the
kernel takes it for the word of the copy's own next hop. It would believe in a dead one for as long as there is traffic to
mirror, so next hops are verified from here (the states are those of RFC 4861, section 7.3.2, which Linux has for ARP, too).
"""

from __future__ import annotations

import enum
import errno
import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_REPLACE
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_GETNEIGH, RTM_GETROUTE, RTM_NEWNEIGH

from hsadc.dataplane.netlink import Link, Netlink
from hsadc.dataplane.rtnetlink import RtnetlinkEvents

_log = logging.getLogger(__name__)

_RTN_UNICAST, _RTM_F_FIB_MATCH = 1, 0x2000
_NTF_USE = 0x01
_NUD_NONE, _NUD_INCOMPLETE, _NUD_PROBE = 0x00, 0x01, 0x10
_NUD_BELIEVED = 0x02 | 0x04 | 0x08  # reachable, stale, delay
_NUD_VALID = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08  # permanent, noarp, reachable, probe, stale, delay
_GROUPS = (
    0x01 | 0x04  # RTMGRP_LINK, RTMGRP_NEIGH (of both families)
    | 0x10 | 0x40 | 0x80  # IPv4 addresses, routes, rules
    | 0x100 | 0x400 | 0x40000  # IPv6 addresses, routes, rules
)  # fmt: skip
PROBE_INTERVAL_S = 1.0
"""How often a next hop that is not there is asked for."""
_PAUSE_S = 0.02
"""Between two looks at the kernel, that a storm of routes and neighbours does not take a processor."""
VERIFY_INTERVAL_S = 5.0
"""How often one that is there is asked whether it still is."""

_Address = IPv4Address | IPv6Address


class State(enum.IntEnum):
    """Whether a tunnel's copies can be sent, and why not."""

    UP = 0
    NO_ROUTE = 1
    NO_NEIGHBOUR = 2
    LINK_DOWN = 3


@dataclass(frozen=True, slots=True)
class NextHop:
    """The answer to "how does a packet get there".

    Attributes:
        state: whether it does.
        reason: why not, for the operator; empty when it does.
        ifindex: index of the device that it leaves by; 0 when there is no route.
        device: that device's name.
        address: the neighbour it is handed to, of the other family than the packet where a route says so (`via inet6`); None for
            frames that leave as they are.
        mac: the neighbour's hardware address, when known.
        mtu_bytes: the largest IP packet that route and device take; 0 when there is no route.
        probing: True while the kernel is asking for the neighbour.
        believed: True while the kernel takes the neighbour to be there by what it learned earlier, and is not asking.
        source_mac: the device's own hardware address, when known.
    """

    state: State
    reason: str = ""
    ifindex: int = 0
    device: str = ""
    address: _Address | None = None
    mac: str | None = None
    mtu_bytes: int = 0
    probing: bool = False
    believed: bool = False
    source_mac: str | None = None


def resolve(netlink: Netlink, source: _Address, destination: _Address, egress: str) -> NextHop:
    """Ask the kernel's routes (by `egress`, unless empty) and neighbours; source and destination are of one family.

    Raises:
        NetlinkError, OSError: the kernel cannot be asked.
    """
    link = None
    if egress:
        link = netlink.find_link(egress)
        if link is None:
            return NextHop(State.NO_ROUTE, f"device {egress} does not exist")
        if (down := _down(link)) is not None:
            return down
    try:
        route = _find_route(netlink, source, destination, link)
    except NetlinkError:
        return _unreachable(netlink, source, destination, egress)
    if route["type"] != _RTN_UNICAST:
        return NextHop(State.NO_ROUTE, f"{destination} is not the address of another machine")
    via, metrics = route.get_attr("RTA_VIA") or {}, route.get_attr("RTA_METRICS")
    gateway = ip_address(via.get("addr") or route.get_attr("RTA_GATEWAY") or str(destination))
    mtu = (metrics.get_attr("RTAX_MTU") if metrics is not None else None) or 0
    return _neighbour(netlink, route.get_attr("RTA_OIF"), gateway, mtu)


def resolve_device(netlink: Netlink, device: str) -> NextHop:
    """Whether frames can leave by a device as they are, without address and neighbour.

    Raises:
        NetlinkError, OSError: the kernel cannot be asked.
    """
    link = netlink.find_link(device)
    if link is None:
        return NextHop(State.NO_ROUTE, f"device {device} does not exist")
    return _down(link) or NextHop(State.UP, "", link.index, link.name, mtu_bytes=link.mtu_bytes)


def _down(link: Link) -> NextHop | None:
    """The answer when nothing can leave by a device."""
    if link.up and link.carrier:
        return None
    reason = f"{link.name} has no carrier" if link.up else f"{link.name} is down"
    return NextHop(State.LINK_DOWN, reason, link.index, link.name, mtu_bytes=link.mtu_bytes)


def _find_route(netlink: Netlink, source: _Address, destination: _Address, link: Link | None) -> Any:
    """The rtmsg of the route that a packet takes, by the device if one is given.

    Raises:
        NetlinkError: there is none, or the source is not ours.
    """
    to, by = {"RTA_DST": str(destination)}, {} if link is None else {"RTA_OIF": link.index}
    asked: dict[str, Any] = to | by | {"RTA_SRC": str(source)}
    if isinstance(destination, IPv4Address):
        if by:  # without a match the kernel would take any address for one that is on the device's own link
            _route(netlink, asked, _RTM_F_FIB_MATCH)
        return _route(netlink, asked)
    if not netlink.has_address(source):  # IPv4's routes check it, those of IPv6 do not
        raise NetlinkError(errno.EADDRNOTAVAIL)
    route = _route(netlink, asked)
    if link is not None and route.get_attr("RTA_OIF") != link.index:
        route = _route(netlink, to | by)  # with a source the device is no more than a wish
    return route


def _route(netlink: Netlink, asked: dict[str, Any], flags: int = 0) -> Any:
    family, bits = (socket.AF_INET6, 128) if ":" in asked["RTA_DST"] else (socket.AF_INET, 32)
    source_bits = bits if "RTA_SRC" in asked else 0
    (route,) = netlink.request(RTM_GETROUTE, 0, asked, family=family, dst_len=bits, src_len=source_bits, flags=flags)
    return route


def _unreachable(netlink: Netlink, source: _Address, destination: _Address, egress: str) -> NextHop:
    """Why there is no route."""
    if not netlink.has_address(source):
        return NextHop(State.NO_ROUTE, f"source {source} is not an address of this machine")
    down = {link.index: link for link in netlink.links() if not link.up}  # the kernel drops its routes, but keeps IPv4 addresses
    for a in netlink.addresses():
        if a.index in down and destination in a.interface.network:
            return _down(down[a.index]) or NextHop(State.NO_ROUTE)
    return NextHop(State.NO_ROUTE, f"no route to {destination}" + (f" by {egress}" if egress else ""))


def _neighbour(netlink: Netlink, ifindex: int, address: _Address, route_mtu: int) -> NextHop:
    link = netlink.find_link(ifindex)
    if link is None:
        return NextHop(State.NO_ROUTE, "the device that leads to the destination is being removed")
    if (down := _down(link)) is not None:
        return down
    mtu = min(link.mtu_bytes, route_mtu or link.mtu_bytes)
    if not link.ethernet:
        return NextHop(State.NO_ROUTE, f"{link.name}, which leads to the destination, is not an Ethernet device")
    state, mac, asked_s = _NUD_NONE, None, 0.0
    try:
        (neighbour,) = netlink.request(RTM_GETNEIGH, 0, {"NDA_DST": str(address)}, family=_family(address), ifindex=ifindex)
        state, mac = neighbour["state"], neighbour.get_attr("NDA_LLADDR")
        asked_s = neighbour.get_attr("NDA_CACHEINFO")["ndm_updated"] / os.sysconf("SC_CLK_TCK")
    except NetlinkError:
        pass  # the kernel has not been asked to reach it yet
    if state & _NUD_VALID or not link.arp:
        believed = bool(state & _NUD_BELIEVED)
        return NextHop(State.UP, "", ifindex, link.name, address, mac, mtu, believed=believed, source_mac=link.mac)
    probing = bool(state & _NUD_INCOMPLETE)
    # Who does not answer is asked again at once, so that the kernel's "failed" lasts no longer than it takes to see it.
    asking = state == _NUD_NONE or (probing and asked_s < PROBE_INTERVAL_S)
    reason = f"next hop {address} on {link.name} " + ("is being asked for" if asking else "does not answer")
    return NextHop(State.NO_NEIGHBOUR, reason, ifindex, link.name, address, None, mtu, probing)


def _family(address: _Address) -> int:
    return socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6


def probe(netlink: Netlink, hop: NextHop) -> None:
    """Make the kernel ask for the next hop's hardware address, unless it is about it; the answer shows in `resolve` later."""
    if hop.address is not None and not hop.probing:
        _ask(netlink, hop, NLM_F_CREATE | NLM_F_REPLACE, _NTF_USE, _NUD_NONE)


def verify(netlink: Netlink, hop: NextHop) -> None:
    """Make the kernel ask a next hop that it believes in whether it is there; packets go on to it until it has not answered.

    An entry that somebody wrote down for good (permanent) is left alone.
    """
    if hop.believed:
        _ask(netlink, hop, NLM_F_REPLACE, 0, _NUD_PROBE)


def _ask(netlink: Netlink, hop: NextHop, message_flags: int, flags: int, state: int) -> None:
    assert hop.address is not None  # noqa: S101  # both callers have seen it
    to, family = {"NDA_DST": str(hop.address)}, _family(hop.address)
    try:
        netlink.request(RTM_NEWNEIGH, message_flags, to, family=family, ifindex=hop.ifindex, flags=flags, state=state)
    except NetlinkError as e:
        _log.info("cannot ask for next hop %s on %s: %s", hop.address, hop.device, e)


class Watcher:
    """A thread that calls `refresh` at each change of links, addresses, routes, rules or neighbours.

    Args:
        refresh: brings the map up to date; returns in how many seconds it shall be called again even without a change, None for
            never.

    Raises:
        OSError: no file descriptor is left.
    """

    def __init__(self, refresh: Callable[[], float | None]) -> None:
        self._refresh = refresh
        self._events = RtnetlinkEvents(_GROUPS)
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="hsadc-next-hop", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        os.close(self._stop)
        self._thread.join()
        os.close(self._stopped)
        self._events.close()

    def _run(self) -> None:
        while True:
            try:
                self._events.drain()  # many changes are one: what they led to is read from the kernel now
                pause_s = self._refresh()
            except Exception:  # whatever it is: without this thread, states would never change again
                _log.exception("the next hops could not be refreshed")
                pause_s = PROBE_INTERVAL_S
            if select.select([self._stopped], [], [], _PAUSE_S)[0]:
                return
            ready, _, _ = select.select([self._stopped, self._events.fileno()], [], [], pause_s)
            if self._stopped in ready:
                return
