"""Driver of GRE tunnels: for each tunnel interface a helper device whose egress runs the encapsulator."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane import next_hop
from hsadc.dataplane.bpf import clsact
from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import State, Tunnel, encode_index
from hsadc.dataplane.netlink import Netlink
from hsadc.errors import ApplyError, Unsupported
from hsadc.intent.mirror import TunnelIntent

_ENCAP = "hsadc_encap"
_HELPER = re.compile(r"hsadc-tun(\d+)")
_HELPER_KIND, _HELPER_MTU = "ifb", 65535


@dataclass(frozen=True, slots=True)
class TunnelState:
    """What `show` says of a tunnel interface.

    Attributes:
        state: `up`; `degraded` (copies are sent, but not as configured); `down` (copies are counted as dropped).
        reason: why it is not up; empty when it is.
        egress: device that packets leave by, None when there is no route.
        next_hop: the neighbour that they are handed to.
        mac: the neighbour's hardware address, when known.
        mtu_bytes: the largest outer packet that is sent.
    """

    state: str
    reason: str
    egress: str | None
    next_hop: IPv4Address | None
    mac: str | None
    mtu_bytes: int


def broken(mtu_bytes: int, part: str) -> TunnelState:
    """The state of a tunnel interface of which somebody has removed a part."""
    return TunnelState("down", f"its {part} is gone: it is made again within seconds", None, None, None, mtu_bytes)


def helper_name(interface: str) -> str:
    """Name of the helper device of a tunnel interface."""
    return f"hsadc-tun{interface.removeprefix('tunnel')}"


def helpers(netlink: Netlink) -> dict[str, int]:
    """Index of the helper device of each tunnel interface that has one."""
    found = {}
    for link in netlink.links():
        name = _HELPER.fullmatch(link.name)
        if name and link.kind == _HELPER_KIND:
            found[f"tunnel{name[1]}"] = link.index
    return found


class TunnelDriver:
    """Makes GRE tunnels; see `Driver`."""

    kind = "gre tunnel"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._verify_at = 0.0

    def observe(self, wanted: Mapping[Hashable, TunnelIntent]) -> Mapping[Hashable, TunnelIntent]:
        """The tunnels in the map; one without its encapsulator is left out while it is wanted, so that it is made again."""
        with self._objects.lock:
            if not self._objects.adopt():
                return {}
            complete = {a.ifindex for a in clsact.attachments(self._objects.netlink) if a.name == _ENCAP}
            return {
                interface: _intent(interface, tunnel)
                for interface, ifindex, tunnel in self._tunnels(self._objects.netlink)
                if ifindex in complete or interface not in wanted
            }

    def prepare(self, wanted: Mapping[Hashable, TunnelIntent]) -> None:
        """Load the programs when there is a tunnel to make; remove the helper devices that an interrupted process left bare."""
        with self._objects.lock:
            if wanted:
                self._objects.load()
            netlink = self._objects.netlink
            known = {interface for interface, _, _ in self._tunnels(netlink)}
            for interface, ifindex in helpers(netlink).items():
                if interface not in known and interface not in wanted:
                    netlink.delete_link(ifindex)

    def create(self, new: TunnelIntent) -> None:
        """Make the helper device, then what it does, then let it."""
        with self._objects.lock:
            maps, netlink = self._objects.load(), self._objects.netlink
            try:
                ifindex = _make_helper(netlink, helper_name(new.interface))
                key = encode_index(ifindex)
                self._forget_others(netlink)
                maps["tunnel_counters"].set(key)
                maps["identifications"].set(key)
                self._write(ifindex, _record(new), netlink)
                self._objects.attach(ifindex, _ENCAP)
            except BaseException:
                self.delete(new)
                raise

    def change(self, old: TunnelIntent, new: TunnelIntent) -> None:
        """Replace what the encapsulator does, between one copy and the next; its counters go on."""
        with self._objects.lock:
            netlink = self._objects.netlink
            self._objects.load()
            ifindex = helpers(netlink).get(old.interface)
            if ifindex is None:
                raise ApplyError(f"change {old.interface}", "its helper device does not exist")
            self._write(ifindex, _record(new), netlink)

    def delete(self, old: TunnelIntent) -> None:
        """Remove the helper device, with it the encapsulator's filter, and what the maps know of it."""
        with self._objects.lock:
            netlink = self._objects.netlink
            self._objects.adopt()
            ifindex = helpers(netlink).get(old.interface)
            if ifindex is not None:
                netlink.delete_link(ifindex)
            self._forget_others(netlink)
            self._objects.release()

    def refresh(self) -> float | None:
        """Bring all tunnels up to date with the kernel's routes and neighbours.

        Neighbours that are not known are asked for, and those that are, now and then, whether they are still there.

        Returns:
            In how many seconds this is to be done again even when nothing is heard of a change; None without tunnels.
        """
        with self._objects.lock:
            netlink, now = self._objects.netlink, time.monotonic()
            hops = [self._write(ifindex, tunnel, netlink) for _, ifindex, tunnel in self._tunnels(netlink)]
            if now >= self._verify_at:
                self._verify_at = now + next_hop.VERIFY_INTERVAL_S
                for hop in hops:
                    next_hop.verify(netlink, hop)
        if any(hop.state is State.NO_NEIGHBOUR for hop in hops):
            return next_hop.PROBE_INTERVAL_S
        return max(self._verify_at - now, 0) if hops else None

    def state(self, interface: str) -> TunnelState:
        """How it stands with a tunnel interface.

        Raises:
            KeyError: there is no such tunnel.
        """
        with self._objects.lock:
            netlink = self._objects.netlink
            self._objects.adopt()
            ifindex, tunnel = {name: (i, tunnel) for name, i, tunnel in self._tunnels(netlink)}[interface]
            if not any(a.ifindex == ifindex and a.name == _ENCAP for a in clsact.attachments(netlink)):
                return broken(tunnel.mtu_bytes, "encapsulator")
            hop = _resolve(netlink, tunnel)
        mtu = min(tunnel.mtu_bytes, hop.mtu_bytes or tunnel.mtu_bytes)
        if hop.state is not State.UP:
            state, reason = "down", hop.reason
        elif mtu < tunnel.mtu_bytes:
            state, reason = "degraded", f"{hop.device} takes packets of {mtu} bytes, not {tunnel.mtu_bytes}"
        else:
            state, reason = "up", ""
        return TunnelState(state, reason, hop.device or None, hop.address, hop.mac, mtu)

    def _tunnels(self, netlink: Netlink) -> Iterator[tuple[str, int, Tunnel]]:
        """Interface, helper's index and record of each tunnel in the map."""
        maps = self._objects.maps
        for interface, ifindex in helpers(netlink).items() if maps else ():
            value = maps["tunnels"].get(encode_index(ifindex))
            if value is not None:
                yield interface, ifindex, Tunnel.decode(value)

    def _write(self, ifindex: int, tunnel: Tunnel, netlink: Netlink) -> next_hop.NextHop:
        """Write a tunnel's record with the next hop of this moment."""
        hop = _resolve(netlink, tunnel)
        new = tunnel.resolved(hop.state, hop.ifindex, hop.address, hop.mtu_bytes).encode()
        tunnels, key = self._objects.maps["tunnels"], encode_index(ifindex)
        if tunnels.get(key) != new:
            tunnels.set(key, new)
        if hop.state is State.NO_NEIGHBOUR:
            next_hop.probe(netlink, hop)
        return hop

    def _forget_others(self, netlink: Netlink) -> None:
        """Remove from the maps what belongs to helper devices that are gone."""
        alive = {encode_index(ifindex) for ifindex in helpers(netlink).values()}
        for name in ("tunnels", "tunnel_counters", "identifications"):
            if name in self._objects.maps:
                m = self._objects.maps[name]
                for key in set(m.keys()) - alive:
                    m.delete(key)


def _record(intent: TunnelIntent) -> Tunnel:
    return Tunnel(intent.source, intent.destination, intent.gre_key, intent.mtu_bytes, intent.egress or "")


def _intent(interface: str, tunnel: Tunnel) -> TunnelIntent:
    return TunnelIntent(interface, tunnel.egress or None, tunnel.source, tunnel.destination, tunnel.gre_key, tunnel.mtu_bytes)


def _resolve(netlink: Netlink, tunnel: Tunnel) -> next_hop.NextHop:
    return next_hop.resolve(netlink, tunnel.source, tunnel.destination, tunnel.egress)


def _make_helper(netlink: Netlink, name: str) -> int:
    """Make the device, or take the one that is there. It must stay silent: what it sent of its own would be encapsulated.

    Returns:
        Its index.
    """
    if netlink.find_link(name) is None:
        try:
            netlink.add_link(name, _HELPER_KIND)
        except NetlinkError as e:
            if e.code == errno.EOPNOTSUPP:
                raise Unsupported(f"create device {name}", "this kernel has no ifb devices (CONFIG_IFB)") from e
            raise
    index = netlink.link(name).index
    ipv6 = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1")
    netlink.set_link(index, mtu_bytes=_HELPER_MTU, arp=False, up=True)
    return index
