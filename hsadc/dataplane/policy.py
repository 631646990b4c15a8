"""Policy routing: rules and the tables that they lead to, beside the system's own.

What hsadc makes carries the number `PROTOCOL`, as its routes and addresses do. Its selectors are so narrow (a device of its own,
a mark of its own) that its rules can come before those of others without taking anything from them.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_DELRULE, RTM_GETROUTE, RTM_GETRULE, RTM_NEWROUTE, RTM_NEWRULE

from hsadc.dataplane.netlink import PROTOCOL
from hsadc.dataplane.rtnetlink import RtnetlinkSocket

HOP_OUT_PRIORITY, HOP_IN_PRIORITY, MARK_PRIORITY = 72, 73, 74
"""After the local table (0) and before what others have: from 100 on, as a rule."""
HOP_OUT_TABLE, HOP_IN_TABLE, MARK_TABLE = 7272, 7273, 7274
"""Not among the first 1000, which people, VRFs and containers choose from."""
MAIN_TABLE = 254
TRANSPARENT_MARK = 0x68736174
"""Of packets to a connection that HAProxy made from a client's address: "hsat" in ASCII."""

_SOL_NETLINK, _STRICT = 270, 12
_TO_TABLE = 1  # FR_ACT_TO_TBL
_UNICAST, _LOCAL = 1, 2  # RTN_*
_SCOPE_UNIVERSE, _SCOPE_HOST = 0, 254
_ONLINK = 4  # RTNH_F_ONLINK
_ALL_BITS = 0xFFFFFFFF
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Rule:
    """Packets of a device or with a mark are routed by a table of their own.

    Attributes:
        family: 4 or 6.
        priority: the lowest is asked first.
        table: number of the table.
        received_by: the device that they came in by; None for any.
        sent_by: the device that a socket is bound to; None for any.
        mark: their mark, all 32 bits of it; None for any.
    """

    family: int
    priority: int
    table: int
    received_by: str | None = None
    sent_by: str | None = None
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """Where a table sends everything.

    Attributes:
        family: 4 or 6.
        table: number of the table.
        index: the device.
        gateway: next hop, taken to be on the device's link; None delivers to this machine itself.
        congestion_control: of TCP that goes there; None is what the machine has for all.
    """

    family: int
    table: int
    index: int
    gateway: str | None = None
    congestion_control: str | None = None


class Policy(RtnetlinkSocket):
    """A socket that speaks of rules and tables; namespace, threads and closing as for any.

    Each method raises NetlinkError with the kernel's errno as `code`, and OSError when the socket fails.
    """

    def __init__(self) -> None:
        super().__init__()
        # The kernel then takes what is asked of a dump seriously: one table, and not all routes that there are.
        self._socket.setsockopt(_SOL_NETLINK, _STRICT, 1)

    def rules(self) -> frozenset[Rule]:
        """Our rules."""
        return frozenset(our_rules(self))

    def add_rule(self, rule: Rule) -> None:
        """Make it; right also when it is there."""
        try:
            self._rule_request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule)
        except NetlinkError as e:
            if e.code != errno.EEXIST:
                raise

    def delete_rule(self, rule: Rule) -> None:
        """Remove it; right also when it is gone."""
        try:
            self._rule_request(RTM_DELRULE, 0, rule)
        except NetlinkError as e:
            if e.code != errno.ENOENT:
                raise

    def default_routes(self, *tables: int) -> frozenset[DefaultRoute]:
        """Our default routes in these tables."""
        return frozenset(route for family in families() for table in tables for route in self._default_routes(family, table))

    def set_default_route(self, route: DefaultRoute) -> None:
        """Make it, in place of any other default route in that table."""
        self._route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route)

    def delete_default_route(self, route: DefaultRoute) -> None:
        """Remove it; right also when it is gone."""
        try:
            self._route_request(RTM_DELROUTE, 0, route)
        except NetlinkError as e:
            if e.code != errno.ESRCH:
                raise

    def _default_routes(self, family: int, table: int) -> Iterator[DefaultRoute]:
        try:
            messages = self.dump(RTM_GETROUTE, {"RTA_TABLE": table}, family=_FAMILIES[family])
        except NetlinkError as e:
            if e.code == errno.ENOENT:  # a table without routes does not exist
                return
            raise
        for message in messages:
            if message["proto"] == PROTOCOL and not message["dst_len"]:
                metrics = message.get_attr("RTA_METRICS")
                control = metrics.get_attr("RTAX_CC_ALGO") if metrics is not None else None
                yield DefaultRoute(family, table, message.get_attr("RTA_OIF"), message.get_attr("RTA_GATEWAY"), control)

    def _rule_request(self, kind: int, flags: int, rule: Rule) -> None:
        attributes: dict[str, Any] = {"FRA_PRIORITY": rule.priority, "FRA_TABLE": rule.table, "FRA_PROTOCOL": PROTOCOL}
        if rule.received_by is not None:
            attributes["FRA_IIFNAME"] = rule.received_by
        if rule.sent_by is not None:
            attributes["FRA_OIFNAME"] = rule.sent_by
        if rule.mark is not None:
            attributes |= {"FRA_FWMARK": rule.mark, "FRA_FWMASK": _ALL_BITS}
        self.request(kind, flags, attributes, family=_FAMILIES[rule.family], action=_TO_TABLE)

    def _route_request(self, kind: int, flags: int, route: DefaultRoute) -> None:
        attributes: dict[str, Any] = {"RTA_TABLE": route.table, "RTA_OIF": route.index}
        local = route.gateway is None
        if not local:
            attributes["RTA_GATEWAY"] = route.gateway
        if route.congestion_control is not None:
            attributes["RTA_METRICS"] = {"attrs": [("RTAX_CC_ALGO", route.congestion_control)]}
        self.request(
            kind,
            flags,
            attributes,
            family=_FAMILIES[route.family],
            proto=PROTOCOL,
            type=_LOCAL if local else _UNICAST,
            scope=_SCOPE_HOST if local else _SCOPE_UNIVERSE,
            flags=0 if local else _ONLINK,
        )


def our_rules(netlink: RtnetlinkSocket) -> Iterator[Rule]:
    """Our rules in the socket's namespace.

    Raises:
        NetlinkError, OSError: as the socket has it.
    """
    for message in (m for family in families() for m in netlink.dump(RTM_GETRULE, family=_FAMILIES[family])):
        if message.get_attr("FRA_PROTOCOL") == PROTOCOL:
            family = next(version for version, number in _FAMILIES.items() if number == message["family"])
            devices = message.get_attr("FRA_IIFNAME"), message.get_attr("FRA_OIFNAME")
            priority, table = message.get_attr("FRA_PRIORITY") or 0, message.get_attr("FRA_TABLE")
            yield Rule(family, priority, table, *devices, message.get_attr("FRA_FWMARK"))


def families() -> tuple[int, ...]:
    """The families that this kernel speaks: 4, and 6 unless it was started without."""
    return (4, 6) if Path("/proc/sys/net/ipv6").exists() else (4,)
