"""The packet table through the pure mirror: its bytes are Scapy's, and the receiver's side takes the copies out again."""

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from hsadc.dataplane.portable.core import MirrorCore, TunnelStatus
from hsadc.wire.reassembly import Reassembler
from hsadc.wire.receive import decapsulate
from tests.netns.packet_table import CASES

NOW_NS = 10**15


def mirrored(case, now_ns=NOW_NS):
    """What the pure mirror sends of a case's packets, and its counters."""
    statuses = {interface: TunnelStatus(state) for interface, state in case.setup.states}
    core = MirrorCore(case.setup.intents, statuses)
    sent = [o.data for frame, received in case.frames for o in core.process(frame, case.device, received, now_ns)]
    return sent, core.counters()


def without_time(packet):
    """An outer packet whose ERSPAN III timestamp is zero; its offset follows from the family."""
    at = {4: 20, 6: 48 if packet[6] == 44 else 40}.get(packet[0] >> 4, 0)
    if packet[at : at + 4] == b"\x10\0\x22\xeb":
        return packet[: at + 12] + bytes(4) + packet[at + 16 :]
    return packet


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_pure_mirror_does_as_the_table_says(case):
    sent, counters = mirrored(case)
    assert [without_time(p).hex() for p in sent] == [p.hex() for p in case.sent]
    assert dict(counters.sources) == case.sources
    assert dict(counters.destinations) == case.destinations
    assert all(c.unaccounted == 0 for c in counters.destinations.values())


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.sent and "none" not in {t.encapsulation.kind for t in c.setup.intents.tunnels}], ids=str
)
def test_the_receiver_takes_out_what_was_put_in(case):
    together = Reassembler()
    ports = tuple({t.encapsulation.port for t in case.setup.intents.tunnels})
    whole = [packet for part in case.sent if (packet := together.add(part + b"padding")) is not None]
    assert [decapsulate(packet, ports).payload for packet in whole] == list(case.payloads)


def test_timestamps_are_hundreds_of_microseconds():
    (case,) = [c for c in CASES if c.name == "ERSPAN 3 over IPv4"]
    sent, _ = mirrored(case, 123_456_789_000_000)
    assert {packet[32:36] for packet in sent} == {(1_234_567_890 % 2**32).to_bytes(4)}


def test_the_table_is_wide():
    assert len(CASES) > 300
    assert len({case.name for case in CASES}) == len(CASES)
    packets = [p for case in CASES for p in case.sent]
    assert {IP(p).version for p in packets if p[0] == 0x45} == {4}
    assert {IPv6(p).nh for p in packets if p[0] >> 4 == 6} == {17, 44, 47}
