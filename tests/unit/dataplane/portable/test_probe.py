"""Probes in the portable mirror: sent as copies are, and counted by themselves."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from hsadc.dataplane.mirror_counters import PROBES, DestinationCounters
from hsadc.dataplane.portable.core import Intents, MirrorCore, TunnelStatus
from hsadc.intent.mirror import TunnelIntent
from hsadc.wire.encapsulation import Encapsulation
from hsadc.wire.probe import TCP, Flow, frame
from hsadc.wire.receive import decapsulate

PROBE = frame(Flow(ip_address("10.1.0.1"), 40000, ip_address("10.1.0.2"), 80, TCP))
TUNNEL = TunnelIntent("tunnel1", None, Encapsulation("gre", ip_address("10.2.0.2"), ip_address("10.3.0.2"), key=7, sequence=True))
SENT = DestinationCounters(copies=1, sent_packets=1, sent_bytes=len(PROBE) - 14)


def probes(core):
    return core.counters().destinations[PROBES, "tunnel1"]


def test_it_is_sent_and_counted():
    core = MirrorCore(Intents((TUNNEL,)))
    (outgoing,) = core.probe("tunnel1", PROBE, 0)
    received = decapsulate(outgoing.data)
    assert (received.payload, received.key, received.sequence) == (PROBE[14:], 7, 0)
    assert decapsulate(core.probe("tunnel1", PROBE, 0)[0].data).sequence == 1
    assert probes(core) == SENT + SENT


def test_its_counter_outlives_a_change_and_goes_with_the_tunnel():
    core = MirrorCore(Intents((TUNNEL,)))
    core.probe("tunnel1", PROBE, 0)
    changed = MirrorCore(Intents((replace(TUNNEL, mtu_bytes=1400),)), state=core.state)
    assert probes(changed) == SENT
    assert MirrorCore(Intents(), state=changed.state).counters().destinations == {}


def test_one_that_cannot_be_sent():
    core = MirrorCore(Intents((TUNNEL,)), {"tunnel1": TunnelStatus("no_neighbour")})
    assert core.probe("tunnel1", PROBE, 0) == []
    assert probes(core) == DestinationCounters(copies=1, no_neighbour=1)


def test_without_such_a_tunnel():
    core = MirrorCore(Intents((TUNNEL,)))
    with pytest.raises(KeyError):
        core.probe("tunnel2", PROBE, 0)
    assert core.counters().destinations == {}
