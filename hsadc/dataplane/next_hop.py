"""Where a tunnel's packets go: the kernel's route to the analyzer, and whether the next hop answers.

The encapsulator sends to a next hop that is written into its map; the kernel resolves the hop's hardware address. It does not
tell when that fails, so the state of route and neighbour is watched here.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane.bpf.records import State

_log = logging.getLogger(__name__)

_RTN_UNICAST, _RTM_F_FIB_MATCH = 1, 0x2000
_ARPHRD_ETHER, _IFF_UP, _IFF_NOARP, _NTF_USE = 1, 1, 0x80, 1
_NUD_INCOMPLETE, _NUD_NONE = 0x01, 0x00
_NUD_VALID = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08  # permanent, noarp, reachable, probe, stale, delay
_GROUPS = 0x01 | 0x04 | 0x10 | 0x40 | 0x80  # RTMGRP_: link, neighbour, IPv4 address, IPv4 route, IPv4 rule
_PROBE_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class NextHop:
    """The answer to "how does a packet get there".

    Attributes:
        state: whether it does.
        reason: why not, for the operator; empty when it does.
        ifindex: index of the device that it leaves by; 0 when there is no route.
        device: that device's name.
        address: the neighbour it is handed to.
        mac: the neighbour's hardware address, when known.
        mtu_bytes: the largest IP packet that route and device take; 0 when there is no route.
        probing: True while the kernel is asking for the neighbour.
    """

    state: State
    reason: str = ""
    ifindex: int = 0
    device: str = ""
    address: IPv4Address | None = None
    mac: str | None = None
    mtu_bytes: int = 0
    probing: bool = False


def resolve(netlink: IPRoute, source: IPv4Address, destination: IPv4Address, egress: str) -> NextHop:
    """Ask the kernel's routes (by `egress`, unless empty) and neighbours.

    Raises:
        NetlinkError, OSError: the kernel cannot be asked.
    """
    asked: dict[str, Any] = {"dst": str(destination), "src": str(source)}
    if egress:
        found = netlink.link_lookup(ifname=egress)
        if not found:
            return NextHop(State.NO_ROUTE, f"device {egress} does not exist")
        asked["oif"] = found[0]
    try:
        if egress:  # without a match the kernel would take any address for one that is on the device's own link
            netlink.route("get", **asked, flags=_RTM_F_FIB_MATCH)
        (route,) = netlink.route("get", **asked)
    except NetlinkError:
        if not list(netlink.get_addr(family=socket.AF_INET, address=str(source))):
            return NextHop(State.NO_ROUTE, f"source {source} is not an address of this machine")
        return NextHop(State.NO_ROUTE, f"no route to {destination}" + (f" by {egress}" if egress else ""))
    gateway, metrics = route.get_attr("RTA_GATEWAY"), route.get_attr("RTA_METRICS")
    if route["type"] != _RTN_UNICAST:
        return NextHop(State.NO_ROUTE, f"{destination} is not the address of another machine")
    if gateway is None and route.get_attr("RTA_VIA") is not None:
        return NextHop(State.NO_ROUTE, f"the route to {destination} has an IPv6 gateway")
    mtu = (metrics.get_attr("RTAX_MTU") if metrics is not None else None) or 0
    return _neighbour(netlink, route.get_attr("RTA_OIF"), IPv4Address(gateway or destination), mtu)


def _neighbour(netlink: IPRoute, ifindex: int, address: IPv4Address, route_mtu: int) -> NextHop:
    (link,) = netlink.link("get", index=ifindex)
    device, mtu = link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_MTU")
    mtu = min(mtu, route_mtu or mtu)
    if link["ifi_type"] != _ARPHRD_ETHER:
        return NextHop(State.NO_ROUTE, f"{device}, which leads to the destination, is not an Ethernet device")
    state, mac = _NUD_NONE, None
    try:
        (neighbour,) = netlink.neigh("get", dst=str(address), ifindex=ifindex)
        state, mac = neighbour["state"], neighbour.get_attr("NDA_LLADDR")
    except NetlinkError:
        pass  # the kernel has not been asked to reach it yet
    if state & _NUD_VALID or link["flags"] & _IFF_NOARP:
        return NextHop(State.UP, "", ifindex, device, address, mac, mtu)
    probing = bool(state & _NUD_INCOMPLETE)
    reason = f"next hop {address} on {device} " + ("is being asked for" if probing or state == _NUD_NONE else "does not answer")
    return NextHop(State.NO_NEIGHBOUR, reason, ifindex, device, address, None, mtu, probing)


def probe(netlink: IPRoute, hop: NextHop) -> None:
    """Make the kernel ask for the next hop's hardware address, unless it is about it; the answer shows in `resolve` later."""
    if hop.address is None or hop.probing:
        return
    try:
        netlink.neigh("replace", dst=str(hop.address), ifindex=hop.ifindex, flags=_NTF_USE, state=_NUD_NONE)
    except NetlinkError as e:
        _log.info("cannot ask for next hop %s on %s: %s", hop.address, hop.device, e)


class Watcher:
    """A thread that calls `refresh` at each change of links, addresses, routes, rules or neighbours.

    Args:
        refresh: brings the map up to date, asking through the socket that it is given; True when it waits for a neighbour, and
            shall be called again in a second even without a change.
    """

    def __init__(self, refresh: Callable[[IPRoute], bool]) -> None:
        self._refresh = refresh
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._events.bind((0, _GROUPS))
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
        with IPRoute() as netlink:
            while True:
                try:
                    waits = self._refresh(netlink)
                except (NetlinkError, OSError):
                    _log.exception("the next hops could not be refreshed")
                    waits = True
                ready, _, _ = select.select([self._stopped, self._events.fileno()], [], [], _PROBE_INTERVAL_S if waits else None)
                if self._stopped in ready:
                    return
                self._drain()

    def _drain(self) -> None:
        """Many changes are one: what they say is read from the kernel afterwards."""
        while True:
            try:
                self._events.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:  # the socket's queue overflowed: some change was lost, which is one
                continue
