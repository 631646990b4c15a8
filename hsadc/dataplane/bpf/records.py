"""The records of the mirror's maps, as user space reads and writes them; their other side is maps.h.

Integers are in the machine's byte order; addresses, ports and the GRE key are in network order, as packets carry them. The
loader compares every size here with that of the compiled object.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Address
from typing import Self

from hsadc.dataplane.next_hop import State

_MAPPED = bytes(10) + b"\xff\xff"
_INDEX = struct.Struct("=I")
_RULE_KEY = struct.Struct("!16sHBx")
_RULE = struct.Struct("=II")
_TUNNEL = struct.Struct("=4s4s4sII16sII4sI")
_HAS_KEY = 1
_NOWHERE = IPv4Address(0)


def encode_index(index: int) -> bytes:
    """A 32-bit key: an interface's index or a rule's id."""
    return _INDEX.pack(index)


def encode_rule_key(address: IPv4Address, port: int, protocol: int) -> bytes:
    """What a packet is matched by; IPv4 addresses are mapped into IPv6 ones (RFC 4291, section 2.5.5.2)."""
    return _RULE_KEY.pack(_MAPPED + address.packed, port, protocol)


def decode_rule_key(key: bytes) -> tuple[IPv4Address, int, int]:
    """The opposite of `encode_rule_key`."""
    address, port, protocol = _RULE_KEY.unpack(key)
    return IPv4Address(address[12:]), port, protocol


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the copies of a rule go (index of the tunnel's helper device), and the id of its counters."""

    helper: int
    id: int

    def encode(self) -> bytes:
        """As the map holds it."""
        return _RULE.pack(self.helper, self.id)

    @classmethod
    def decode(cls, value: bytes) -> Rule:
        """The opposite of `encode`."""
        return cls(*_RULE.unpack(value))


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How a helper device encapsulates.

    Attributes:
        source: outer source address.
        destination: outer destination address.
        gre_key: None sends none.
        mtu_bytes: the largest outer IP packet, as configured.
        egress: name of the device that the operator wants packets to leave by; empty leaves it to the routing table.
        state: whether copies can be sent.
        ifindex: the device that packets do leave by; 0 while there is no route.
        next_hop: the neighbour that they are sent to.
        path_mtu_bytes: the largest outer IP packet that the path takes; at most `mtu_bytes`.
    """

    source: IPv4Address
    destination: IPv4Address
    gre_key: int | None
    mtu_bytes: int
    egress: str
    state: State = State.NO_ROUTE
    ifindex: int = 0
    next_hop: IPv4Address = _NOWHERE
    path_mtu_bytes: int = 0

    def encode(self) -> bytes:
        """As the map holds it."""
        flags = 0 if self.gre_key is None else _HAS_KEY
        wanted = (self.source.packed, self.destination.packed, struct.pack("!I", self.gre_key or 0), flags, self.mtu_bytes)
        return _TUNNEL.pack(
            *wanted, self.egress.encode(), self.state, self.ifindex, self.next_hop.packed, self.path_mtu_bytes or self.mtu_bytes
        )

    @classmethod
    def decode(cls, value: bytes) -> Tunnel:
        """The opposite of `encode`."""
        source, destination, key, flags, mtu, egress, state, ifindex, hop, path = _TUNNEL.unpack(value)
        return cls(
            IPv4Address(source),
            IPv4Address(destination),
            struct.unpack("!I", key)[0] if flags & _HAS_KEY else None,
            mtu,
            egress.rstrip(b"\0").decode(),
            State(state),
            ifindex,
            IPv4Address(hop),
            path,
        )

    def resolved(self, state: State, ifindex: int, next_hop: IPv4Address | None, path_mtu_bytes: int) -> Tunnel:
        """The same tunnel, with what the kernel's routes and neighbours say now."""
        mtu = min(self.mtu_bytes, path_mtu_bytes or self.mtu_bytes)
        return replace(self, state=state, ifindex=ifindex, next_hop=next_hop or _NOWHERE, path_mtu_bytes=mtu)


class _Counters:
    """64-bit counters, one for each field of the dataclass in its order; the kernel holds one set for each CPU."""

    @classmethod
    def size(cls) -> int:
        """Bytes of one CPU's set."""
        return 8 * len(fields(cls))  # type: ignore[arg-type]  # every subclass is a dataclass

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """The sums over all CPUs' sets."""
        count = cls.size() // 8
        numbers = struct.unpack(f"={len(value) // 8}Q", value)
        return cls(*(sum(numbers[i::count]) for i in range(count)))


@dataclass(frozen=True, slots=True)
class RuleCounters(_Counters):
    """What a rule matched. Packets as the wire carries them, after segmentation; bytes of IP packets.

    Attributes:
        matched_packets: packets to or from the rule's address and port.
        matched_bytes: their bytes.
        cloned: handed to the tunnel.
        clone_failed: no memory, or the helper device is gone.
        fragmented: came in IP fragments, none of which is copied; counted by the first.
    """

    matched_packets: int = 0
    matched_bytes: int = 0
    cloned: int = 0
    clone_failed: int = 0
    fragmented: int = 0


@dataclass(frozen=True, slots=True)
class TunnelCounters(_Counters):
    """What became of the copies: each is counted once, as sent or under the reason why it was dropped.

    Attributes:
        sent_packets: after segmentation.
        sent_bytes: of the inner IP packets.
        split: segments larger than the path that were sent in pieces; the pieces count as sent.
        no_route: dropped, nothing leads to the analyzer.
        no_neighbour: dropped, the next hop does not answer.
        oversize: dropped, larger than the path and not to be split.
        not_ip: dropped, no complete IPv4 packet.
        analyzer: dropped, to or from the analyzer itself.
        encapsulation: dropped, the kernel refused to encapsulate.
    """

    sent_packets: int = 0
    sent_bytes: int = 0
    split: int = 0
    no_route: int = 0
    no_neighbour: int = 0
    oversize: int = 0
    not_ip: int = 0
    analyzer: int = 0
    encapsulation: int = 0


SIZES: Mapping[str, tuple[int, int]] = {
    "rules": (_RULE_KEY.size, _RULE.size),
    "rule_counters": (_INDEX.size, RuleCounters.size()),
    "tunnels": (_INDEX.size, _TUNNEL.size),
    "tunnel_counters": (_INDEX.size, TunnelCounters.size()),
    "identifications": (_INDEX.size, _INDEX.size),
    "pieces": (_INDEX.size, 16),
}
"""Bytes of a key and of a value of each map."""
