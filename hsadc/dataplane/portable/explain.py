"""What the mirror would do with a packet, and why: the decisions of the mirror itself, without sending or counting anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from hsadc.dataplane.mirror_counters import DROPS
from hsadc.dataplane.portable.packet import FragmentMemory, read
from hsadc.dataplane.portable.selection import Intents, Judgement, Selection, hash_of
from hsadc.dataplane.portable.sending import UP, Sender, Tunnel, TunnelStatus
from hsadc.dataplane.portable.state import DestinationMemory, TunnelMemory
from hsadc.intent.mirror import ProfileIntent, TunnelIntent

RECEIVED, SENT = True, False


@dataclass(frozen=True, slots=True)
class Passing:
    """A packet at a place where the mirror may see it.

    Attributes:
        frame: an Ethernet frame.
        device: Linux device that it passes; empty for any that no interface's mirror takes packets of.
        received: False when the device sends it.
    """

    frame: bytes
    device: str = ""
    received: bool = RECEIVED


class Fate(NamedTuple):
    """What becomes of a copy.

    Attributes:
        outcome: `sent`, or the counter of the reason why not.
        packets: outer packets that are sent.
        truncated, split, fragmented: how it was made to fit.
        largest_bytes: of the largest outer packet, or of the frame that is sent as it is; 0 when none is sent.
    """

    outcome: str
    packets: int = 0
    truncated: bool = False
    split: bool = False
    fragmented: bool = False
    largest_bytes: int = 0


def judge(intents: Intents, statuses: Mapping[str, TunnelStatus], passing: Passing) -> tuple[int, list[Judgement]]:
    """Which sources take a packet, and to which destinations it goes with the tunnels as they stand now.

    Args:
        intents: what is in force.
        statuses: of the tunnels' interfaces; one that is not there is up.
        passing: the packet.

    Returns:
        Its flow hash, and what each source makes of it.
    """
    up = TunnelStatus()
    selection = Selection(intents, lambda name: statuses.get(name, up).state == UP)
    packet = read(passing.frame, FragmentMemory())
    return hash_of(packet), selection.judge(packet, passing.device, passing.received)


def fate_of(profile: ProfileIntent, tunnel: TunnelIntent, status: TunnelStatus, frame: bytes, hash_: int) -> Fate:
    """What becomes of a packet's copy at a destination, were it the first one there: it is in the sample and below the limit."""
    if status.state != UP and status.state not in DROPS:
        return Fate(status.state)
    memory = DestinationMemory()
    first = replace(profile, sample_packets=1)
    sent = Sender(first, Tunnel(tunnel, TunnelMemory(), status), memory).send(read(frame, FragmentMemory()), hash_, 0)
    tally = memory.tally
    outcome = next((reason for reason in DROPS if getattr(tally, reason)), "sent")
    largest = max((len(out.data) for out in sent), default=0)
    return Fate(outcome, len(sent), bool(tally.truncated), bool(tally.split), bool(tally.fragmented), largest)


def unchanged_bytes(profile: ProfileIntent, tunnel: TunnelIntent, mtu_bytes: int) -> int:
    """The largest IP packet, without VLAN tags, whose copy is sent whole in one outer packet on a path of this MTU."""
    e = tunnel.encapsulation
    fits = mtu_bytes - e.overhead_bytes
    if profile.truncate_bytes is None:
        return fits
    return min(fits, profile.truncate_bytes - (14 if e.payload == "ethernet" else 0))
