"""The portable mirror: a frame in, outer packets out."""

from __future__ import annotations

from collections.abc import Mapping

from hsadc.dataplane.mirror_counters import MirrorCounters
from hsadc.dataplane.portable.packet import Packet, read
from hsadc.dataplane.portable.selection import MATCHED, Decision, Intents, Selection
from hsadc.dataplane.portable.sending import UP, Outgoing, Sender, Tunnel, TunnelStatus
from hsadc.dataplane.portable.state import DestinationMemory, DestinationTally, MirrorState, SourceTally, TunnelMemory
from hsadc.intent.mirror import ProfileIntent

_DECISIONS_KEPT = 65536

__all__ = ["Intents", "MirrorCore", "MirrorState", "Outgoing", "TunnelStatus"]


class MirrorCore:
    """The mirror of one configuration; for a changed one make another with the same state.

    One thread at a time may use it and its state.

    Attributes:
        state: counters, numbers and the like; what this configuration does not have is forgotten.
        tunnels: by interface.
    """

    def __init__(
        self, intents: Intents, statuses: Mapping[str, TunnelStatus] | None = None, state: MirrorState | None = None
    ) -> None:
        """Make it; tunnels without a status are up and their paths as wide as configured."""
        self.state = state or MirrorState()
        senders = [(p.number, name) for p in intents.profiles for name in p.destinations]
        sources = [*(rule.id for rule in intents.rules), *(mirror.id for mirror in intents.port_mirrors)]
        self.state.keep(set(sources), set(senders), {t.interface for t in intents.tunnels})
        for source in sources:
            self.state.sources.setdefault(source, SourceTally())
        self.tunnels = {
            t.interface: Tunnel(
                t, self.state.tunnels.setdefault(t.interface, TunnelMemory()), (statuses or {}).get(t.interface, TunnelStatus())
            )
            for t in intents.tunnels
        }
        self._senders = {
            (p.number, name): Sender(
                p, self.tunnels[name], self.state.destinations.setdefault((p.number, name), DestinationMemory())
            )
            for p in intents.profiles
            for name in p.destinations
        }
        self._selection = Selection(intents, lambda name: self.tunnels[name].status.state == UP)
        self._decisions: dict[tuple[object, ...], Decision] = {}

    def set_status(self, interface: str, status: TunnelStatus) -> None:
        """Tell how it stands with a tunnel from now on."""
        self.tunnels[interface].status = status
        self._decisions.clear()

    def process(self, frame: bytes, device: str, received: bool, now_ns: int) -> list[Outgoing]:
        """Mirror a packet.

        Args:
            frame: an Ethernet frame as the wire carries it, with all VLAN tags and right checksums, without frame check sequence.
            device: where it passed.
            received: False when the device sent it.
            now_ns: time, nanoseconds; rate limits and ERSPAN's timestamps go by it. It never runs backwards by much.

        Returns:
            What is to be sent, in order. It is counted as sent already.
        """
        packet = read(frame, self.state.fragments)
        decision = self._decide(packet, device, received)
        sent: list[Outgoing] = []
        for source, outcome, profile, destinations in decision.steps:
            tally = self.state.sources[source]
            tally.seen += 1
            if outcome != MATCHED:
                setattr(tally, outcome, getattr(tally, outcome) + 1)
                continue
            tally.matched_packets += 1
            tally.matched_bytes += packet.length
            tally.copied += len(destinations)
            for name in destinations:
                sent += self._senders[profile, name].send(packet, decision.flow_hash, now_ns)
        return sent

    def wants(self, frame: bytes, device: str, received: bool) -> bool:
        """Whether `process` would count any frame of this packet, which may be a large segment; counts nothing."""
        return bool(self._decide(read(frame, self.state.fragments), device, received).steps)

    def _decide(self, packet: Packet, device: str, received: bool) -> Decision:
        key = self._selection.key(packet, device, received)
        decision = self._decisions.get(key)
        if decision is None:
            decision = self._selection.decide(packet, device, received)
            if len(self._decisions) >= _DECISIONS_KEPT:
                self._decisions.clear()
            self._decisions[key] = decision
        return decision

    def probe(self, interface: str, frame: bytes, now_ns: int) -> tuple[list[Outgoing], DestinationTally]:
        """What sends a frame by a tunnel's interface as a copy that no source and no profile has made, and where it is counted.

        Raises:
            KeyError: there is no such tunnel.
        """
        memory = DestinationMemory()
        sender = Sender(ProfileIntent(0, (interface,)), self.tunnels[interface], memory)
        return sender.send(read(frame, self.state.fragments), 0, now_ns), memory.tally

    def unsent(self, outgoing: Outgoing, reason: str) -> None:
        """Take back one of the packets that `process` returned: it was not sent after all, for this reason (a counter's name)."""
        outgoing.unsent(reason)

    def clear_counters(self) -> None:
        """Set all of them to zero."""
        self.state.clear_counters()

    def counters(self) -> MirrorCounters:
        """All counters as they stand."""
        return self.state.counters()
