"""The mirror's rules, one by one, as docs/mirror.md has them."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsadc.dataplane.portable.core import Intents, MirrorCore, TunnelStatus
from hsadc.intent.mirror import (
    ANY_ICMP,
    ANY_PORT,
    ANY_PROTOCOL,
    AccessListIntent,
    AccessRule,
    PortMirrorIntent,
    RuleIntent,
    TunnelIntent,
)
from hsadc.wire.encapsulation import Encapsulation
from hsadc.wire.flow import rank, sampled
from hsadc.wire.reassembly import Reassembler
from hsadc.wire.receive import decapsulate
from tests.unit.dataplane.portable.examples import CLIENT, FRAME, GRE, INTENTS, MACS, PROFILE, RULE, SERVER, TUNNEL
from tests.unit.dataplane.traffic import DEVICE, ipv4, ipv6, mirrors, traffic, transport

ANALYZER = "10.9.0.2"
IP = b"\x08\0"
BACK = MACS + IP + ipv4(SERVER, CLIENT, 6, transport(6, 80, 5000, 10))
OTHER = MACS + IP + ipv4(CLIENT, SERVER, 6, transport(6, 5000, 81, 10))
MIRROR = PortMirrorIntent(65536, DEVICE, 1)
PORT = replace(INTENTS, rules=(), port_mirrors=(MIRROR,))


def tcp(size, flags=0x18, source_port=5000):
    return MACS + IP + ipv4(CLIENT, SERVER, 6, transport(6, source_port, 80, size, flags))


def changed(intents=INTENTS, *, tunnel=(), encapsulation=(), profile=()):
    """The intents with one tunnel and one profile, with some values changed."""
    tunnel = replace(TUNNEL, encapsulation=replace(GRE, **dict(encapsulation)), **dict(tunnel))
    return replace(intents, tunnels=(tunnel,), profiles=(replace(PROFILE, **dict(profile)),))


def run(intents, *frames, received=True, statuses=None, gap_ns=0):
    """Outer packets of each frame, the source's counters and the destination's."""
    core = MirrorCore(intents, statuses)
    sent = [[out.data for out in core.process(frame, DEVICE, received, n * gap_ns)] for n, frame in enumerate(frames)]
    counters = core.counters()
    assert all(c.unaccounted == 0 for c in counters.destinations.values())
    return sent, next(iter(counters.sources.values())), next(iter(counters.destinations.values()))


def copies(intents, *frames, **options):
    return [[decapsulate(data).payload for data in some] for some in run(intents, *frames, **options)[0]]


# Sources


def test_a_rule_takes_packets_to_it_and_from_it_and_no_others():
    assert copies(INTENTS, FRAME, OTHER, BACK) == [[FRAME[14:]], [], [BACK[14:]]]


@pytest.mark.parametrize(("direction", "expected"), [("forward", [1, 0]), ("backward", [0, 1]), ("bidirection", [1, 1])])
def test_direction_of_a_profile(direction, expected):
    sent, source, _ = run(changed(profile={"direction": direction}), FRAME, BACK)
    assert [len(s) for s in sent] == expected
    assert (source.seen, source.filtered, source.matched_packets) == (2, 2 - sum(expected), sum(expected))


@pytest.mark.parametrize("received", [True, False])
@pytest.mark.parametrize("direction", ["forward", "backward", "bidirection"])
def test_direction_of_a_port_mirror(direction, received):
    _, source, _ = run(replace(PORT, port_mirrors=(replace(MIRROR, direction=direction),)), FRAME, received=received)
    taken = direction in ("bidirection", "forward" if received else "backward")
    assert (source.seen, source.filtered, source.copied) == (1, int(not taken), int(taken))


def test_a_port_mirror_is_of_one_device():
    core = MirrorCore(PORT)
    assert core.process(FRAME, "ethernet0/1", True, 0) == []
    assert core.counters().sources[65536].seen == 0


def test_two_sources_with_one_profile_copy_once():
    core = MirrorCore(replace(INTENTS, port_mirrors=(MIRROR,)))
    assert len(core.process(FRAME, DEVICE, True, 0)) == 1
    assert [(c.matched_packets, c.copied) for c in core.counters().sources.values()] == [(1, 1), (1, 0)]


def test_two_sources_with_two_profiles_copy_twice():
    profiles = (PROFILE, replace(PROFILE, number=2))
    core = MirrorCore(replace(INTENTS, profiles=profiles, port_mirrors=(replace(MIRROR, profile=2),)))
    assert len(core.process(FRAME, DEVICE, True, 0)) == 2


def test_what_the_rule_does_not_take_the_port_mirror_may():
    profile = replace(PROFILE, direction="backward")
    core = MirrorCore(replace(INTENTS, profiles=(profile,), port_mirrors=(MIRROR,)))
    assert len(core.process(FRAME, DEVICE, False, 0)) == 1
    assert [(c.filtered, c.copied) for c in core.counters().sources.values()] == [(1, 0), (0, 1)]


def test_matched_bytes_are_those_of_the_ip_packet():
    padded = FRAME + bytes(6)
    tagged = MACS + b"\x81\0\0\5" + FRAME[12:]
    _, source, destination = run(INTENTS, padded, tagged)
    assert (source.matched_bytes, destination.sent_bytes) == (100, 100)


ENCAPSULATED = MACS + IP + ipv4(CLIENT, SERVER, 47, bytes(30))
VXLAN = MACS + IP + ipv4(CLIENT, SERVER, 17, transport(17, 1, 4789, 30))
TO_ANALYZER = MACS + IP + ipv4(CLIENT, ANALYZER, 6, transport(6, 5, 5, 0))
FROM_ANALYZER = MACS + IP + ipv4(ANALYZER, CLIENT, 1, bytes(8))


def icmp(kind, inner):
    return MACS + IP + ipv4("10.0.0.9", CLIENT, 1, bytes([kind]) + bytes(7) + inner[14:])


def icmp6(kind, inner):
    return MACS + b"\x86\xdd" + ipv6("2001:db8::9", "2001:db8::1", 58, bytes([kind]) + bytes(7) + inner)


GRE6 = ipv6("2001:db8::1", "2001:db8::2", 47, bytes(8))


@pytest.mark.parametrize(
    ("frame", "guarded"),
    [
        (ENCAPSULATED, True),
        (VXLAN, True),
        (TO_ANALYZER, True),
        (FROM_ANALYZER, True),
        (icmp(3, ENCAPSULATED), True),
        (icmp(11, VXLAN), True),
        (icmp(12, TO_ANALYZER[:34]), True),
        (icmp6(1, GRE6), True),
        (icmp6(2, ipv6("2001:db8::1", "2001:db8::2", 47, bytes(8), (0, 60))), True),
        (icmp(8, ENCAPSULATED), False),
        (icmp(3, FRAME), False),
        (icmp(3, VXLAN[:36]), False),
        (icmp(3, FRAME[:20]), False),
        (icmp6(128, GRE6), False),
        (icmp6(1, GRE6)[:60], False),
        (MACS + IP + ipv4(CLIENT, SERVER, 1, b""), False),
        (MACS + IP + ipv4(CLIENT, SERVER, 17, transport(17, 4789, 53, 30)), False),
        (FRAME, False),
        (MACS + b"\x08\x06" + bytes(28), False),
    ],
)
def test_a_port_mirror_copies_no_copies(frame, guarded):
    _, source, _ = run(changed(PORT, encapsulation={"payload": "ethernet"}), frame)
    assert (source.seen, source.loop_guard, source.copied) == (1, int(guarded), int(not guarded))


def test_the_ports_of_configured_vxlan_tunnels_are_guarded():
    vxlan = replace(GRE, kind="vxlan", payload="ethernet", port=9999)
    intents = replace(PORT, tunnels=(replace(TUNNEL, encapsulation=vxlan),))
    _, source, _ = run(intents, MACS + IP + ipv4(CLIENT, SERVER, 17, transport(17, 1, 9999, 0)), VXLAN, FRAME)
    assert (source.loop_guard, source.copied) == (2, 1)


def test_quoted_copies_are_told_from_other_errors_of_one_flow():
    _, source, _ = run(PORT, icmp(3, FRAME), icmp(3, ENCAPSULATED), icmp(3, FRAME))
    assert (source.loop_guard, source.copied) == (1, 2)


# Fragments


def fragment(protocol, offset, more, identification=9, data=b""):
    return MACS + IP + ipv4(CLIENT, SERVER, protocol, data, place=offset // 8 | more << 13, identification=identification)


def test_later_fragments_have_the_ports_of_the_first():
    first = fragment(6, 0, 1, data=transport(6, 5000, 80, 4))
    assert [len(s) for s in run(INTENTS, fragment(6, 24, 0), first, fragment(6, 24, 1), fragment(6, 48, 0))[0]] == [0, 1, 1, 1]
    assert [len(s) for s in run(INTENTS, first, fragment(6, 24, 0, 10), fragment(17, 24, 0))[0]] == [1, 0, 0]


def test_ipv6_fragments():
    def part(offset, more, data):
        head = bytes([6, 0]) + struct.pack("!HI", offset | more, 77)
        return MACS + b"\x86\xdd" + ipv6("2001:db8::1", "2001:db8::2", 44, head + data)

    rule = RuleIntent(1, ip_address("2001:db8::2"), 80, 6, 1)
    frames = part(0, 1, transport(6, 5000, 80, 4)), part(24, 0, bytes(8))
    assert [len(s) for s in run(replace(INTENTS, rules=(rule,)), *frames)[0]] == [1, 1]


# Access lists

NET, HOST = ip_network("10.0.0.0/31"), ip_network("10.0.0.2/32")
V6 = MACS + b"\x86\xdd" + ipv6("2001:db8::1", "2001:db8::2", 58, bytes(8))
PING = MACS + IP + ipv4(CLIENT, SERVER, 1, bytes(8))


@pytest.mark.parametrize(
    ("rule", "frame", "permitted"),
    [
        (AccessRule(True, ANY_PROTOCOL), FRAME, True),
        (AccessRule(True, ANY_PROTOCOL), V6, True),
        (AccessRule(True, ANY_PROTOCOL), MACS + b"\x08\x06" + bytes(28), False),
        (AccessRule(False, ANY_PROTOCOL), FRAME, False),
        (AccessRule(True, 6), FRAME, True),
        (AccessRule(True, 17), FRAME, False),
        (AccessRule(True, ANY_ICMP), PING, True),
        (AccessRule(True, ANY_ICMP), V6, True),
        (AccessRule(True, ANY_ICMP), MACS + IP + ipv4(CLIENT, SERVER, 58, bytes(8)), False),
        (AccessRule(True, 6, HOST), FRAME, True),
        (AccessRule(True, 6, HOST), BACK, True),
        (AccessRule(True, 6, HOST, ANY_PORT, HOST), FRAME, False),
        (AccessRule(True, 6, NET, (80, 80), HOST, (5000, 5000)), FRAME, True),
        (AccessRule(True, 6, NET, (5000, 5000), HOST, (80, 80)), FRAME, False),
        (AccessRule(True, ANY_PROTOCOL, None, (80, 80)), FRAME, True),
        (AccessRule(True, ANY_PROTOCOL, None, (0, 65534)), PING, False),
        (AccessRule(True, 6, None, (0, 65534)), fragment(6, 24, 0), False),
        (AccessRule(True, 6), fragment(6, 24, 0), True),
        (AccessRule(True, ANY_PROTOCOL, ip_network("::/0")), FRAME, False),
        (AccessRule(True, ANY_PROTOCOL, ip_network("::/0")), V6, True),
        (AccessRule(True, ANY_PROTOCOL, ip_network("0.0.0.0/0")), V6, False),
    ],
)
def test_an_entry(rule, frame, permitted):
    intents = changed(PORT, encapsulation={"payload": "ethernet"}, profile={"access_list": 5})
    _, source, _ = run(replace(intents, access_lists=(AccessListIntent(5, (rule,)),)), frame)
    assert (source.copied, source.filtered) == (int(permitted), int(not permitted))


def test_the_first_entry_decides_and_none_denies():
    rules = (AccessRule(False, 6, None, (5000, 5000)), AccessRule(True, 6))
    lists = (AccessListIntent(5, rules), AccessListIntent(6, ()))
    intents = replace(PORT, access_lists=lists, port_mirrors=(replace(MIRROR, access_list=5),))
    assert [len(s) for s in run(intents, FRAME, tcp(0, source_port=5001))[0]] == [0, 1]
    both = replace(intents, profiles=(replace(PROFILE, access_list=6),))
    assert run(both, tcp(0, source_port=5001))[1].filtered == 1


# Sampling and destinations


def hash_of(frame):
    from hsadc.dataplane.portable.packet import FragmentMemory, read
    from hsadc.dataplane.portable.selection import hash_of

    return hash_of(read(frame, FragmentMemory()))


def test_sampling_of_flows():
    frames = [tcp(0, source_port=1000 + n) for n in range(200)]
    _, source, _ = run(changed(profile={"sample_flows": 4}), *frames)
    expected = sum(sampled(hash_of(frame), 4) for frame in frames)
    assert (source.copied, source.sampled_out) == (expected, 200 - expected)
    assert 20 < expected < 80


def test_sampling_of_packets_takes_the_first_of_n():
    sent, source, destination = run(changed(profile={"sample_packets": 3}), *[FRAME] * 7)
    assert [len(s) for s in sent] == [1, 0, 0, 1, 0, 0, 1]
    assert (source.copied, destination.copies, destination.sampled_out) == (7, 7, 4)


def three(distribute):
    names = ("tunnel1", "tunnel2", "tunnel3")
    return Intents(
        tuple(TunnelIntent(n, None, GRE) for n in names),
        (),
        (replace(PROFILE, destinations=names, distribute=distribute),),
        (RULE,),
    )


def interfaces(core, frame):
    return [out.interface for out in core.process(frame, DEVICE, True, 0)]


def test_replicate_goes_to_all_up_or_not():
    core = MirrorCore(three("replicate"), {"tunnel2": TunnelStatus("no_route")})
    assert interfaces(core, FRAME) == ["tunnel1", "tunnel3"]
    assert core.counters().destinations[1, "tunnel2"].no_route == 1
    assert core.counters().sources[1].copied == 3


def test_failover_goes_to_the_first_that_is_up():
    core = MirrorCore(three("failover"))
    assert interfaces(core, FRAME) == ["tunnel1"]
    core.set_status("tunnel1", TunnelStatus("link_down"))
    assert interfaces(core, FRAME) == ["tunnel2"]
    for name in ("tunnel2", "tunnel3"):
        core.set_status(name, TunnelStatus("no_neighbour"))
    assert interfaces(core, FRAME) == []
    assert core.counters().destinations[1, "tunnel1"].link_down == 1


def test_flow_hash_moves_only_the_flows_of_the_destination_that_goes_down():
    core, frames = MirrorCore(three("flow-hash")), [tcp(0, source_port=1000 + n) for n in range(100)]
    before = [interfaces(core, frame)[0] for frame in frames]
    assert before == [f"tunnel{max(range(3), key=lambda i: rank(hash_of(frame), i)) + 1}" for frame in frames]
    core.set_status("tunnel2", TunnelStatus("no_route"))
    after = [interfaces(core, frame)[0] for frame in frames]
    assert {a for a, b in zip(after, before, strict=True) if b == "tunnel2"} == {"tunnel1", "tunnel3"}
    assert all(a == b for a, b in zip(after, before, strict=True) if b != "tunnel2")


# What becomes of a copy


@pytest.mark.parametrize("state", ["no_route", "no_neighbour", "link_down"])
def test_a_tunnel_that_is_not_up(state):
    sent, _, destination = run(INTENTS, FRAME, statuses={"tunnel1": TunnelStatus(state)})
    assert (sent, getattr(destination, state), destination.dropped) == ([[]], 1, 1)


def test_a_rule_copies_nothing_to_the_analyzer_itself():
    intents = replace(INTENTS, rules=(replace(RULE, address=ip_address(ANALYZER), port=5),))
    assert run(intents, TO_ANALYZER)[2].loop_guard == 1


@pytest.mark.parametrize(
    "frame",
    [
        MACS + b"\x08\x06" + bytes(28),
        FRAME[:-1],
        FRAME[:20],
        MACS + b"\x86\xdd" + V6[14:-1],
        MACS + b"\x86\xdd" + bytes(60),
        MACS + b"\x86\xdd" + ipv6("2001:db8::1", "2001:db8::2", 6, bytes(20), (0,))[:44],
        b"",
        bytes(5),
        MACS + b"\x81\0\0",
    ],
)
def test_a_tunnel_of_ip_packets_carries_no_others(frame):
    assert run(PORT, frame)[2].not_ip == 1
    as_frame = changed(PORT, encapsulation={"payload": "ethernet"})
    assert copies(as_frame, frame) == [[frame]]


def test_padding_is_cut_off_in_frames_too():
    assert copies(changed(encapsulation={"payload": "ethernet"}), FRAME + bytes(6)) == [[FRAME]]


def test_frames_keep_their_tags():
    frame = MACS + bytes.fromhex("88a8000181006002") + FRAME[12:]
    erspan = changed(encapsulation={"payload": "ethernet", "kind": "erspan"})
    found = decapsulate(run(erspan, frame)[0][0][0])
    assert (found.payload, found.erspan.tag) == (frame, 1)
    assert copies(INTENTS, frame) == [[FRAME[14:]]]


def test_truncation():
    intents = changed(encapsulation={"kind": "erspan", "payload": "ethernet"}, profile={"truncate_bytes": 64})
    sent, _, destination = run(intents, tcp(10), tcp(11))
    found = [decapsulate(data) for some in sent for data in some]
    assert [(len(f.payload), f.erspan.truncated) for f in found] == [(64, False), (64, True)]
    assert (destination.truncated, destination.sent_bytes) == (1, 128)


@pytest.mark.parametrize(("limit", "cost_ns"), [({"rate_pps": 3}, 333_333_333), ({"rate_mbps": 7}, 50 * 8000 // 7)])
def test_rate_limits(limit, cost_ns):
    number, gap = 3000, 1000
    sent, _, destination = run(changed(profile=limit), *[FRAME] * number, gap_ns=gap)
    tat, expected = 0, []
    for n in range(number):
        tat = max(tat, n * gap)
        conforms = tat - n * gap <= 100_000_000
        expected.append(int(conforms))
        tat += cost_ns * conforms
    assert [len(s) for s in sent] == expected
    assert destination.rate_limit == number - sum(expected) > 0


# Oversize


def pieces(frame, mtu, **encapsulation):
    intents = changed(tunnel={"mtu_bytes": mtu}, encapsulation=encapsulation)
    sent, _, destination = run(intents, frame)
    assert all(len(data) <= mtu for data in sent[0])
    return [decapsulate(data) for data in sent[0]], destination


@pytest.mark.parametrize("is_ethernet", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_a_segment_is_split_as_scapy_would(family, is_ethernet):
    from scapy.layers import inet
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    network = inet.IP(src=CLIENT, dst=SERVER, id=65535) if family == 4 else IPv6(src="2001:db8::1", dst="2001:db8::2")
    data = bytes(range(250)) * 8
    whole = network / inet.TCP(sport=5000, dport=80, seq=2**32 - 700, flags="FPAC", options=[("NOP", None)] * 4)
    rule = replace(RULE, address=ip_address(SERVER if family == 4 else "2001:db8::2"))
    encapsulation = {"payload": "ethernet" if is_ethernet else "ip", "sequence": True}
    intents = replace(changed(tunnel={"mtu_bytes": 900}, encapsulation=encapsulation), rules=(rule,))
    sent, source, destination = run(intents, bytes(Ether() / whole / data))
    size = -(-2000 // -(-2000 // (900 - 28 - 14 * is_ethernet - (44 if family == 4 else 64))))
    found = [decapsulate(part) for part in sent[0]]
    assert [f.sequence for f in found] == list(range(len(found)))
    for n, part in enumerate(found):
        expected = whole.copy()
        expected[inet.TCP].seq = (2**32 - 700 + n * size) % 2**32
        expected[inet.TCP].flags = ("C" if n == 0 else "") + ("FP" if n == len(found) - 1 else "") + "A"
        if family == 4:
            expected.id = (65535 + n) % 2**16
        head = bytes(Ether() / network)[:14] if is_ethernet else b""
        assert part.payload == head + bytes(expected / data[n * size : n * size + size])
    assert (destination.split, destination.extra, destination.sent_packets) == (1, len(found) - 1, len(found))
    assert destination.sent_bytes == sum(len(f.payload) for f in found)
    assert source.copied == 1


@pytest.mark.parametrize(
    "frame",
    [
        tcp(2000, flags=0x02),
        tcp(2000, flags=0x14),
        tcp(2000, flags=0x30),
        tcp((576 - 24 - 40) * 8 + 1),
        MACS + IP + ipv4(CLIENT, SERVER, 17, transport(17, 5000, 80, 2000)),
        fragment(6, 0, 1, data=transport(6, 5000, 80, 2000)),
        MACS + b"\x86\xdd" + ipv6("2001:db8::1", "2001:db8::2", 6, transport(6, 5000, 80, 2000), (60,)),
        MACS + IP + ipv4(CLIENT, SERVER, 6, transport(6, 5000, 80, 2000)[:12] + b"\x40" + bytes(2000)),
        MACS + IP + ipv4(CLIENT, SERVER, 6, transport(6, 5000, 80, 2000)[:12] + b"\xf0" + bytes(700)),
        MACS + b"\x08\x06" + bytes(2000),
    ],
)
def test_what_cannot_be_split_is_dropped(frame):
    intents = changed(PORT, tunnel={"mtu_bytes": 576}, encapsulation={"payload": "ethernet"})
    sent, _, destination = run(intents, frame)
    assert (sent[0], destination.oversize, destination.split) == ([], 1, 0) or len(frame) < 1000


def test_as_many_pieces_as_allowed():
    found, destination = pieces(tcp((576 - 24 - 40) * 8), 576)
    assert (len(found), destination.split) == (8, 1)


def test_a_cut_payload_is_no_segment():
    intents = changed(tunnel={"mtu_bytes": 600}, profile={"truncate_bytes": 1000})
    assert run(intents, tcp(2000))[2].oversize == 1


@pytest.mark.parametrize("addresses", [("10.9.0.1", "10.9.0.2"), ("2001:db8:9::1", "2001:db8:9::2")])
def test_outer_fragments(addresses):
    source, destination = map(ip_address, addresses)
    e = {"source": source, "destination": destination, "sequence": True}
    intents = changed(tunnel={"mtu_bytes": 1281, "oversize": "fragment"}, encapsulation=e)
    sent, _, counters = run(intents, tcp(3000), tcp(1000))
    assert [len(some) for some in sent] == [3, 1]
    assert all(len(data) <= 1281 for data in sent[0])
    reassembler = Reassembler()
    whole = [reassembler.add(data) for data in sent[0]]
    assert whole[:2] == [None, None]
    assert (decapsulate(whole[2]).payload, decapsulate(sent[1][0]).sequence) == (tcp(3000)[14:], 1)
    assert (counters.copies, counters.fragmented, counters.extra, counters.sent_packets) == (2, 1, 2, 4)
    assert counters.sent_bytes == 3040 + 1040


def test_no_more_fragments_than_allowed_and_none_that_are_forbidden():
    room = (576 - 20) // 8 * 8 * 8 - 4 - 40
    intents = changed(tunnel={"mtu_bytes": 576, "oversize": "fragment"})
    sent, _, counters = run(intents, tcp(room), tcp(room + 1))
    assert ([len(some) for some in sent], counters.oversize) == ([8, 0], 1)
    forbidden = changed(tunnel={"mtu_bytes": 576, "oversize": "fragment"}, encapsulation={"dont_fragment": True})
    assert run(forbidden, tcp(1000))[2].oversize == 1


def test_truncation_to_what_fits():
    intents = changed(tunnel={"mtu_bytes": 576, "oversize": "truncate"})
    sent, _, counters = run(intents, tcp(1000), tcp(512))
    assert [len(data) for some in sent for data in some] == [576, 576]
    assert (decapsulate(sent[0][0]).payload, counters.truncated) == (tcp(1000)[14:566], 1)


def test_drop():
    assert run(changed(tunnel={"mtu_bytes": 576, "oversize": "drop"}), tcp(1000))[2].oversize == 1


def test_the_path_may_be_narrower_than_configured_but_not_wider():
    intents = changed(tunnel={"mtu_bytes": 1000, "oversize": "drop"})
    for mtu, fits in ((None, True), (9000, True), (999, False)):
        sent, _, _ = run(intents, tcp(936), statuses={"tunnel1": TunnelStatus(mtu_bytes=mtu)})
        assert bool(sent[0]) == fits


# Frames without encapsulation


def raw(oversize="segment"):
    tunnel = TunnelIntent("ethernet0/2", None, Encapsulation("none", payload="ethernet"), 600, oversize)
    return replace(INTENTS, tunnels=(tunnel,), profiles=(replace(PROFILE, destinations=("ethernet0/2",)),))


def test_frames_as_they_are():
    out = MirrorCore(raw()).process(FRAME, DEVICE, True, 0)
    assert [(o.interface, o.data, o.is_frame) for o in out] == [("ethernet0/2", FRAME, True)]
    assert run(raw(), tcp(560))[0] == [[tcp(560)]]


def test_frames_that_do_not_fit():
    tagged = MACS + b"\x81\0\0\5" + tcp(1000)[12:]
    sent = run(raw(), tagged)[0][0]
    assert [len(frame) for frame in sent] == [18 + 540, 18 + 540]
    assert all(frame[:18] == tagged[:18] for frame in sent)
    assert [len(frame) for frame in run(raw("truncate"), tagged)[0][0]] == [618]
    for policy in ("fragment", "drop"):
        assert run(raw(policy), tagged)[2].oversize == 1


# State


def test_numbers_and_counters_go_on_in_the_next_configuration():
    intents = changed(encapsulation={"sequence": True})
    core = MirrorCore(intents)
    core.process(FRAME, DEVICE, True, 0)
    after = MirrorCore(replace(intents, rules=(RULE, replace(RULE, id=2, port=81))), state=core.state)
    found = decapsulate(after.process(OTHER, DEVICE, True, 0)[0].data)
    assert found.sequence == 1
    assert {k: c.seen for k, c in after.counters().sources.items()} == {1: 1, 2: 1}
    assert after.counters().destinations[1, "tunnel1"].copies == 2


def test_what_is_gone_is_forgotten():
    core = MirrorCore(INTENTS)
    core.process(FRAME, DEVICE, True, 0)
    MirrorCore(Intents(), state=core.state)
    assert (core.state.sources, core.state.destinations, core.state.tunnels) == ({}, {}, {})


def test_counters_are_cleared_and_numbers_go_on():
    core = MirrorCore(changed(encapsulation={"sequence": True}))
    core.process(FRAME, DEVICE, True, 0)
    core.state.clear_counters()
    assert core.counters().sources[1].seen == core.counters().destinations[1, "tunnel1"].copies == 0
    assert decapsulate(core.process(FRAME, DEVICE, True, 0)[0].data).sequence == 1
    assert core.counters().sources[1].seen == 1


def test_decisions_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("hsadc.dataplane.portable.core._DECISIONS_KEPT", 3)
    core = MirrorCore(INTENTS)
    for n in range(10):
        assert len(core.process(tcp(0, source_port=n), DEVICE, True, 0)) == 1
        assert len(core._decisions) <= 3


def test_fragments_do_not_pile_up():
    from hsadc.dataplane.portable.packet import FragmentMemory, Header

    memory = FragmentMemory(2)
    headers = [Header(bytes(16), bytes(16), 6, 0, n) for n in range(3)]
    for header in headers[:2]:
        memory.remember(header, (1, 2))
    assert memory.recall(headers[0]) == (1, 2)
    memory.remember(headers[2], (3, 4))
    assert [memory.recall(header) for header in headers] == [(1, 2), None, (3, 4)]


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=True))
def test_all_counts_add_up_and_every_copy_fits(r):
    intents = mirrors(r)
    core, mtu = MirrorCore(intents), {t.interface: t.mtu_bytes for t in intents.tunnels}
    outs = [out for frame, now, received in traffic(r) for out in core.process(frame, DEVICE, received, now)]
    assert all(len(out.data) <= mtu[out.interface] + (26 if out.is_frame else 0) for out in outs)
    counters = core.counters()
    assert sum(c.sent_packets for c in counters.destinations.values()) == len(outs)
    assert all(c.unaccounted == 0 for c in counters.destinations.values())
    assert sum(c.copies for c in counters.destinations.values()) == sum(c.copied for c in counters.sources.values())
