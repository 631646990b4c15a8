"""Driver of tunnels: for each interface that copies leave by a helper device whose egress runs the encapsulator."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from hsadc.dataplane import next_hop
from hsadc.dataplane.bpf import clsact
from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import (
    Tunnel,
    decode_index,
    decode_pair,
    encode_address,
    encode_index,
    encode_pair,
    encode_vxlan_port,
)
from hsadc.dataplane.helper_device import bridged, helpers, make_bridge, make_helper, remove
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.next_hop import State
from hsadc.dataplane.profile import lead_copies, needs_bridge
from hsadc.dataplane.tunnel_history import Past, TunnelHistory
from hsadc.errors import ApplyError
from hsadc.intent.mirror import TunnelIntent
from hsadc.wire.vxlan import PORT as VXLAN_PORT

_ENCAP = "hsadc_encap"
_FRESH_NS = 3 * int(next_hop.VERIFY_INTERVAL_S * 1e9)
"""How long a next hop's hardware address is used without being confirmed: while nobody watches, the kernel resolves it."""


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
        cause: while it is down, the counter that copies are dropped under; `failed` when they are not even handed over.
        past: what is remembered of it; None when nothing is.
        egress_dropped: outgoing packets of all kinds that the egress and its queue have dropped since they were made; copies
            among them count as sent.
    """

    state: str
    reason: str
    egress: str | None
    next_hop: IPv4Address | IPv6Address | None
    mac: str | None
    mtu_bytes: int
    cause: str = ""
    past: Past | None = None
    egress_dropped: int = 0


def broken(mtu_bytes: int, part: str) -> TunnelState:
    """The state of a tunnel interface of which somebody has removed a part."""
    return TunnelState("down", f"its {part} is gone: it is made again within seconds", None, None, None, mtu_bytes, "failed")


def state_of(hop: next_hop.NextHop, mtu_bytes: int) -> TunnelState:
    """How it stands with a tunnel whose packets go by a next hop.

    Args:
        hop: what the kernel says of it.
        mtu_bytes: the largest outer packet, as configured.
    """
    mtu = min(mtu_bytes, hop.mtu_bytes or mtu_bytes)
    way = hop.device or None, hop.address, hop.mac, mtu
    if hop.state is not State.UP:
        return TunnelState("down", hop.reason, *way, hop.state.name.lower())
    if mtu < mtu_bytes:
        return TunnelState("degraded", f"{hop.device} takes packets of {mtu} bytes, not {mtu_bytes}", *way)
    return TunnelState("up", "", *way)


class TunnelDriver:
    """Makes tunnels; see `Driver`."""

    kind = "tunnel"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._verify_at = 0.0
        self._history = TunnelHistory()

    def observe(self, wanted: Mapping[Hashable, TunnelIntent]) -> Mapping[Hashable, TunnelIntent]:
        """The tunnels in the map; one without its encapsulator is left out while it is wanted, so that it is made again."""
        with self._objects.lock:
            if not self._objects.adopt():
                return {}
            complete = {a.ifindex for a in clsact.attachments(self._objects.netlink) if a.name == _ENCAP}
            return {
                interface: tunnel.intent(interface)
                for interface, ifindex, tunnel in self._tunnels(self._objects.netlink)
                if ifindex in complete or interface not in wanted
            }

    def prepare(self, wanted: Mapping[Hashable, TunnelIntent]) -> None:
        """Load the programs when there is a tunnel to make; remove the devices that an interrupted process left bare."""
        with self._objects.lock:
            if wanted:
                self._objects.load()
            netlink = self._objects.netlink
            known = {interface for interface, _, _ in self._tunnels(netlink)}
            for interface in {*helpers(netlink), *bridged(netlink)} - known:
                if interface not in wanted:
                    remove(netlink, interface)

    def create(self, new: TunnelIntent) -> None:
        """Make the helper device, then what it does, then let it."""
        with self._objects.lock:
            maps, netlink = self._objects.load(), self._objects.netlink
            try:
                ifindex = make_helper(netlink, new.interface)
                key = encode_index(ifindex)
                self._forget_others(netlink)
                maps["series"].set(key)
                maps["copy_counters"].set(encode_pair(0, ifindex))
                self._put(ifindex, new, netlink)
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
            # What either of them needs of copies is theirs before the first one is dealt with in the new way.
            exact = needs_bridge(old) or needs_bridge(new)
            lead_copies(self._objects, new.interface, exact, hashed=new.encapsulation.kind == "vxlan")
            self._put(ifindex, new, netlink)
            lead_copies(self._objects, new.interface, needs_bridge(new))
            self._forget_others(netlink)

    def delete(self, old: TunnelIntent) -> None:
        """Remove the helper device, with it the encapsulator's filter, and what the maps know of it."""
        with self._objects.lock:
            netlink = self._objects.netlink
            self._objects.adopt()
            remove(netlink, old.interface)
            self._history.keep(helpers(netlink))
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
            hops = []
            for interface, ifindex, tunnel in self._tunnels(netlink):
                hops.append(self._resolve(ifindex, tunnel, netlink))
                state = state_of(hops[-1], tunnel.mtu_bytes)
                self._history.note(interface, state.state, state.reason)
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
                state = broken(tunnel.mtu_bytes, "encapsulator")
                return replace(state, past=self._history.note(interface, state.state, state.reason))
            state = state_of(_next_hop(netlink, tunnel), tunnel.mtu_bytes)
            return replace(state, past=self._history.note(interface, state.state, state.reason))

    def _tunnels(self, netlink: Netlink) -> Iterator[tuple[str, int, Tunnel]]:
        """Interface, helper's index and record of each tunnel in the map."""
        maps = self._objects.maps
        for interface, ifindex in helpers(netlink).items() if maps else ():
            value = maps["tunnels"].get(encode_index(ifindex))
            if value is not None:
                yield interface, ifindex, Tunnel.decode(value)

    def _put(self, ifindex: int, new: TunnelIntent, netlink: Netlink) -> None:
        """What must not be copied from an interface is known before the first copy can come there."""
        maps, destination = self._objects.maps, new.encapsulation.destination
        if destination is not None:
            maps["analyzers"].set(encode_address(destination))
        maps["vxlan_ports"].set(encode_vxlan_port(VXLAN_PORT))
        maps["vxlan_ports"].set(encode_vxlan_port(new.encapsulation.port))
        if needs_bridge(new):
            make_bridge(netlink, new.interface)
        self._resolve(ifindex, Tunnel.of(new), netlink)

    def _resolve(self, ifindex: int, tunnel: Tunnel, netlink: Netlink) -> next_hop.NextHop:
        """Write a tunnel's record with the next hop of this moment."""
        hop = _next_hop(netlink, tunnel)
        macs = None if hop.mac is None or hop.source_mac is None else (_packed(hop.mac), _packed(hop.source_mac))
        tunnels, key = self._objects.maps["tunnels"], encode_index(ifindex)
        old = tunnels.get(key)
        new = tunnel.resolved(hop, macs, _fresh_until(old)).encode(ifindex)
        if old != new:
            tunnels.set(key, new)
        if hop.state is State.NO_NEIGHBOUR:
            next_hop.probe(netlink, hop)
        return hop

    def _forget_others(self, netlink: Netlink) -> None:
        """Remove from the maps what belongs to helper devices that are gone, and to no tunnel any more."""
        maps, alive = self._objects.maps, set(helpers(netlink).values())
        if not maps:
            return
        for name in ("tunnels", "series"):
            for key in list(maps[name].keys()):
                if decode_index(key) not in alive:
                    maps[name].delete(key)
        for name in ("copy_counters", "buckets"):
            for key in list(maps[name].keys()):
                if decode_pair(key)[1] not in alive:
                    maps[name].delete(key)
        encapsulations = [tunnel.encapsulation for _, _, tunnel in self._tunnels(netlink)]
        analyzers = {encode_address(e.destination) for e in encapsulations}
        ports = {encode_vxlan_port(port) for port in (VXLAN_PORT, *(e.port for e in encapsulations))}
        for name, wanted in (("analyzers", analyzers), ("vxlan_ports", ports if encapsulations else set())):
            for key in set(maps[name].keys()) - wanted:
                maps[name].delete(key)


def _fresh_until(old: bytes | None) -> int:
    """Until when (CLOCK_MONOTONIC) hardware addresses are good; what is good for a while yet is not written again."""
    now_ns, known_ns = time.monotonic_ns(), 0 if old is None else Tunnel.decode(old).fresh_ns
    return known_ns if known_ns - now_ns > _FRESH_NS // 2 else now_ns + _FRESH_NS


def _packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _next_hop(netlink: Netlink, tunnel: Tunnel) -> next_hop.NextHop:
    source, destination = tunnel.encapsulation.source, tunnel.encapsulation.destination
    if source is None or destination is None:
        return next_hop.resolve_device(netlink, tunnel.egress)
    return next_hop.resolve(netlink, source, destination, tunnel.egress)
