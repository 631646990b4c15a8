"""The two ends of the clear hop, each in the network namespace of the thread that deals with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hsadc.dataplane.netlink import Link, Netlink
from hsadc.dataplane.policy import (
    HOP_IN_PRIORITY,
    HOP_IN_TABLE,
    HOP_OUT_PRIORITY,
    HOP_OUT_TABLE,
    MAIN_TABLE,
    DefaultRoute,
    Policy,
    Rule,
    families,
)
from hsadc.intent.hop import DEVICE, MTU_BYTES

_MAC = "02:00:5e:00:53:01"
"""Of both ends: one for documentation (RFC 7042, section 2.1.2), made a local one; it is never seen on a wire."""
_GATEWAYS = {4: "169.254.72.1", 6: "fe80::72"}
"""The other end, as it were: with a next hop the kernel has one neighbour for all clients, and not one for each of them."""
_CONTROL = "reno"
"""Nothing gets lost on the way, so what paces packets elsewhere (BBR) would only cost: a tenth of the work, for large bodies."""
_FOLDER = Path("/proc/sys/net")
_SETTINGS = {
    f"ipv4/conf/{DEVICE}/accept_local": "1",
    f"ipv6/conf/{DEVICE}/disable_ipv6": "0",
    f"ipv6/conf/{DEVICE}/addr_gen_mode": "1",  # no address of its own, for which it would send messages
}


@dataclass(frozen=True, slots=True)
class End:
    """What comes from the cable is taken as this namespace's own, and what is for the other end goes there.

    Attributes:
        table: the routing table that leads to the other end.
        asked_by: rules that have it asked, of each family.
        settings: what stands below /proc/sys/net, beside what both ends have.
    """

    table: int
    asked_by: tuple[Rule, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    def is_right(self) -> bool:
        """Whether nothing is missing."""
        with Netlink() as netlink, Policy() as policy:
            device, loopback = netlink.find_link(DEVICE), netlink.link("lo")
            return (
                device is not None
                and _is_set_up(device)
                and loopback.up
                and policy.rules() >= self._rules()
                and policy.default_routes(self.table, HOP_IN_TABLE) >= self._routes(device, loopback)
                and all(path.read_text().split() == value.split() for path, value in self._settings())
            )

    def make(self) -> None:
        """Make what is missing; the device is there."""
        with Netlink() as netlink, Policy() as policy:
            device, loopback = netlink.link(DEVICE), netlink.link("lo")
            for path, value in self._settings():
                path.write_text(value)
            netlink.set_link(loopback.index, up=True)
            if not _is_set_up(device):
                netlink.set_link(device.index, mtu_bytes=MTU_BYTES, arp=False, up=True, mac=_MAC)
            for route in self._routes(device, loopback):
                policy.set_default_route(route)
            for rule in self._rules() - policy.rules():
                policy.add_rule(rule)

    def is_there(self) -> bool:
        """Whether there is anything of it."""
        with Netlink() as netlink, Policy() as policy:
            return netlink.find_link(DEVICE) is not None or bool(policy.rules() & self._rules())

    def remove(self) -> None:
        """Remove all of it, with the cable."""
        with Netlink() as netlink, Policy() as policy:
            for rule in self._rules():
                policy.delete_rule(rule)
            for route in policy.default_routes(HOP_IN_TABLE):
                policy.delete_default_route(route)
            if (device := netlink.find_link(DEVICE)) is not None:
                netlink.delete_link(device.index)

    def _rules(self) -> frozenset[Rule]:
        received = (Rule(family, HOP_IN_PRIORITY, HOP_IN_TABLE, received_by=DEVICE) for family in families())
        return frozenset((*received, *(rule for rule in self.asked_by if rule.family in families())))

    def _routes(self, device: Link, loopback: Link) -> frozenset[DefaultRoute]:
        onward = (DefaultRoute(family, self.table, device.index, _GATEWAYS[family], _CONTROL) for family in families())
        return frozenset((*onward, *(DefaultRoute(family, HOP_IN_TABLE, loopback.index) for family in families())))

    def _settings(self) -> Iterator[tuple[Path, str]]:
        for name, value in {**_SETTINGS, **self.settings}.items():
            if int(name[3]) in families():
                yield _FOLDER / name, value


NEAR = End(HOP_OUT_TABLE, tuple(Rule(family, HOP_OUT_PRIORITY, HOP_OUT_TABLE, sent_by=DEVICE) for family in (4, 6)))
FAR = End(
    MAIN_TABLE,
    (),
    {
        "ipv4/conf/all/rp_filter": "0",
        f"ipv4/conf/{DEVICE}/rp_filter": "0",
        # What the clear leg has sent and a slow client has not received yet, the analyzer has seen: it must not be too much.
        "ipv4/tcp_wmem": "4096 65536 262144",
    },
)


def _is_set_up(device: Link) -> bool:
    return device.up and not device.arp and (device.mtu_bytes, device.mac) == (MTU_BYTES, _MAC)
