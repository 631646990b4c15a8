"""Mirror profiles: where copies go, and which of the packets are copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class MirrorTarget:
    """`mirror-traffic {interface tunnelN | profile P}`: what the traffic of a virtual server or interface is copied to.

    Attributes:
        kind: `interface` or `profile`.
        name: of the tunnel interface or the mirror profile.
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """`sampling {packet|flow} N`: one packet of N is copied, or all packets of one flow of N.

    Attributes:
        unit: `packet` or `flow`.
        one_in: N, 2 to 1000000.
    """

    unit: str
    one_in: int


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`rate-limit N {pps|mbps}` for each destination.

    Attributes:
        rate: packets a second, or megabits (10**6) a second of what is copied; 1 to 10000000.
        unit: `pps` or `mbps`.
    """

    rate: int
    unit: str


@dataclass(frozen=True, slots=True)
class MirrorProfile:
    """`mirror-profile NAME`.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        destinations: interfaces that copies leave by, 1 to 8, in order of preference, keyed by themselves: `tunnelN`, or
            `ethernetX/Y` for the frames as they are.
        direction: `forward` (from the client, or received), `backward` or `bidirection`.
        distribute: `replicate` (each destination gets all), `flow-hash` (a flow's packets of both directions go to one
            destination) or `failover` (all go to the first destination that is up).
        sampling: None copies all.
        truncate: bytes that are copied of each packet, 64 to 9216; None copies all of it.
        rate_limit: None sets no limit.
        access_list: name of the list that permits what is copied; None permits all.
    """

    name: str
    description: str | None = None
    destinations: Mapping[str, str] = field(default_factory=dict)
    direction: str = "bidirection"
    distribute: str = "replicate"
    sampling: Sampling | None = None
    truncate: int | None = None
    rate_limit: RateLimit | None = None
    access_list: str | None = None

    def __eq__(self, other: object) -> bool:
        """The order of the destinations counts, as that of a mapping does not."""
        return isinstance(other, MirrorProfile) and _in_order(self) == _in_order(other)

    __hash__ = None  # type: ignore[assignment]  # a mapping has none


def _in_order(profile: MirrorProfile) -> list[object]:
    values = [getattr(profile, f.name) for f in fields(profile)]
    return [list(value) if isinstance(value, Mapping) else value for value in values]
