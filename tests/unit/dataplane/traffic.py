"""Mirrors and traffic of all kinds, for property tests: few addresses and ports, so that much of it is matched."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from hsadc.dataplane.portable.core import Intents
from hsadc.intent.mirror import (
    ANY_ICMP,
    ANY_PORT,
    ANY_PROTOCOL,
    AccessListIntent,
    AccessRule,
    PortMirrorIntent,
    ProfileIntent,
    RuleIntent,
    TunnelIntent,
)
from hsadc.wire.encapsulation import Encapsulation

DEVICE = "ethernet0/0"
HOSTS = ["10.0.0.1", "10.0.0.2", "192.0.2.7"]
HOSTS6 = ["2001:db8::1", "2001:db8::2"]
ANALYZERS = ["10.9.0.2", "2001:db8:9::2"]
PORTS = [80, 443, 4789, 5000, 65535]
TUNNELS = ("tunnel1", "tunnel2", "ethernet0/2")


@st.composite
def encapsulations(draw, kinds=("gre", "erspan", "vxlan", "none")):
    kind = draw(st.sampled_from(kinds))
    if kind == "none":
        return Encapsulation("none", payload="ethernet")
    source, destination = draw(st.sampled_from([("10.9.0.1", ANALYZERS[0]), ("2001:db8:9::1", ANALYZERS[1])]))
    return Encapsulation(
        kind,
        ip_address(source),
        ip_address(destination),
        payload=draw(st.sampled_from(["ip", "ethernet"])) if kind == "gre" else "ethernet",
        ttl=draw(st.integers(1, 255)),
        dscp=draw(st.integers(0, 63)),
        dont_fragment=draw(st.booleans()),
        key=draw(st.none() | st.integers(0, 2**32 - 1)),
        sequence=draw(st.booleans()),
        checksum=draw(st.integers(0, 4)) == 4,
        version=draw(st.integers(1, 3)),
        session_id=draw(st.integers(0, 1023)),
        vni=draw(st.integers(0, 2**24 - 1)),
        port=draw(st.sampled_from([4789, 5000])),
    )


@st.composite
def profiles(draw, number):
    rate = draw(st.sampled_from([None, None, None, ("rate_pps", 3), ("rate_mbps", 1)]))
    return ProfileIntent(
        number,
        tuple(draw(st.lists(st.sampled_from(TUNNELS), min_size=1, max_size=3, unique=True))),
        draw(st.sampled_from(["bidirection", "bidirection", "forward", "backward"])),
        draw(st.sampled_from(["replicate", "flow-hash", "failover"])),
        sample_packets=draw(st.sampled_from([1, 1, 1, 3])),
        sample_flows=draw(st.sampled_from([1, 1, 2])),
        truncate_bytes=draw(st.sampled_from([None, None, 64, 600])),
        access_list=draw(st.sampled_from([0, 0, 1, 2])),
        **({rate[0]: rate[1]} if rate else {}),
    )


ends = st.none() | st.sampled_from([ip_network(n) for n in ("10.0.0.0/31", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0", "::/0")])
ranges = st.sampled_from([ANY_PORT, (80, 80), (443, 5000)])
access_rules = st.builds(
    AccessRule, st.booleans(), st.sampled_from([ANY_PROTOCOL, ANY_ICMP, 6, 17, 47]), ends, ranges, ends, ranges
)


@st.composite
def mirrors(draw):
    """Intents with up to three tunnels, two profiles, some rules, and a port mirror or none."""
    some = st.sampled_from(["segment", "fragment", "truncate", "drop"])
    tunnels = tuple(
        TunnelIntent(name, None, draw(encapsulations()), draw(st.sampled_from([576, 900, 1500])), draw(some)) for name in TUNNELS
    )
    lists = tuple(AccessListIntent(n, tuple(draw(st.lists(access_rules, max_size=4)))) for n in (1, 2))
    keys = st.tuples(st.sampled_from(HOSTS + HOSTS6), st.sampled_from(PORTS), st.sampled_from([6, 17]))
    rules = tuple(
        RuleIntent(n, ip_address(address), port, protocol, draw(st.integers(1, 2)))
        for n, (address, port, protocol) in enumerate(draw(st.lists(keys, max_size=5, unique=True)), 1)
    )
    direction = draw(st.sampled_from(["bidirection", "bidirection", "forward", "backward"]))
    mirror = PortMirrorIntent(65536, DEVICE, draw(st.integers(1, 2)), draw(st.sampled_from([0, 0, 1])), direction)
    port_mirrors = (mirror,) if draw(st.booleans()) else ()
    return Intents(tunnels, lists, (draw(profiles(1)), draw(profiles(2))), rules, port_mirrors)


def transport(protocol, source_port, destination_port, size, flags=0x18):
    if protocol == 6:
        head = struct.pack("!HHIIBBHHH", source_port, destination_port, 1000, 2000, 0x50, flags, 8192, 0, 0)
    elif protocol == 17:
        head = struct.pack("!HHHH", source_port, destination_port, 8 + size, 0)
    else:
        head = struct.pack("!BBHI", source_port & 0xFF, 0, 0, 0)
    return head + bytes(i & 0xFF for i in range(size))


def ipv4(source, destination, protocol, data, *, options=0, place=0, identification=7):
    head = struct.pack("!BBHHHBBH", 0x45 + options, 0, 20 + 4 * options + len(data), identification, place, 64, protocol, 0)
    return head + ip_address(source).packed + ip_address(destination).packed + b"\1" * 4 * options + data


def ipv6(source, destination, protocol, data, extensions=()):
    for kind in reversed(extensions):
        body = bytes([protocol, 0]) + (struct.pack("!HI", 1, 9) if kind == 44 else bytes(6))
        protocol, data = kind, body + data
    head = struct.pack("!IHBB", 6 << 28, len(data), protocol, 64)
    return head + ip_address(source).packed + ip_address(destination).packed + data


@st.composite
def plain_packets(draw):
    source, destination = draw(st.sampled_from(HOSTS)), draw(st.sampled_from(HOSTS))
    protocol = draw(st.sampled_from([6, 6, 6, 17]))
    size = draw(st.integers(0, 40) | st.sampled_from([530, 860, 1400, 1460, 3000, 8000]))
    ports = draw(st.sampled_from(PORTS)), draw(st.sampled_from(PORTS))
    return ipv4(source, destination, protocol, transport(protocol, *ports, size))


@st.composite
def ip_packets(draw):
    """IP packets that are not plain, most of them."""
    host = st.sampled_from(HOSTS + ANALYZERS[:1])
    source, destination, protocol = draw(host), draw(host), draw(st.sampled_from([1, 6, 6, 17, 47, 50]))
    ports = draw(st.sampled_from(PORTS)), draw(st.sampled_from(PORTS))
    data = transport(protocol, *ports, draw(st.sampled_from([0, 8, 100, 1460, 2000])), draw(st.sampled_from([0x18, 0x02, 0x91])))
    if draw(st.booleans()):
        extensions = draw(st.lists(st.sampled_from([0, 43, 44, 60]), max_size=7 if draw(st.integers(0, 9)) == 9 else 1))
        host6 = st.sampled_from(HOSTS6 + ANALYZERS[1:])
        return ipv6(draw(host6), draw(host6), 58 if protocol == 1 else protocol, data, extensions)
    if protocol == 1:
        data = struct.pack("!BBHI", draw(st.sampled_from([3, 11, 8])), 0, 0, 0) + draw(plain_packets() | ip_packets())[:60]
    place = draw(st.sampled_from([0, 0, 0, 0x2000, 0x2001, 0x0004, 0x4000]))
    return ipv4(source, destination, protocol, data, options=draw(st.sampled_from([0, 0, 1])), place=place)


@st.composite
def frames(draw):
    """Ethernet frames: half of them plain."""
    packet = draw(plain_packets() if draw(st.booleans()) else ip_packets())
    tags = draw(st.sampled_from([b"", b"", b"", b"\x81\x00\x60\x05", b"\x88\xa8\0\1\x81\0\xe0\2", b"\x81\0\0\1" * 4]))
    ethertype = draw(st.sampled_from([None] * 8 + [b"\x08\x06", b"\0\x40"])) or {4: b"\x08\0", 6: b"\x86\xdd"}[packet[0] >> 4]
    frame = bytes.fromhex("020000000a01020000000a02") + tags + ethertype + packet
    cut = draw(st.sampled_from([None] * 8 + [0, 12, 15, 33, 36, 45]))
    if cut is not None:
        return frame[:cut]
    return frame + bytes(draw(st.sampled_from([0, 0, 6])))


@st.composite
def traffic(draw, max_size=20):
    """Frames with their times in nanoseconds and whether the device received them."""
    some = draw(st.lists(st.tuples(frames(), st.integers(0, 10**8), st.booleans()), max_size=max_size))
    now, found = 1_700_000_000 * 10**9, []
    for frame, gap, received in some:
        now += gap
        found.append((frame, now, received))
    return found
