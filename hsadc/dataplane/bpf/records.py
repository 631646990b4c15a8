"""The records of the mirror's maps, as user space reads and writes them; their other side is maps.h.

Integers are in the machine's byte order; addresses, ports of rules and VXLAN are in network order, as packets carry them. The
loader compares every size here with that of the compiled object.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from hsadc.dataplane.bpf.access_masks import AccessMasks
from hsadc.dataplane.mirror_counters import DestinationCounters, SourceCounters
from hsadc.dataplane.next_hop import NextHop, State
from hsadc.intent.mirror import ProfileIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation, template
from hsadc.wire.ip import word_sum

_Address = IPv4Address | IPv6Address
_MAPPED = bytes(10) + b"\xff\xff"
_INDEX = struct.Struct("=I")
_PAIR = struct.Struct("=II")
_RULE_KEY = struct.Struct("!16sHB?")
_SOURCE = struct.Struct("=IIII")
_MASKS = struct.Struct("=QQ")
_PROFILE = struct.Struct("=13I8I8I")
_TUNNEL = struct.Struct("=I16s16s4B2HIII16s88sIIIIIII16s4xQ")
_IPV4_BYTES, _IPV6_BYTES = 20, 40

_DIRECTIONS = {"forward": 1, "backward": 2, "bidirection": 3}
_DISTRIBUTE = {"replicate": 0, "flow-hash": 1, "failover": 2}
_OVERSIZE = {"segment": 0, "fragment": 1, "truncate": 2, "drop": 3}
_KINDS = {"none": 0, "gre": 1, "erspan": 2, "vxlan": 3}
_HAS_KEY, _HAS_SEQUENCE, _HAS_CHECKSUM, _HAS_ETHERNET, _DONT_FRAGMENT = 1, 2, 4, 8, 16
_AF_INET, _AF_INET6 = 2, 10
_ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
DESTINATIONS_MAX = 8

C = TypeVar("C")


def encode_index(index: int) -> bytes:
    """A 32-bit key: an interface's index, a source's id or a profile's number."""
    return _INDEX.pack(index)


def decode_index(key: bytes) -> int:
    """The opposite of `encode_index`."""
    return int(_INDEX.unpack(key)[0])


def encode_pair(first: int, second: int) -> bytes:
    """The key of a destination: profile and helper's index."""
    return _PAIR.pack(first, second)


def decode_pair(key: bytes) -> tuple[int, int]:
    """The opposite of `encode_pair`."""
    first, second = _PAIR.unpack(key)
    return first, second


def encode_address(address: _Address | None) -> bytes:
    """IPv4 addresses are mapped into IPv6 ones (RFC 4291, section 2.5.5.2); none is all zero."""
    if address is None:
        return bytes(16)
    return address.packed if isinstance(address, IPv6Address) else _MAPPED + address.packed


def decode_address(packed: bytes) -> _Address | None:
    """The opposite of `encode_address`."""
    if packed == bytes(16):
        return None
    return ip_address(packed[12:] if packed.startswith(_MAPPED) else packed)


def encode_vxlan_port(port: int) -> bytes:
    """The key of a UDP port that carries VXLAN."""
    return struct.pack("!HH", port, 0)


def encode_rule_key(address: _Address, port: int, protocol: int, hop: bool = False) -> bytes:
    """What a virtual server's packets are matched by."""
    return _RULE_KEY.pack(encode_address(address), port, protocol, hop)


def decode_rule_key(key: bytes) -> tuple[_Address, int, int, bool]:
    """The opposite of `encode_rule_key`."""
    packed, port, protocol, hop = _RULE_KEY.unpack(key)
    return decode_address(packed) or IPv6Address(0), port, protocol, hop


def _name(numbers: Mapping[str, int], number: int) -> str:
    return next(name for name, n in numbers.items() if n == number)


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied from a rule or a device: id of its counters, profile, access list (0: none), direction."""

    id: int
    profile: int
    access_list: int = 0
    direction: str = "bidirection"

    def encode(self) -> bytes:
        """As the map holds it."""
        return _SOURCE.pack(self.id, self.profile, self.access_list, _DIRECTIONS[self.direction])

    @classmethod
    def decode(cls, value: bytes) -> Source:
        """The opposite of `encode`."""
        number, profile, access_list, directions = _SOURCE.unpack(value)
        return cls(number, profile, access_list, _name(_DIRECTIONS, directions))


def encode_access_list(number: int, masks: AccessMasks) -> Iterator[tuple[str, bytes, bytes]]:
    """An access list's entries, by the map that holds them: its tables, and last what makes it be in force."""
    for (address, length), fits in masks.networks.items():
        yield "access_networks", struct.pack("=II16s", 32 + length, number, address.to_bytes(16, "big")), _MASKS.pack(*fits)
    for (port, length), fits in masks.ports.items():
        key = struct.pack("=II", 32 + length, number) + struct.pack("!HH", port, 0)
        yield "access_ports", key, _MASKS.pack(*fits)
    for (family, protocol), fit in masks.protocols.items():
        yield "access_protos", struct.pack("=IHH", number, protocol, family), struct.pack("=Q", fit)
    yield "access_lists", encode_index(number), struct.pack("=4Q", masks.permit, masks.any_protocol, *masks.portless)


def list_of(name: str, key: bytes) -> int:
    """The number of the access list that an entry of one of its maps belongs to."""
    return int(_INDEX.unpack_from(key, 4 if name in ("access_networks", "access_ports") else 0)[0])


@dataclass(frozen=True, slots=True)
class Profile:
    """How a source's packets become copies.

    Attributes:
        intent: as configured; its destinations' names are not kept here, their helper devices are.
        helpers: index of each destination's helper device.
        devices: index of the device that copies for each destination are handed to.
        live: whether each destination is up.
        needs_hash: whether anything depends on a packet's flow.
    """

    intent: ProfileIntent
    helpers: tuple[int, ...]
    devices: tuple[int, ...]
    live: tuple[bool, ...]
    needs_hash: bool

    def encode(self) -> bytes:
        """As the map holds it."""
        p = self.intent
        mask = sum(up << i for i, up in enumerate(self.live))
        limited = p.sample_packets > 1 or any((p.truncate_bytes, p.rate_pps, p.rate_mbps))
        limits = (p.truncate_bytes or 0, p.rate_pps or 0, p.rate_mbps or 0)
        head = (_DIRECTIONS[p.direction], _DISTRIBUTE[p.distribute], p.sample_packets, p.sample_flows, p.access_list, *limits)
        rest = [i for indices in (self.devices, self.helpers) for i in (*indices, *[0] * (DESTINATIONS_MAX - len(indices)))]
        return _PROFILE.pack(p.number, *head, self.needs_hash, limited, len(self.helpers), mask, *rest)

    @classmethod
    def decode(cls, number: int, value: bytes) -> Profile:
        """The opposite of `encode`; the intent has no names of destinations."""
        directions, distribute, packets, flows, access_list, *more = _PROFILE.unpack(value)[1:]
        truncate, pps, mbps, needs_hash, _, count, mask, *rest = more
        intent = ProfileIntent(
            number,
            (),
            _name(_DIRECTIONS, directions),
            _name(_DISTRIBUTE, distribute),
            packets,
            flows,
            truncate or None,
            pps or None,
            mbps or None,
            access_list,
        )
        live = tuple(bool(mask >> i & 1) for i in range(count))
        return cls(intent, tuple(rest[8 : 8 + count]), tuple(rest[:count]), live, bool(needs_hash))


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How a helper device encapsulates.

    Attributes:
        encapsulation: as configured.
        mtu_bytes: the largest outer IP packet, as configured.
        oversize: what happens to copies that do not fit.
        egress: name of the device that the operator wants packets to leave by; empty leaves it to the routing table.
        state: whether copies can be sent.
        ifindex: the device that packets do leave by; 0 while there is no route.
        next_hop: the neighbour that they are sent to.
        path_mtu_bytes: the largest outer IP packet that the path takes; at most `mtu_bytes`.
        macs: hardware addresses of the next hop and of the device; None leaves the next hop's to the kernel.
        fresh_ns: until when (CLOCK_MONOTONIC) they are right unless somebody says so again.
    """

    encapsulation: Encapsulation
    mtu_bytes: int
    oversize: str
    egress: str
    state: State = State.NO_ROUTE
    ifindex: int = 0
    next_hop: _Address | None = None
    path_mtu_bytes: int = 0
    macs: tuple[bytes, bytes] | None = None
    fresh_ns: int = 0

    def encode(self, helper: int) -> bytes:
        """As the map holds it for the helper device of that index."""
        hop, e = self.next_hop, self.encapsulation
        family = _AF_INET6 if isinstance(hop, IPv6Address) else _AF_INET
        resolved = (self.state, self.ifindex, self.path_mtu_bytes or self.mtu_bytes, family, hop.packed if hop else b"")
        outer, *sizes = _outer(e)
        ethernet = b"".join(self.macs or (bytes(6), bytes(6))) + _ETHERTYPES[e.destination.version if e.destination else 4]
        made = bytes(2) + ethernet + outer, *sizes
        return _TUNNEL.pack(helper, *_configured(e, self.oversize, self.mtu_bytes, self.egress), *made, *resolved, self.fresh_ns)

    @classmethod
    def decode(cls, value: bytes) -> Tunnel:
        """The opposite of `encode`."""
        source, destination, kind, version, ttl, dscp, flags, port, number, oversize, mtu, egress, *rest = _TUNNEL.unpack(value)[
            1:
        ]
        name = _name(_KINDS, kind)
        encapsulation = Encapsulation(
            name,
            decode_address(source),
            decode_address(destination),
            "ethernet" if flags & _HAS_ETHERNET else "ip",
            ttl,
            dscp,
            bool(flags & _DONT_FRAGMENT),
            key=number if flags & _HAS_KEY else None,
            sequence=name == "gre" and bool(flags & _HAS_SEQUENCE),
            checksum=bool(flags & _HAS_CHECKSUM),
            version=version,
            session_id=number if name == "erspan" else 0,
            vni=number if name == "vxlan" else 0,
            port=port,
        )
        outer = rest[0]
        state, ifindex, path, family, hop, fresh = rest[4:]
        address = ip_address(hop[: 16 if family == _AF_INET6 else 4])
        return cls(
            encapsulation,
            mtu,
            _name(_OVERSIZE, oversize),
            egress.rstrip(b"\0").decode(),
            State(state),
            ifindex,
            address if int(address) else None,
            path,
            (outer[2:8], outer[8:14]) if any(outer[2:14]) else None,
            fresh,
        )

    @classmethod
    def of(cls, intent: TunnelIntent) -> Tunnel:
        """As an intent wants it, not resolved yet."""
        return cls(intent.encapsulation, intent.mtu_bytes, intent.oversize, intent.egress or "")

    def intent(self, interface: str) -> TunnelIntent:
        """What was wanted of it."""
        return TunnelIntent(interface, self.egress or None, self.encapsulation, self.mtu_bytes, self.oversize)

    def resolved(self, hop: NextHop, macs: tuple[bytes, bytes] | None, fresh_ns: int) -> Tunnel:
        """The same tunnel, with what the kernel's routes and neighbours say now."""
        mtu = min(self.mtu_bytes, hop.mtu_bytes or self.mtu_bytes)
        fresh = fresh_ns if macs else 0
        tunnel = replace(self, state=hop.state, ifindex=hop.ifindex, next_hop=hop.address, path_mtu_bytes=mtu)
        return replace(tunnel, macs=macs, fresh_ns=fresh)


@lru_cache(4096)
def _configured(e: Encapsulation, oversize: str, mtu_bytes: int, egress: str) -> tuple[bytes | int, ...]:
    flags = (
        (_HAS_KEY if e.key is not None else 0)
        | (_HAS_SEQUENCE if e.numbered else 0)
        | (_HAS_CHECKSUM if e.checksum else 0)
        | (_HAS_ETHERNET if e.payload == "ethernet" else 0)
        | (_DONT_FRAGMENT if e.dont_fragment else 0)
    )
    number = {"none": 0, "gre": e.key or 0, "erspan": e.session_id, "vxlan": e.vni}[e.kind]
    addresses = encode_address(e.source), encode_address(e.destination)
    numbers = _KINDS[e.kind], e.version, e.ttl, e.dscp, flags, e.port, number, _OVERSIZE[oversize], mtu_bytes
    return *addresses, *numbers, egress.encode()


@lru_cache(4096)
def _outer(e: Encapsulation) -> tuple[bytes, int, int, int]:
    """The template, its size, that of its IP header, and the sum of an IPv4 header's words in the machine's byte order."""
    outer = template(e)
    size = 0 if not outer else _IPV6_BYTES if isinstance(e.destination, IPv6Address) else _IPV4_BYTES
    swapped = b"".join(outer[i : i + 2][::-1] for i in range(0, size, 2))
    return outer, len(outer), size, word_sum(swapped) if size == _IPV4_BYTES else 0


def _totals(kind: type[C], value: bytes) -> C:
    """The sums over all CPUs' sets of counters, each of which is signed: one set may give back what another counted."""
    count = len(fields(kind))  # type: ignore[arg-type]  # every kind is a dataclass
    numbers = struct.unpack(f"={len(value) // 8}q", value)
    return kind(*(sum(numbers[i::count]) for i in range(count)))


def decode_source_counters(value: bytes) -> SourceCounters:
    """The counters of all CPUs together."""
    return _totals(SourceCounters, value)


def decode_destination_counters(value: bytes) -> DestinationCounters:
    """The counters of all CPUs together."""
    return _totals(DestinationCounters, value)


SIZES: Mapping[str, tuple[int, int]] = {
    "rules": (_RULE_KEY.size, _SOURCE.size),
    "port_mirrors": (_INDEX.size, _SOURCE.size),
    "source_counters": (_INDEX.size, 8 * len(fields(SourceCounters))),
    "access_lists": (_INDEX.size, 32),
    "access_networks": (24, _MASKS.size),
    "access_ports": (12, _MASKS.size),
    "access_protos": (8, 8),
    "profiles": (_INDEX.size, _PROFILE.size),
    "analyzers": (16, _INDEX.size),
    "vxlan_ports": (_INDEX.size, _INDEX.size),
    "fragments": (40, 4),
    "tunnels": (_INDEX.size, _TUNNEL.size),
    "series": (_INDEX.size, _PAIR.size),
    "copy_counters": (_PAIR.size, 8 * len(fields(DestinationCounters))),
    "buckets": (_PAIR.size, 16),
    "scratches": (_INDEX.size, 872),
}
"""Bytes of a key and of a value of each map."""
