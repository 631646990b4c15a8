"""The mirror on many packets at once, with the same results as `MirrorCore`, which gets the packets that are not plain.

Both take numbers from the same tunnels: for each packet that goes through the core, the numbers are first set to what the
plain packets before it would have made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from hsadc.dataplane.portable.core import Intents, MirrorCore
from hsadc.dataplane.portable.packet import MAPPED, UDP
from hsadc.dataplane.portable.selection import analyzers, vxlan_ports
from hsadc.dataplane.portable.state import SourceTally
from hsadc.dataplane.replay.batch import Batch, Flags, Integers, gather
from hsadc.dataplane.replay.columns import Columns, Words, rank, read_columns, sampled
from hsadc.dataplane.replay.headers import ETHERNET_BYTES, HeaderRows, ethernet
from hsadc.dataplane.replay.matching import RuleTable, permitted
from hsadc.dataplane.replay.numbering import Numbering
from hsadc.dataplane.replay.plan import Plan, Target, make_plan
from hsadc.dataplane.replay.records import Group
from hsadc.intent.hop import DEVICE

_LARGEST = 65535
_ORDERS = 256  # more than a packet has copies: 8 destinations of 2 profiles in 8 pieces each
_FEW = 8


class _Counter(Protocol):
    """Counts packets of sources."""

    def add(self, name: str, packets: Integers, amounts: Integers | int = 1) -> None:
        """Add to a counter of each packet's source."""


class _MirrorCounter:
    """Counts for one source."""

    def __init__(self, tally: SourceTally) -> None:
        self._tally = tally

    def add(self, name: str, packets: Integers, amounts: Integers | int = 1) -> None:
        """See `_Counter`."""
        number = amounts * len(packets) if isinstance(amounts, int) else int(amounts.sum())
        setattr(self._tally, name, getattr(self._tally, name) + number)


class _RuleCounter:
    """Counts for the rules of one batch; the sums go to the tallies at the end, as there may be many thousand rules."""

    def __init__(self, sums: dict[str, Integers], found: Integers) -> None:
        self._sums, self._found = sums, found

    def add(self, name: str, packets: Integers, amounts: Integers | int = 1) -> None:
        """See `_Counter`."""
        sums = self._sums[name]
        weights = None if isinstance(amounts, int) else amounts
        counts = np.bincount(self._found[packets], weights, len(sums)).astype(np.int64)
        sums += counts * amounts if isinstance(amounts, int) else counts


@dataclass(frozen=True, slots=True)
class _Emission:
    """Copies for one destination: of which packets, in ascending order, and where they stand among a packet's copies."""

    plan: Plan
    target: Target
    order: int
    packets: Integers
    hashes: Words | None


class FastMirror:
    """The mirror of one configuration at one device."""

    def __init__(self, intents: Intents, core: MirrorCore, device: str) -> None:
        """`core` is of the same intents; its counters miss the plain packets of rules until `finish`."""
        self._core, self._device = core, device
        self._headers = {t.interface: HeaderRows(t) for t in intents.tunnels}
        plans = {p.number: make_plan(p, core, self._headers) for p in intents.profiles}
        self._plans = list(plans.values())
        self._lists = {intent.number: intent for intent in intents.access_lists}
        self._rules = RuleTable(rule for rule in intents.rules if rule.hop == (device == DEVICE))
        numbers = list(plans)
        self._rule_plans = np.array([*(numbers.index(rule.profile) for rule in self._rules.rules), -1], np.int64)
        names = [f.name for f in fields(SourceTally)]
        self._sums = {name: np.zeros(len(self._rules.rules), np.int64) for name in names}
        self._mirror = next((mirror for mirror in intents.port_mirrors if mirror.device == device), None)
        self._mirror_plan = plans[self._mirror.profile] if self._mirror else None
        self._analyzers = np.array([int.from_bytes(a[12:]) for a in analyzers(intents.tunnels) if a[:12] == MAPPED], np.uint32)
        self._vxlan = np.zeros(65536, np.bool_)
        self._vxlan[list(vxlan_ports(intents.tunnels))] = True

    def finish(self) -> None:
        """Bring the core's counters up to date."""
        for index, rule in enumerate(self._rules.rules):
            tally = self._core.state.sources[rule.id]
            if self._sums["seen"][index]:
                for name, sums in self._sums.items():
                    setattr(tally, name, getattr(tally, name) + int(sums[index]))
        for sums in self._sums.values():
            sums[:] = 0

    def mirror(self, batch: Batch, received: Flags) -> list[Group]:
        """The copies of a batch, `received` telling of each frame whether the device received it."""
        columns = read_columns(batch)
        found, forward = self._rules.find(columns)
        slow = self._slow(columns, found)
        emissions = self._emissions(columns, found, forward, received, ~slow)
        slow_at = np.flatnonzero(slow)
        groups: list[Group] = []
        by_tunnel: dict[str, list[_Emission]] = {}
        for emission in emissions:
            by_tunnel.setdefault(emission.target.name, []).append(emission)
        numbering = {
            name: Numbering(self._core.tunnels[name], [(e.packets, e.order) for e in some], slow_at)
            for name, some in by_tunnel.items()
        }
        if slow_at.size:
            groups += self._go_slow(batch, slow_at, received, numbering)
        for name, some in by_tunnel.items():
            for emission, numbers in zip(some, numbering[name].finish(), strict=True):
                groups.append(_group(batch, columns, emission, *numbers))
        return groups

    def _slow(self, columns: Columns, found: Integers) -> Flags:
        """Which packets go through the core: those that are not plain, or may be guarded or not fit, or whose profile counts."""
        slow = ~columns.plain
        slow |= (columns.protocol == UDP) & self._vxlan[columns.destination_port]
        if self._analyzers.size <= _FEW:
            for analyzer in self._analyzers:
                slow |= (columns.source == analyzer) | (columns.destination == analyzer)
        else:
            slow |= np.isin(columns.source, self._analyzers) | np.isin(columns.destination, self._analyzers)
        for plan, its in self._sources(found):
            if not plan.simple:
                slow |= its
            elif plan.ip_bytes_max < _LARGEST:
                slow |= its & (columns.length > plan.ip_bytes_max)
        return slow

    def _sources(self, found: Integers) -> Iterator[tuple[Plan, Flags]]:
        """Each plan with the packets that its sources take."""
        yield from self._rule_sources(found)
        if self._mirror_plan is not None:
            yield self._mirror_plan, np.ones(len(found), np.bool_)

    def _rule_sources(self, found: Integers) -> Iterator[tuple[Plan, Flags]]:
        its = self._rule_plans[found]
        numbers = np.bincount(its + 1, minlength=len(self._plans) + 1)[1:]
        for index in np.flatnonzero(numbers).tolist():
            yield self._plans[index], its == index

    def _emissions(self, columns: Columns, found: Integers, forward: Flags, received: Flags, fast: Flags) -> list[_Emission]:
        emissions: list[_Emission] = []
        taken = np.full(len(found), -1, np.int64)  # the profile that took the packet for its rule
        counter = _RuleCounter(self._sums, found)
        for plan, its in self._rule_sources(found):
            packets, hashes = self._take(columns, plan, counter, np.flatnonzero(its & fast), forward, (0,), "bidirection")
            taken[packets] = plan.profile.number
            emissions += self._hand_over(plan, counter, packets, hashes, 0)
        if self._mirror is not None and self._mirror_plan is not None:
            mirror, plan = self._mirror, self._mirror_plan
            tally = _MirrorCounter(self._core.state.sources[mirror.id])
            lists = (mirror.access_list,)
            packets, hashes = self._take(columns, plan, tally, np.flatnonzero(fast), received, lists, mirror.direction)
            new = taken[packets] != plan.profile.number
            emissions += self._hand_over(plan, tally, packets[new], None if hashes is None else hashes[new], _FEW)
        return emissions

    def _take(
        self,
        columns: Columns,
        plan: Plan,
        counter: _Counter,
        packets: Integers,
        forward: Flags,
        lists: Sequence[int],
        direction: str,
    ) -> tuple[Integers, Words | None]:
        """The packets that are matched, with their flow hashes where these are needed; all are counted."""
        profile = plan.profile
        counter.add("seen", packets)
        wanted = np.ones(len(packets), np.bool_)
        for way in (direction, profile.direction):
            if way != "bidirection":
                wanted &= forward[packets] == (way == "forward")
        for number in (*lists, profile.access_list):
            if number:
                wanted[wanted] = permitted(self._lists[number], columns, packets[wanted])
        counter.add("filtered", packets[~wanted])
        packets = packets[wanted]
        hashes = None
        if profile.sample_flows > 1 or profile.distribute == "flow-hash" or any(t.headers.needs_hash for t in plan.targets):
            hashes = columns.flow_hash(packets)
        if profile.sample_flows > 1 and hashes is not None:
            wanted = sampled(hashes, profile.sample_flows)
            counter.add("sampled_out", packets[~wanted])
            packets, hashes = packets[wanted], hashes[wanted]
        counter.add("matched_packets", packets)
        counter.add("matched_bytes", packets, columns.length[packets])
        return packets, hashes

    def _hand_over(
        self, plan: Plan, counter: _Counter, packets: Integers, hashes: Words | None, order: int
    ) -> Iterator[_Emission]:
        """The copies of matched packets for each destination."""
        if not packets.size:
            return
        distribute = plan.profile.distribute
        counter.add("copied", packets, len(plan.targets) if distribute == "replicate" else 1)
        if distribute == "flow-hash" and hashes is not None:
            chosen = np.argmax([rank(hashes, place) for place in range(len(plan.targets))], axis=0)
        for place, target in enumerate(plan.targets[:1] if distribute == "failover" else plan.targets):
            some, its = packets, hashes
            if distribute == "flow-hash" and hashes is not None:
                mine = chosen == place
                some, its = packets[mine], hashes[mine]
            if some.size:
                yield _Emission(plan, target, order + place, some, its)

    def _go_slow(self, batch: Batch, slow_at: Integers, received: Flags, numbering: Mapping[str, Numbering]) -> Iterator[Group]:
        """Packet by packet through the core."""
        data = batch.data.data
        made: dict[str, tuple[list[int], list[int], list[bytes]]] = {name: ([], [], []) for name in self._headers}
        places = zip(slow_at.tolist(), batch.offsets[slow_at].tolist(), batch.lengths[slow_at].tolist(), strict=True)
        for step, (packet, at, length) in enumerate(places):
            for numbers in numbering.values():
                numbers.advance(step)
            frame, time_ns = data[at : at + length].tobytes(), int(batch.times[packet])
            for order, out in enumerate(self._core.process(frame, self._device, bool(received[packet]), time_ns)):
                keys, packets, frames = made[out.interface]
                keys.append(packet * _ORDERS + order)
                packets.append(packet)
                frames.append(out.data if out.is_frame else ethernet(out.data) + out.data)
            for numbers in numbering.values():
                numbers.settle(step)
        for number, (keys, packets, frames) in enumerate(made.values()):
            if keys:
                all_frames, offsets, lengths = gather(frames)
                headers = np.empty((len(keys), 0), np.uint8)
                yield Group(number, np.array(keys), batch.times[packets], headers, all_frames, offsets, lengths)


def _group(batch: Batch, columns: Columns, emission: _Emission, identification: Words, sequence: Words) -> Group:
    """The records of the copies for one destination, which are counted."""
    packets, headers, tally = emission.packets, emission.target.headers, emission.target.memory.tally
    offsets, lengths = batch.offsets[packets], columns.length[packets]
    if headers.carries_ip:
        offsets = offsets + ETHERNET_BYTES
    else:
        lengths = lengths + ETHERNET_BYTES
    truncated, most = None, emission.plan.profile.truncate_bytes
    if most is not None:
        truncated = lengths > most
        lengths = np.minimum(lengths, most)
        tally.truncated += int(np.count_nonzero(truncated))
    tally.copies += len(packets)
    tally.sent_packets += len(packets)
    tally.sent_bytes += int(lengths.sum())
    times = batch.times[packets]
    rows = headers.rows(lengths, identification, sequence, truncated, times, emission.hashes)
    keys = packets * _ORDERS + emission.order
    return Group(emission.target.number, keys, times, rows, batch.data, offsets, lengths)
