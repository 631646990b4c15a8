"""The fast path gives what MirrorCore gives, byte for byte and counter for counter."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsadc.dataplane.portable.core import Intents, MirrorCore
from hsadc.dataplane.replay.batch import Batch, gather
from hsadc.dataplane.replay.fast import FastMirror
from hsadc.dataplane.replay.headers import ethernet
from hsadc.dataplane.replay.records import RecordWriter
from hsadc.intent import hop
from hsadc.intent.mirror import TunnelIntent
from hsadc.wire.encapsulation import Encapsulation
from tests.unit.dataplane.portable.examples import CLIENT, FRAME, INTENTS, MACS, PROFILE, RULE, SERVER
from tests.unit.dataplane.traffic import DEVICE, ipv4, mirrors, plain_packets, traffic, transport

ADDRESSES = ip_address("10.9.0.1"), ip_address("10.9.0.2")
EXAMPLES = int(os.environ.get("HSADC_EXAMPLES", "100"))


def by_core(intents, packets, core, device):
    names = [tunnel.interface for tunnel in intents.tunnels]
    for frame, now, received in packets:
        for out in core.process(frame, device, received, now):
            yield names.index(out.interface), now, out.data if out.is_frame else ethernet(out.data) + out.data


def records(data):
    at = 0
    while at < len(data):
        kind, size, interface, high, low, length, wire = struct.unpack_from("<7I", data, at)
        assert (kind, length, size) == (6, wire, (length + 35) // 4 * 4)
        assert not any(data[at + 28 + length : at + size - 4])
        assert struct.unpack_from("<I", data, at + size - 4) == (size,)
        yield interface, high << 32 | low, bytes(data[at + 28 : at + 28 + length])
        at += size


def batch_of(packets):
    data, offsets, lengths = gather([frame for frame, _, _ in packets])
    times = np.array([now for _, now, _ in packets], np.uint64)
    return Batch(data, offsets, lengths, times, np.zeros(len(packets), np.bool_)), np.array([r for _, _, r in packets], np.bool_)


def check(intents, packets, cut=None, device=DEVICE):
    """Both ways, the fast one in two batches; gives the core's counters."""
    slow, core = MirrorCore(intents), MirrorCore(intents)
    for memory in (*slow.state.tunnels.values(), *core.state.tunnels.values()):
        memory.identification, memory.sequence = 65534, 2**32 - 2
    expected = list(by_core(intents, packets, slow, device))
    mirror, writer, found = FastMirror(intents, core, device), RecordWriter(), []
    for part in (packets[:cut], packets[cut:] if cut is not None else []):
        if part:
            found += records(writer.write(mirror.mirror(*batch_of(part))))
    mirror.finish()
    assert found == expected
    assert core.counters() == slow.counters()
    assert core.state.tunnels == slow.state.tunnels
    for c in slow.counters().destinations.values():
        assert c.unaccounted == 0
    for c in slow.counters().sources.values():
        assert c.seen == c.loop_guard + c.filtered + c.sampled_out + c.matched_packets
    return slow.counters()


random = st.randoms(use_true_random=True)


@settings(max_examples=EXAMPLES, deadline=None)
@given(random)
def test_the_fast_path_gives_what_the_core_gives(r):
    check(mirrors(r), traffic(r), r.choice([None, r.randint(0, 20)]), r.choice([DEVICE, DEVICE, hop.DEVICE]))


@settings(max_examples=EXAMPLES, deadline=None)
@given(random)
def test_plain_packets_alone(r):
    intents = mirrors(r)
    tunnels = tuple(replace(t, encapsulation=replace(t.encapsulation, checksum=False)) for t in intents.tunnels)
    profiles = tuple(replace(p, sample_packets=1, rate_pps=None, rate_mbps=None) for p in intents.profiles)
    packets = [(MACS + b"\x08\0" + plain_packets(r), r.randint(0, 2**63), r.random() < 0.5) for _ in range(r.randint(1, 30))]
    check(replace(intents, tunnels=tunnels, profiles=profiles), packets)


@pytest.mark.parametrize("kind", ["gre", "erspan", "vxlan", "none"])
@pytest.mark.parametrize("payload", ["ip", "ethernet"])
@pytest.mark.parametrize("truncate", [None, 580, 576])
def test_every_length_around_the_limit(kind, payload, truncate):
    e = (
        Encapsulation("gre", *ADDRESSES, payload=payload)
        if kind == "gre"
        else Encapsulation(kind, *ADDRESSES, payload="ethernet")
    )
    tunnel = TunnelIntent("tunnel1", None, e, 576, "drop")
    intents = replace(INTENTS, tunnels=(tunnel,), profiles=(replace(PROFILE, truncate_bytes=truncate),))
    packets = [(MACS + b"\x08\0" + ipv4(CLIENT, SERVER, 6, transport(6, 5, 80, n)), n, True) for n in range(430, 550)]
    counters = check(intents, packets)
    assert counters.destinations[1, "tunnel1"].sent_packets > 0


def test_many_analyzers_and_more_bytes_than_the_buffer_had():
    tunnels = tuple(
        TunnelIntent(f"tunnel{n}", None, Encapsulation("gre", ADDRESSES[0], ip_address(f"10.9.0.{n}"))) for n in range(2, 14)
    )
    intents = replace(INTENTS, tunnels=tunnels, profiles=(replace(PROFILE, destinations=("tunnel2", "tunnel9")),))
    rules = (RULE, replace(RULE, id=2, address=ip_address("10.9.0.13")))
    packets = [(MACS + b"\x08\0" + ipv4(CLIENT, to, 6, transport(6, 5, 80, 1400)), 5, True) for to in (SERVER, "10.9.0.13")]
    counters = check(replace(intents, rules=rules), packets * 1000)
    assert counters.sources[2].copied == 2000


def test_each_device_has_rules_of_its_own():
    rules = RULE, replace(RULE, id=2, hop=True)
    packets = [(FRAME, 5, True)] * 3
    for device, taken, other in ((DEVICE, 1, 2), (hop.DEVICE, 2, 1)):
        counters = check(replace(INTENTS, rules=rules), packets, device=device)
        assert (counters.sources[taken].copied, counters.sources[other].seen) == (3, 0)


def test_no_packet_goes_through_the_core_when_all_are_plain(monkeypatch):
    core = MirrorCore(INTENTS)
    monkeypatch.setattr(core, "process", None)
    mirror = FastMirror(INTENTS, core, DEVICE)
    assert len(list(records(RecordWriter().write(mirror.mirror(*batch_of([(FRAME, 5, True)] * 3)))))) == 3


@pytest.mark.parametrize("packets", [[], [(b"", 0, True)]])
def test_nothing_comes_of_nothing(packets):
    mirror = FastMirror(Intents(), MirrorCore(Intents()), DEVICE)
    assert mirror.mirror(*batch_of(packets)) == []
    assert RecordWriter().write([]) == b""
