"""Driver of profiles: how a source's packets become copies, and to which tunnels they are handed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace

from hsadc.dataplane.bpf.loader import Objects
from hsadc.dataplane.bpf.records import Profile, Tunnel, decode_index, decode_pair, encode_index, encode_pair
from hsadc.dataplane.bpf.syscall import Map
from hsadc.dataplane.helper_device import bridge_name, helpers, make_bridge
from hsadc.dataplane.next_hop import State
from hsadc.errors import ApplyError
from hsadc.intent.mirror import ProfileIntent, TunnelIntent


def needs_bridge(tunnel: TunnelIntent) -> bool:
    """Whether the tunnel deals with packets one by one, as they are on the wire."""
    return tunnel.encapsulation.numbered or tunnel.encapsulation.checksum or tunnel.oversize in ("fragment", "truncate")


def needs_hash(maps: Mapping[str, Map], intent: ProfileIntent, helpers: Iterable[int]) -> bool:
    """Whether anything depends on a packet's flow: which packets are copied, where to, or the source port of VXLAN."""
    if intent.sample_flows > 1 or intent.distribute == "flow-hash":
        return True
    return any((t := _tunnel(maps, helper)) and t.encapsulation.kind == "vxlan" for helper in helpers)


def lead_copies(objects: Objects, interface: str, exact: bool, hashed: bool = False) -> None:
    """Make all profiles hand their copies for a tunnel to the device that it needs, each between one packet and the next.

    Args:
        objects: the open maps; its lock is held.
        interface: the tunnel's, whose helper device exists.
        exact: whether the tunnel deals with packets one by one.
        hashed: whether it needs the flow's hash, although its record does not say so yet.
    """
    maps, helper = objects.maps, helpers(objects.netlink)[interface]
    for number, profile in list(profiles(maps)):
        if helper in profile.helpers:
            device = make_bridge(objects.netlink, interface) if exact or profile.intent.exact else helper
            devices = (device if h == helper else d for h, d in zip(profile.helpers, profile.devices, strict=True))
            hash_needed = hashed or needs_hash(maps, profile.intent, profile.helpers)
            new = replace(profile, devices=tuple(devices), needs_hash=hash_needed)
            maps["profiles"].set(encode_index(number), new.encode())


def profiles(maps: Mapping[str, Map]) -> Iterator[tuple[int, Profile]]:
    """The profiles in the map by number; none while no map is open."""
    for key, value in maps["profiles"].items() if maps else ():
        number = decode_index(key)
        yield number, Profile.decode(number, value)


def _tunnel(maps: Mapping[str, Map], helper: int) -> Tunnel | None:
    value = maps["tunnels"].get(encode_index(helper))
    return None if value is None else Tunnel.decode(value)


class ProfileDriver:
    """Makes profiles; see `Driver`. Their tunnels and access lists exist before they do."""

    kind = "mirror profile"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def observe(self, wanted: Mapping[Hashable, ProfileIntent]) -> Mapping[Hashable, ProfileIntent]:
        """The profiles in the map; a wanted one whose bridge or helper device was made anew is shown without destinations."""
        with self._objects.lock:
            if not self._objects.adopt():
                return {}
            interfaces = {ifindex: name for name, ifindex in helpers(self._objects.netlink).items()}
            found: dict[Hashable, ProfileIntent] = {}
            for number, profile in profiles(self._objects.maps):
                names = tuple(interfaces.get(i, "") for i in profile.helpers)
                intent = replace(profile.intent, destinations=names)
                right = number not in wanted or self._is_right(profile, intent)
                found[number] = intent if right else profile.intent
            return found

    def prepare(self, wanted: Mapping[Hashable, ProfileIntent]) -> None:
        """Load the programs when there is a profile to make."""
        if wanted:
            with self._objects.lock:
                self._objects.load()

    def create(self, new: ProfileIntent) -> None:
        """Add the profile, its counters at zero."""
        self._put(new)

    def change(self, old: ProfileIntent, new: ProfileIntent) -> None:  # noqa: ARG002  the number is the same
        """Replace the profile between one packet and the next; counters of destinations that stay go on."""
        self._put(new)

    def delete(self, old: ProfileIntent) -> None:
        """Remove the profile and its destinations' counters."""
        with self._objects.lock:
            if maps := self._objects.adopt():
                maps["profiles"].delete(encode_index(old.number))
                self._forget_destinations(old.number, set())

    def refresh(self) -> None:
        """Tell the profiles which of their destinations are up."""
        with self._objects.lock:
            for number, profile in profiles(self._objects.maps):
                if (live := self._live(profile.helpers)) != profile.live:
                    self._objects.maps["profiles"].set(encode_index(number), replace(profile, live=live).encode())

    def _put(self, new: ProfileIntent) -> None:
        """Counters and buckets first: without them nothing is sent."""
        with self._objects.lock:
            maps = self._objects.load()
            profile = self._profile(new)
            for helper in profile.helpers:
                for name in ("copy_counters", "buckets"):
                    key = encode_pair(new.number, helper)
                    if maps[name].get(key) is None:
                        maps[name].set(key)
            maps["profiles"].set(encode_index(new.number), profile.encode())
            self._forget_destinations(new.number, set(profile.helpers))

    def _profile(self, intent: ProfileIntent) -> Profile:
        present = helpers(self._objects.netlink)
        if missing := [name for name in intent.destinations if name not in present]:
            raise ApplyError(f"mirror to {missing[0]}", "its helper device does not exist")
        indices = tuple(present[name] for name in intent.destinations)
        devices = tuple(self._device(intent, name, present[name]) for name in intent.destinations)
        return Profile(intent, indices, devices, self._live(indices), needs_hash(self._objects.maps, intent, indices))

    def _device(self, intent: ProfileIntent, interface: str, helper: int) -> int:
        """Where copies are handed to."""
        tunnel = self._tunnel(helper)
        exact = intent.exact or (tunnel is not None and needs_bridge(tunnel.intent(interface)))
        return make_bridge(self._objects.netlink, interface) if exact else helper

    def _is_right(self, profile: Profile, intent: ProfileIntent) -> bool:
        """Whether copies go through the devices that they must go through."""
        netlink = self._objects.netlink
        for interface, helper, device in zip(intent.destinations, profile.helpers, profile.devices, strict=True):
            tunnel = self._tunnel(helper)
            if tunnel is None or not interface:
                return False
            exact = intent.exact or needs_bridge(tunnel.intent(interface))
            link = netlink.find_link(bridge_name(interface)) if exact else None
            port = netlink.find_link(helper) if link else None
            wanted = helper if not exact else link.index if link and port and port.master == link.index else None
            if wanted != device or (tunnel.encapsulation.kind == "vxlan" and not profile.needs_hash):
                return False
        return True

    def _tunnel(self, helper: int) -> Tunnel | None:
        return _tunnel(self._objects.maps, helper)

    def _live(self, indices: tuple[int, ...]) -> tuple[bool, ...]:
        return tuple((t := self._tunnel(i)) is not None and t.state is State.UP for i in indices)

    def _forget_destinations(self, number: int, helpers_kept: set[int]) -> None:
        for name in ("copy_counters", "buckets"):
            for key in list(self._objects.maps[name].keys()):
                profile, helper = decode_pair(key)
                if profile == number and helper not in helpers_kept:
                    self._objects.maps[name].delete(key)
