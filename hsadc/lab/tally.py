"""One direction of a TCP connection: the bytes that an end recorded against the segments that the mirror shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from hsadc.lab.copied import FIN, RST, SYN, Segment


@dataclass(frozen=True, slots=True)
class Tally:
    """One direction of one connection, or the sum of several.

    Attributes:
        recorded: bytes that the client recorded.
        mirrored: distinct bytes of these that the mirror showed, as they were.
        missing: bytes that the mirror did not show.
        different: bytes that the mirror showed, but not as they were.
        surplus: bytes that the mirror showed beyond those recorded.
        repeated: segments that arrived again with every bit the same: copies of copies.
        retransmitted: segments that carry again what was there, in another packet: TCP did that.
        unopened: streams whose SYN the mirror did not show.
        unclosed: streams whose FIN (or RST) the mirror did not show.
    """

    recorded: int = 0
    mirrored: int = 0
    missing: int = 0
    different: int = 0
    surplus: int = 0
    repeated: int = 0
    retransmitted: int = 0
    unopened: int = 0
    unclosed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)))


def tally(recorded: bytes, segments: Sequence[Segment]) -> Tally:
    """Compare one direction of a connection with the segments that the mirror shows of it."""
    start = next(((s.sequence + 1) % 2**32 for s in segments if s.flags & SYN), None)
    closed = any(s.flags & (FIN | RST) for s in segments)
    if start is None:
        return Tally(recorded=len(recorded), missing=len(recorded), unopened=1, unclosed=not closed)
    seen, shown = bytearray(len(recorded)), bytearray(len(recorded))
    before: set[bytes] = set()
    surplus = repeated = retransmitted = 0
    for s in segments:
        at = (s.sequence - start + bool(s.flags & SYN)) % 2**32
        inside = s.data[: max(0, len(recorded) - at)]
        surplus += len(s.data) - len(inside)
        again = s.packet in before and _is_unique(s)
        repeated += again
        retransmitted += not again and any(seen[at : at + len(inside)])
        before.add(s.packet)
        seen[at : at + len(inside)] = b"\1" * len(inside)
        shown[at : at + len(inside)] = inside
    different = sum(there and a != b for there, a, b in zip(seen, shown, recorded, strict=True)) if shown != recorded else 0
    return Tally(
        recorded=len(recorded),
        mirrored=sum(seen) - different,
        missing=len(recorded) - sum(seen),
        different=different,
        surplus=surplus,
        repeated=repeated,
        retransmitted=retransmitted,
        unclosed=not closed,
    )


def _is_unique(s: Segment) -> bool:
    """True when a sender sends no second packet with every bit the same.

    Linux counts a connection's packets in the IP identification, retransmissions too, but leaves it 0 where no connection is
    established: an acknowledgement from there may well be the twin of an earlier one.
    """
    return bool(s.data) or bool(s.flags & (SYN | FIN)) or s.packet[4:6] != bytes(2)
