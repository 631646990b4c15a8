"""What becomes of a copy at a destination (docs/mirror.md, "Destinations"): guarded, shortened, limited, fitted, wrapped."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import NamedTuple

from hsadc.dataplane.portable.packet import Packet
from hsadc.dataplane.portable.selection import packed
from hsadc.dataplane.portable.split import split
from hsadc.dataplane.portable.state import DestinationMemory, DestinationTally, TunnelMemory
from hsadc.intent.mirror import ProfileIntent, TunnelIntent
from hsadc.wire import ip
from hsadc.wire.encapsulation import Fields, encoder

UP = "up"
_BURST_NS = 100_000_000
_SECOND_NS, _MEGABITS = 10**9, 8000  # a byte at one megabit a second takes 8000 nanoseconds


class Outgoing(NamedTuple):
    """What is to be sent.

    Attributes:
        interface: the tunnel's interface.
        data: an outer IP packet, or a frame.
        is_frame: whether it is a frame, which a tunnel without encapsulation sends.
        tally: where it is counted as sent.
        payload_bytes: what it is counted with there.
    """

    interface: str
    data: bytes
    is_frame: bool
    tally: DestinationTally
    payload_bytes: int

    def unsent(self, reason: str) -> None:
        """Count it under a reason instead: it was not sent after all."""
        self.tally.sent_packets -= 1
        self.tally.sent_bytes -= self.payload_bytes
        setattr(self.tally, reason, getattr(self.tally, reason) + 1)


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """How it stands with a tunnel.

    Attributes:
        state: `up`, `no_route`, `no_neighbour` or `link_down`.
        mtu_bytes: the largest outer packet that the path takes; None when that is as configured.
    """

    state: str = UP
    mtu_bytes: int | None = None


class Tunnel:
    """A tunnel's interface: makes outer packets."""

    def __init__(self, intent: TunnelIntent, memory: TunnelMemory, status: TunnelStatus) -> None:
        e = intent.encapsulation
        self.intent, self.memory, self.status = intent, memory, status
        self.is_frame = e.kind == "none"
        self.carries_ip = e.kind == "gre" and e.payload == "ip"
        self.analyzer = b"" if self.is_frame else packed(e.destination)
        self.is_ipv6 = isinstance(e.destination, IPv6Address)
        self.outer_bytes = 0 if self.is_frame else ip.IPV6_BYTES if self.is_ipv6 else ip.IPV4_BYTES
        self.header_bytes = self.outer_bytes + e.shim_bytes
        self.numbered = e.numbered
        self.may_fragment = not self.is_frame and (self.is_ipv6 or not e.dont_fragment)
        self._encode = encoder(e)

    @property
    def mtu_bytes(self) -> int:
        """The largest outer packet, or copied IP packet without encapsulation, that may be sent now."""
        return min(self.intent.mtu_bytes, self.status.mtu_bytes or self.intent.mtu_bytes)

    def wrap(self, packet: Packet, payload: bytes, truncated: bool, now_ns: int, flow_hash: int) -> bytes:
        """The outer packet of a payload; takes its numbers."""
        memory = self.memory
        identification, sequence = memory.identification, memory.sequence
        memory.identification = (identification + 1) & 0xFFFFFFFF
        if self.numbered:
            memory.sequence = (sequence + 1) & 0xFFFFFFFF
        return self._encode(payload, Fields(packet.ethertype, identification, sequence, packet.tag, truncated, now_ns, flow_hash))


class Sender:
    """One destination of one profile."""

    def __init__(self, profile: ProfileIntent, tunnel: Tunnel, memory: DestinationMemory) -> None:
        self._tunnel, self._memory = tunnel, memory
        self._sample, self._truncate = profile.sample_packets, profile.truncate_bytes
        self._pps, self._mbps = profile.rate_pps, profile.rate_mbps

    def send(self, packet: Packet, flow_hash: int, now_ns: int) -> list[Outgoing]:
        """Take a copy of a packet, and count what becomes of it.

        Returns:
            What is to be sent, in order; the counters take it for sent.
        """
        memory, tunnel = self._memory, self._tunnel
        tally = memory.tally
        tally.copies += 1
        if (reason := self._reason(packet)) is not None:
            setattr(tally, reason, getattr(tally, reason) + 1)
            return []
        payload = packet.frame[packet.at if tunnel.carries_ip else 0 : packet.at + packet.length]
        truncated = self._truncate is not None and len(payload) > self._truncate
        if truncated:
            payload = payload[: self._truncate]
        if not self._conforms(len(payload), now_ns):
            tally.rate_limit += 1
            return []
        size = len(payload) + (tunnel.header_bytes or -packet.at)
        if size > tunnel.mtu_bytes:
            return self._send_oversize(packet, payload, truncated, flow_hash, now_ns)
        return self._send(packet, payload, truncated, flow_hash, now_ns)

    def _reason(self, packet: Packet) -> str | None:
        """The counter of a copy that is not sent, whatever its size; None for one that may be."""
        if self._sample > 1:
            number = self._memory.candidates
            self._memory.candidates = (number + 1) % self._sample
            if number:
                return "sampled_out"
        if self._tunnel.status.state != UP:
            return self._tunnel.status.state
        if packet.header is not None and self._tunnel.analyzer in packet.header[:2]:
            return "loop_guard"
        return "not_ip" if self._tunnel.carries_ip and not packet.complete else None

    def _conforms(self, payload_bytes: int, now_ns: int) -> bool:
        """The generic cell rate algorithm."""
        if self._pps:
            cost = _SECOND_NS // self._pps
        elif self._mbps:
            cost = payload_bytes * _MEGABITS // self._mbps
        else:
            return True
        tat = max(self._memory.tat_ns, now_ns)
        if tat - now_ns > _BURST_NS:
            return False
        self._memory.tat_ns = tat + cost
        return True

    def _send(self, packet: Packet, payload: bytes, truncated: bool, flow_hash: int, now_ns: int) -> list[Outgoing]:
        tunnel, tally = self._tunnel, self._memory.tally
        tally.sent_packets += 1
        tally.sent_bytes += len(payload)
        tally.truncated += truncated
        outer = tunnel.wrap(packet, payload, truncated, now_ns, flow_hash)
        return [Outgoing(tunnel.intent.interface, outer, tunnel.is_frame, tally, len(payload))]

    def _send_oversize(self, packet: Packet, payload: bytes, truncated: bool, flow_hash: int, now_ns: int) -> list[Outgoing]:
        """A copy that does not fit, by the tunnel's policy."""
        tunnel, policy = self._tunnel, self._tunnel.intent.oversize
        if policy == "truncate":
            room = tunnel.mtu_bytes + (packet.at if tunnel.is_frame else -tunnel.header_bytes)
            return self._send(packet, payload[:room], True, flow_hash, now_ns)
        sent = []
        if policy == "segment" and not truncated:
            sent = self._send_pieces(packet, flow_hash, now_ns)
        elif policy == "fragment" and tunnel.may_fragment:
            sent = self._send_fragments(packet, payload, truncated, flow_hash, now_ns)
        if not sent:
            self._memory.tally.oversize += 1
        return sent

    def _send_pieces(self, packet: Packet, flow_hash: int, now_ns: int) -> list[Outgoing]:
        tunnel, tally = self._tunnel, self._memory.tally
        front = b"" if tunnel.carries_ip else packet.frame[: packet.at]
        pieces = split(packet, tunnel.mtu_bytes - tunnel.header_bytes - (0 if tunnel.is_frame else len(front))) or []
        sent = [out for piece in pieces for out in self._send(packet, front + piece, False, flow_hash, now_ns)]
        if sent:
            tally.split += 1
            tally.extra += len(sent) - 1
        return sent

    def _send_fragments(self, packet: Packet, payload: bytes, truncated: bool, flow_hash: int, now_ns: int) -> list[Outgoing]:
        tunnel, tally, mtu = self._tunnel, self._memory.tally, self._tunnel.mtu_bytes
        room = mtu - tunnel.outer_bytes - (ip.FRAGMENT_BYTES if tunnel.is_ipv6 else 0) & ~7
        if tunnel.header_bytes - tunnel.outer_bytes + len(payload) > room * ip.FRAGMENTS_MAX:
            return []
        identification = tunnel.memory.identification
        outer = self._send(packet, payload, truncated, flow_hash, now_ns)[0]
        parts = ip.fragments(outer.data, mtu, identification)
        sent = [outer._replace(data=part, payload_bytes=0 if i else len(payload)) for i, part in enumerate(parts)]
        tally.fragmented += 1
        tally.extra += len(sent) - 1
        tally.sent_packets += len(sent) - 1
        return sent
