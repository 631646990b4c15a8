"""Identifications and sequence numbers of a tunnel's outer packets, when some are made all at once and some one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hsadc.dataplane.portable.sending import Tunnel
from hsadc.dataplane.replay.batch import Integers
from hsadc.dataplane.replay.columns import Words

_MASK = 0xFFFFFFFF


class Numbering:
    """The numbers of one tunnel in one batch.

    Each outer packet takes one, in the order of the packets. Before a packet goes through the core, `advance` gives the tunnel
    the numbers behind those of all plain packets before; `settle` notes how many the core took.
    """

    def __init__(self, tunnel: Tunnel, emissions: Sequence[tuple[Integers, int]], slow_at: Integers) -> None:
        """Take the tunnel's plain copies.

        Args:
            tunnel: its memory has the next numbers.
            emissions: for each destination the indices of the packets in the batch, ascending, and the order among the copies of
                one packet.
            slow_at: indices of the packets that go through the core, ascending.
        """
        self._tunnel, self._slow_at = tunnel, slow_at
        self._first = tunnel.memory.identification, tunnel.memory.sequence
        self._sizes = [len(packets) for packets, _ in emissions]
        packets = np.concatenate([packets for packets, _ in emissions])
        self._order = None
        if len(emissions) > 1:
            orders = np.repeat([order for _, order in emissions], self._sizes)
            self._order = np.lexsort((orders, packets))
            packets = packets[self._order]
        self._packets = packets
        self._before = np.searchsorted(packets, slow_at)
        self._taken = np.zeros(len(slow_at) + 1, np.int64)
        self._last = 0

    def advance(self, step: int) -> None:
        """Before the packet `slow_at[step]` goes through the core: let the plain packets before it have their numbers."""
        before = int(self._before[step])
        self._move(before - self._last)
        self._last = before

    def settle(self, step: int) -> None:
        """After it: note the numbers that the core has taken so far."""
        self._taken[step + 1] = (self._tunnel.memory.identification - self._first[0] - self._last) & _MASK

    def finish(self) -> Iterator[tuple[Words, Words]]:
        """Identifications and sequence numbers of each destination's copies; the tunnel goes on with those that follow."""
        count = len(self._packets)
        self._move(count - self._last)
        numbers = np.arange(count) + self._taken[np.searchsorted(self._slow_at, self._packets)]
        if self._order is not None:
            unsorted = np.empty_like(numbers)
            unsorted[self._order] = numbers
            numbers = unsorted
        for part in np.split(numbers, np.cumsum(self._sizes)[:-1]):
            yield _words(part + self._first[0]), _words(part + self._first[1])

    def _move(self, number: int) -> None:
        memory = self._tunnel.memory
        memory.identification = (memory.identification + number) & _MASK
        if self._tunnel.numbered:
            memory.sequence = (memory.sequence + number) & _MASK


def _words(numbers: Integers) -> Words:
    return (numbers & _MASK).astype(np.uint32)
