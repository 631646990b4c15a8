"""Mirrors and traffic of all kinds: few addresses and ports, so that much of it is matched.

A `random.Random` makes them, which takes a hundredth of the time that Hypothesis would; a test gets one from `st.randoms`.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network

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


def encapsulations(r, kinds=("gre", "erspan", "vxlan", "none")):
    kind = r.choice(kinds)
    if kind == "none":
        return Encapsulation("none", payload="ethernet")
    source, destination = r.choice([("10.9.0.1", ANALYZERS[0]), ("2001:db8:9::1", ANALYZERS[1])])
    return Encapsulation(
        kind,
        ip_address(source),
        ip_address(destination),
        payload=r.choice(["ip", "ethernet"]) if kind == "gre" else "ethernet",
        ttl=r.randint(1, 255),
        dscp=r.randint(0, 63),
        dont_fragment=r.random() < 0.5,
        key=r.choice([None, r.randint(0, 2**32 - 1)]),
        sequence=r.random() < 0.5,
        checksum=r.randint(0, 4) == 4,
        version=r.randint(1, 3),
        session_id=r.randint(0, 1023),
        vni=r.randint(0, 2**24 - 1),
        port=r.choice([4789, 5000]),
    )


def profiles(r, number):
    rate = r.choice([None, None, None, ("rate_pps", 3), ("rate_mbps", 1)])
    return ProfileIntent(
        number,
        tuple(r.sample(TUNNELS, r.randint(1, 3))),
        r.choice(["bidirection", "bidirection", "forward", "backward"]),
        r.choice(["replicate", "flow-hash", "failover"]),
        sample_packets=r.choice([1, 1, 1, 3]),
        sample_flows=r.choice([1, 1, 2]),
        truncate_bytes=r.choice([None, None, 64, 600]),
        access_list=r.choice([0, 0, 1, 2]),
        **({rate[0]: rate[1]} if rate else {}),
    )


NETWORKS = [None, *(ip_network(n) for n in ("10.0.0.0/31", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0", "::/0"))]
RANGES = [ANY_PORT, ANY_PORT, (80, 80), (443, 5000)]


def access_rule(r):
    ends = r.choice(NETWORKS), r.choice(RANGES), r.choice(NETWORKS), r.choice(RANGES)
    return AccessRule(r.random() < 0.5, r.choice([ANY_PROTOCOL, ANY_PROTOCOL, ANY_ICMP, 6, 17, 47]), *ends)


def mirrors(r):
    """Intents with three tunnels, two profiles, some rules, and a port mirror or none."""
    tunnels = tuple(
        TunnelIntent(
            name, None, encapsulations(r), r.choice([576, 900, 1500]), r.choice(["segment", "fragment", "truncate", "drop"])
        )
        for name in TUNNELS
    )
    lists = tuple(AccessListIntent(n, tuple(access_rule(r) for _ in range(r.randint(0, 4)))) for n in (1, 2))
    keys = {(r.choice(HOSTS + HOSTS6), r.choice(PORTS), r.choice([6, 17])) for _ in range(r.randint(0, 8))}
    rules = tuple(
        RuleIntent(n, ip_address(address), port, protocol, r.randint(1, 2), r.random() < 0.3)
        for n, (address, port, protocol) in enumerate(sorted(keys), 1)
    )
    direction = r.choice(["bidirection", "bidirection", "forward", "backward"])
    mirror = PortMirrorIntent(65536, DEVICE, r.randint(1, 2), r.choice([0, 0, 1]), direction)
    port_mirrors = (mirror,) if r.random() < 0.5 else ()
    return Intents(tunnels, lists, (profiles(r, 1), profiles(r, 2)), rules, port_mirrors)


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


def plain_packets(r):
    source, destination = r.choice(HOSTS), r.choice(HOSTS)
    protocol = r.choice([6, 6, 6, 17])
    size = r.choice([r.randint(0, 40), r.choice([530, 860, 1400, 1460, 3000, 8000])])
    ports = r.choice(PORTS), r.choice(PORTS)
    return ipv4(source, destination, protocol, transport(protocol, *ports, size))


def ip_packets(r):
    """IP packets that are not plain, most of them."""
    hosts = HOSTS + ANALYZERS[:1]
    source, destination, protocol = r.choice(hosts), r.choice(hosts), r.choice([1, 6, 6, 17, 47, 50])
    ports = r.choice(PORTS), r.choice(PORTS)
    data = transport(protocol, *ports, r.choice([0, 8, 100, 1460, 2000]), r.choice([0x18, 0x02, 0x91]))
    if r.random() < 0.5:
        extensions = r.choices([0, 43, 44, 60], k=r.choice([0, 0, 1, 1, 2, 6, 7]))
        hosts = HOSTS6 + ANALYZERS[1:]
        return ipv6(r.choice(hosts), r.choice(hosts), 58 if protocol == 1 else protocol, data, extensions)
    if protocol == 1:
        data = struct.pack("!BBHI", r.choice([3, 11, 8]), 0, 0, 0) + r.choice([plain_packets, ip_packets])(r)[:60]
    place = r.choice([0, 0, 0, 0x2000, 0x2001, 0x0004, 0x4000])
    return ipv4(source, destination, protocol, data, options=r.choice([0, 0, 1]), place=place)


def frames(r):
    """Ethernet frames: half of them plain."""
    packet = plain_packets(r) if r.random() < 0.5 else ip_packets(r)
    tags = r.choice([b"", b"", b"", b"\x81\x00\x60\x05", b"\x88\xa8\0\1\x81\0\xe0\2", b"\x81\0\0\1" * 4])
    ethertype = r.choice([None] * 8 + [b"\x08\x06", b"\0\x40"]) or {4: b"\x08\0", 6: b"\x86\xdd"}[packet[0] >> 4]
    frame = bytes.fromhex("020000000a01020000000a02") + tags + ethertype + packet
    cut = r.choice([None] * 8 + [0, 12, 15, 33, 36, 45])
    if cut is not None:
        return frame[:cut]
    return frame + bytes(r.choice([0, 0, 6]))


def traffic(r, most=20):
    """Frames with their times in nanoseconds and whether the device received them."""
    now, found = 1_700_000_000 * 10**9, []
    for _ in range(r.randint(0, most)):
        now += r.randint(0, 10**8)
        found.append((frames(r), now, r.random() < 0.5))
    return found
