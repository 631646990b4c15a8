"""What the mirror counts, on every path: the names and their meaning are those of docs/mirror.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class SourceCounters:
    """Packets of a virtual server or an interface: `seen` is the sum of the four that follow it.

    Attributes:
        seen: packets of the source.
        loop_guard: encapsulated already, or an analyzer's own.
        filtered: of a direction that is not wanted, or denied by an access list.
        sampled_out: of flows that are not in the sample.
        matched_packets: to be copied.
        matched_bytes: their bytes, of IP packets.
        copied: handed to a destination, counted for each of them.
        failed: not handed over: the kernel had no memory, or the tunnel's device is gone or down.
    """

    seen: int = 0
    loop_guard: int = 0
    filtered: int = 0
    sampled_out: int = 0
    matched_packets: int = 0
    matched_bytes: int = 0
    copied: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class DestinationCounters:
    """What became of the copies for one destination of a profile, or for a tunnel as a whole.

    Attributes:
        copies: packets handed over.
        extra: outer packets beyond one for each copy.
        sent_packets: outer packets.
        sent_bytes: bytes of their payload, the copies.
        sampled_out: not in the sample; no drop.
        no_route: dropped, nothing leads to the analyzer.
        no_neighbour: dropped, the next hop does not answer.
        link_down: dropped, the device that leads to the analyzer is down.
        loop_guard: dropped, to or from the analyzer itself.
        not_ip: dropped, no complete IP packet, and the tunnel carries nothing else.
        rate_limit: dropped, above the rate limit.
        oversize: dropped, larger than the path, and not to be made to fit.
        encapsulation: dropped, the kernel refused: no memory, or encapsulated already.
        truncated: copies that were shortened.
        split: copies that were sent in smaller TCP segments.
        fragmented: copies that were sent in outer fragments.
    """

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

    def __add__(self, other: DestinationCounters) -> DestinationCounters:
        """The sum of both, counter by counter."""
        return DestinationCounters(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: DestinationCounters) -> DestinationCounters:
        """What was counted since `other`."""
        return DestinationCounters(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    @property
    def dropped(self) -> int:
        """Copies that were to be sent and were not."""
        return sum(getattr(self, reason) for reason in DROPS)

    @property
    def unaccounted(self) -> int:
        """Copies of which nobody knows what became of them; 0 while nothing is on its way."""
        return self.copies + self.extra - self.sent_packets - self.sampled_out - self.dropped


DROPS = ("no_route", "no_neighbour", "link_down", "loop_guard", "not_ip", "rate_limit", "oversize", "encapsulation")
"""The reasons why a copy is not sent."""

PROBES = 0
"""The number that stands for a profile where what was sent by hand is counted."""


@dataclass(frozen=True, slots=True)
class MirrorCounters:
    """All counters: of sources by their id, of destinations by the profile's number and the destination's interface."""

    sources: Mapping[int, SourceCounters]
    destinations: Mapping[tuple[int, str], DestinationCounters]

    def tunnel(self, interface: str) -> DestinationCounters:
        """The sum over all profiles that send by an interface."""
        return sum((c for (_, name), c in self.destinations.items() if name == interface), DestinationCounters())
