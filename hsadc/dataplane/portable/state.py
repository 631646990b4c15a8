"""What the mirror remembers from packet to packet: counters, numbers, rates, fragments; changes of the configuration keep it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, fields
from operator import attrgetter

from hsadc.dataplane.mirror_counters import DestinationCounters, MirrorCounters, SourceCounters
from hsadc.dataplane.portable.packet import FragmentMemory

_OF_SOURCE = attrgetter(*(f.name for f in fields(SourceCounters)))
_OF_DESTINATION = attrgetter(*(f.name for f in fields(DestinationCounters)))


@dataclass(slots=True)
class SourceTally:
    """`SourceCounters` that count, field by field."""

    seen: int = 0
    loop_guard: int = 0
    filtered: int = 0
    sampled_out: int = 0
    matched_packets: int = 0
    matched_bytes: int = 0
    copied: int = 0
    failed: int = 0


@dataclass(slots=True)
class DestinationTally:
    """`DestinationCounters` that count, field by field."""

    copies: int = 0
    extra: int = 0
    sent_packets: int = 0
    sent_bytes: int = 0
    sampled_out: int = 0
    no_route: int = 0
    no_neighbour: int = 0
    link_down: int = 0
    loop_guard: int = 0
    not_ip: int = 0
    rate_limit: int = 0
    oversize: int = 0
    encapsulation: int = 0
    truncated: int = 0
    split: int = 0
    fragmented: int = 0


@dataclass(slots=True)
class DestinationMemory:
    """A profile's destination: its counters, how many copies were candidates for its sample, and the rate limit's `tat`."""

    tally: DestinationTally = field(default_factory=DestinationTally)
    candidates: int = 0
    tat_ns: int = 0


@dataclass(slots=True)
class TunnelMemory:
    """The numbers that a tunnel's next outer packet gets."""

    sequence: int = 0
    identification: int = 0


@dataclass(slots=True)
class MirrorState:
    """All of it.

    Attributes:
        sources: by the id of rule or port mirror.
        destinations: by the profile's number and the destination's interface.
        tunnels: by interface.
        fragments: ports of datagrams that came in fragments.
    """

    sources: dict[int, SourceTally] = field(default_factory=dict)
    destinations: dict[tuple[int, str], DestinationMemory] = field(default_factory=dict)
    tunnels: dict[str, TunnelMemory] = field(default_factory=dict)
    fragments: FragmentMemory = field(default_factory=FragmentMemory)

    def keep(self, sources: Container[int], destinations: Container[tuple[int, str]], tunnels: Container[str]) -> None:
        """Forget all others: what is made again begins at 0."""
        self.sources = {key: value for key, value in self.sources.items() if key in sources}
        self.destinations = {key: value for key, value in self.destinations.items() if key in destinations}
        self.tunnels = {key: value for key, value in self.tunnels.items() if key in tunnels}

    def counters(self) -> MirrorCounters:
        """All counters as they stand."""
        return MirrorCounters(
            {key: SourceCounters(*_OF_SOURCE(tally)) for key, tally in self.sources.items()},
            {key: DestinationCounters(*_OF_DESTINATION(memory.tally)) for key, memory in self.destinations.items()},
        )

    def clear_counters(self) -> None:
        """Set all counters to 0 and nothing else; whoever holds a tally goes on with it."""
        tallies: list[SourceTally | DestinationTally] = [*self.sources.values(), *(m.tally for m in self.destinations.values())]
        for tally in tallies:
            for name in tally.__slots__:
                setattr(tally, name, 0)
