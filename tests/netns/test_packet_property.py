"""Packets of random layers, some of them broken, through the BPF programs and the pure mirror: equal bytes and counters."""

import os
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsadc.intent.mirror import AccessListIntent
from tests.netns.packet_case import Case, setup, tunnel
from tests.netns.packet_net import PacketNet
from tests.netns.packet_table import entry
from tests.netns.test_packet_table import Device, is_seen

pytestmark = pytest.mark.netns

EXAMPLES = int(os.environ.get("HSADC_EXAMPLES", "300"))
SETUPS = {
    "GRE ip, rule and list": setup(
        rule=True, lists=[AccessListIntent(1, (entry(False, 17, b_ports=(1, 99)), entry(True)))], port_list=1
    ),
    "GRE ethernet, numbered": setup(tunnel(payload="ethernet", six=True, sequence=True, checksum=True, key=1), rule=True),
    "ERSPAN II, truncated": setup(tunnel("erspan", version=2), truncate_bytes=128),
    "ERSPAN III, fragments": setup(tunnel("erspan", version=3, six=True, mtu=1280, oversize="fragment")),
    "VXLAN, one flow of two": setup(tunnel("vxlan", vni=77, mtu=1000, oversize="truncate"), sample_flows=2),
    "frames": setup(tunnel("none", name="ethernet0/2", mtu=900), rule=True),
    "flow-hash": setup(
        *(tunnel(name=f"tunnel{i}", number=i, mtu=700, oversize="fragment") for i in range(3)), distribute="flow-hash"
    ),
}
MACS = (b"\x02\0\0\0\0\x02", b"\xff" * 6, b"\x01\x80\xc2\0\0\0", b"\x33\x33\0\0\0\x01")
PORTS = st.sampled_from((0, 80, 4789, 8087, 40000, 65535))
IPV4 = st.sampled_from((b"\x0a\x01\0\x01", b"\x0a\x01\0\x02", b"\x0a\x03\0\x02", b"\xff" * 4))
IPV6 = st.sampled_from(
    (
        bytes(16),
        b"\xfd\0\0\x01" + bytes(11) + b"\x01",
        b"\xfd\0\0\x01" + bytes(11) + b"\x02",
        b"\xfd\0\0\x03" + bytes(11) + b"\x02",
    )
)
IDENTIFICATION = st.integers(0, 3)
SIZES = st.one_of(st.integers(0, 40), st.sampled_from((536, 700, 1000, 1372, 1400, 1432, 1460)), st.integers(41, 3000))


@st.composite
def transports(draw, depth):
    """What stands behind an IP header: its protocol and its bytes."""
    body = bytes(i * 13 & 0xFF for i in range(draw(SIZES)))
    kind = draw(st.sampled_from(("tcp", "tcp", "udp", "icmp", "icmpv6", "gre", "other")))
    if kind == "tcp":
        words = draw(st.sampled_from((5, 5, 5, 8, 15, 3)))
        flags = draw(st.sampled_from((0x10, 0x18, 0x19, 0x98, 0x02, 0x04, 0x30)))
        head = struct.pack(
            "!HHIIBBHHH", draw(PORTS), draw(PORTS), draw(st.integers(2**32 - 9, 2**32 - 1)), 7, words << 4, flags, 9, 0, 0
        )
        return 6, head + bytes(4 * max(words - 5, 0)) + body
    if kind == "udp":
        return 17, struct.pack("!HHHH", draw(PORTS), draw(PORTS), 8 + len(body), 0) + body
    if kind in ("icmp", "icmpv6"):
        quoted = draw(packets(depth - 1))[1] if depth else body[:40]
        types = (0, 3, 5, 8, 11) if kind == "icmp" else (1, 3, 128, 135)
        return 1 if kind == "icmp" else 58, struct.pack("!BBHI", draw(st.sampled_from(types)), 0, 0, 0) + quoted
    return (47, b"\0\0\x08\0" + body) if kind == "gre" else (draw(st.sampled_from((4, 50, 60, 132, 253))), body)


@st.composite
def packets(draw, depth=1):
    """An IP packet: its Ethertype and its bytes."""
    protocol, body = draw(transports(depth))
    if draw(st.booleans()):
        options = draw(st.sampled_from((0, 0, 0, 1, 8, 10)))
        place = draw(st.sampled_from((0, 0, 0, 0x4000, 0x2000, 0x2005, 5)))
        head = struct.pack(
            "!BBHHHBBH", 0x45 + options, 0, 20 + 4 * options + len(body), draw(IDENTIFICATION), place, 64, protocol, 0
        )
        return 0x0800, head + draw(IPV4) + draw(IPV4) + b"\x01" * 4 * options + body
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2, 6, 7)))):
        kind = draw(st.sampled_from((0, 43, 44, 60)))
        if kind == 44:
            place = draw(st.sampled_from((0, 1, 0x29, 0x28)))
            body = struct.pack("!BBHI", protocol, 0, place, draw(IDENTIFICATION)) + body
        else:
            words = draw(st.integers(0, 2))
            body = bytes([protocol, words]) + bytes(6 + 8 * words) + body
        protocol = kind
    return 0x86DD, struct.pack("!IHBB", 6 << 28, len(body) & 0xFFFF, protocol, 64) + draw(IPV6) + draw(IPV6) + body


@st.composite
def frames(draw):
    """An Ethernet frame, and whether the device receives it."""
    ethertype, body = draw(packets())
    ethertype = draw(
        st.sampled_from((ethertype, ethertype, ethertype, ethertype, ethertype, ethertype, 0x0806, 0x0800, 0x86DD, 60))
    )
    tags = b"".join(
        struct.pack("!HH", draw(st.sampled_from((0x8100, 0x88A8))), draw(st.integers(0, 0xFFFF)))
        for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2, 3, 4))))
    )
    frame = bytearray(draw(st.sampled_from(MACS)) + b"\x02\0\0\0\0\x01" + tags + ethertype.to_bytes(2) + body)
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 1, 3)))):
        bit = draw(st.integers(12 * 8, min(len(frame), 120) * 8 - 1))
        frame[bit // 8] ^= 1 << bit % 8
    if draw(st.sampled_from((False, False, False, True))):
        del frame[draw(st.integers(15, max(len(frame), 15))) :]
    return bytes(frame) + bytes(draw(st.sampled_from((0, 0, 0, 1, 18)))), draw(st.booleans())


@pytest.fixture(scope="module")
def device():
    with PacketNet() as net:
        yield Device(net)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SETUPS)
def test_random_packets(device, name):
    @settings(max_examples=EXAMPLES // len(SETUPS) + 1, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(frames().filter(lambda pair: is_seen(SETUPS[name], pair[0])), min_size=1, max_size=4))
    def judge(passing):
        case = Case(name, SETUPS[name], tuple(passing), (), {}, {})
        device.judge(case, lambda frames, where, _: device.net.run(frames, where))

    judge()
