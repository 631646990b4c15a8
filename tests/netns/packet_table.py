"""The table of packets that holds all parts of the mirror to docs/mirror.md: pure data, judged by the tests that read it."""

from dataclasses import replace
from ipaddress import ip_network
from itertools import product

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, IPOption_NOP
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Dot3
from scapy.packet import Raw

from hsadc.intent.hop import DEVICE
from hsadc.intent.mirror import ANY_ICMP, ANY_PROTOCOL, AccessListIntent, AccessRule, PortMirrorIntent, ProfileIntent
from tests.netns.packet_case import (
    CLIENT,
    CLIENT6,
    FRONT,
    MACS,
    MIRROR,
    PORT,
    RULE,
    SERVER,
    SERVER6,
    Case,
    behind_tags,
    counted,
    eth,
    flow,
    fragments,
    mix,
    outer,
    raw,
    setup,
    source,
    tunnel,
)

TO, BACK = {"src": CLIENT, "dst": SERVER}, {"src": SERVER, "dst": CLIENT}
TO6, BACK6 = {"src": CLIENT6, "dst": SERVER6}, {"src": SERVER6, "dst": CLIENT6}
ONE = (1, "tunnel1")


def tcp(size=0, **fields):
    """A TCP segment of a request with so many bytes of payload, all different from their neighbours."""
    return TCP(**({"sport": 40000, "dport": PORT, "flags": "PA", "seq": 1000, "ack": 77} | fields)) / Raw(data(size))


def udp(size=0, **fields):
    return UDP(**({"sport": 40000, "dport": PORT} | fields)) / Raw(data(size))


def data(size):
    return bytes(i * 7 & 0xFF for i in range(size))


REQUEST = eth() / IP(**TO, id=77) / tcp(54)
REPLY = eth() / IP(**BACK, id=78) / tcp(55, sport=PORT, dport=40000)
REQUEST6 = eth() / IPv6(**TO6) / tcp(54)
ODD = eth() / IP(**TO, id=79) / udp(1)
ODD6 = eth() / IPv6(**TO6) / udp(23)
HASHES = {
    id(REQUEST): flow(CLIENT, SERVER, 6, 40000, PORT),
    id(ODD): flow(CLIENT, SERVER, 17, 40000, PORT),
    id(ODD6): flow(CLIENT6, SERVER6, 17, 40000, PORT),
}


def payload_of(t, packet):
    """What a tunnel carries of a packet that is neither padded nor cut."""
    return behind_tags(packet) if t.encapsulation.payload == "ip" else raw(packet)


def ip_type(packet):
    return 0x86DD if IPv6 in packet and IP not in packet else 0x0800


def copied(name, config, packets, received=True, by=MIRROR, options=None, **more):
    """Each packet becomes one outer packet of the one tunnel, whole."""
    (t,) = config.intents.tunnels
    payloads = [payload_of(t, p) for p in packets]
    extra = options or [{}] * len(packets)
    sent = [
        outer(t, data, n, **({"inner": ip_type(p)} | o))
        for n, (data, p, o) in enumerate(zip(payloads, packets, extra, strict=True))
    ]
    return Case(
        name,
        config,
        tuple((raw(p), received) for p in packets),
        tuple(raw(p) for p in sent),
        {by: source(len(packets), sum(len(behind_tags(p)) for p in packets), **more)},
        {(1, t.interface): counted(len(packets), len(packets), sum(map(len, payloads)))},
        tuple(payloads),
    )


def dropped(name, config, packet, reason, received=True, by=MIRROR, matched=None):
    """A packet that is handed over, and not sent."""
    (t,) = config.intents.tunnels
    length = len(behind_tags(packet)) if matched is None else matched
    return Case(
        name,
        config,
        ((raw(packet), received),),
        (),
        {by: source(1, length)},
        {(1, t.interface): counted(1, **{reason: 1})},
    )


def passed_over(name, config, packet, reason, received=True, by=MIRROR, packets=1):
    """A packet that a source sees and does not copy."""
    none = {(1, t.interface): counted(0) for t in config.intents.tunnels}
    return Case(name, config, ((raw(packet), received),) * packets, (), {by: source(0, 0, **{reason: packets})}, none)


def unseen(name, config, packet):
    """A packet that no rule takes."""
    return Case(name, config, ((raw(packet), True),), (), {RULE: source(0, 0)}, {ONE: counted(0)})


def encapsulations():
    for key, sequence, checksum, payload, six in product(
        (None, 0xDEADBEEF), (False, True), (False, True), ("ip", "ethernet"), (0, 1)
    ):
        has = "".join(letter for letter, on in (("k", key), ("s", sequence), ("c", checksum)) if on) or "none"
        t = tunnel(six=bool(six), key=key, sequence=sequence, checksum=checksum, payload=payload)
        yield copied(f"GRE {payload} options {has} over IPv{6 if six else 4}", setup(t), [REQUEST, ODD6, ODD])
    for six in (False, True):
        over = f"over IPv{6 if six else 4}"
        tagged = eth() / Dot1Q(vlan=0xABC, prio=5) / IP(**TO) / tcp(9)
        double = eth() / Dot1AD(vlan=5, prio=1) / Dot1Q(vlan=6, type=0x0800) / IP(**TO) / tcp(9)
        tags = [{}, {"tag": 5 << 13 | 0xABC}, {"tag": 1 << 13 | 5}]
        for version in (1, 2, 3):
            t = tunnel("erspan", six, version=version, session_id=0x2A5)
            yield copied(f"ERSPAN {version} {over}", setup(t), [REQUEST6, tagged, double], options=tags)
            if version > 1:
                yield shortened(f"ERSPAN {version} {over}: truncated", setup(t, truncate_bytes=100), REQUEST6, 100)
        t = tunnel("vxlan", six, vni=0x123456)
        options = [{"hash_": HASHES[id(p)]} for p in (REQUEST, ODD6, ODD)]
        yield copied(f"VXLAN {over}", setup(t), [REQUEST, ODD6, ODD], options=options)
        t = tunnel("vxlan", six, vni=1, port=8472)
        yield copied(f"VXLAN, another port {over}", setup(t), [ODD], options=[{"hash_": HASHES[id(ODD)]}])
        t = tunnel(six=six, ttl=7, dscp=46, dont_fragment=True)
        yield copied(f"TTL, DSCP and DF {over}", setup(t), [REQUEST, ODD6])
    arp_hash = {"hash_": mix(0x0806)}
    yield copied("VXLAN of ARP: the Ethertype is the flow", setup(tunnel("vxlan", vni=1)), [eth() / ARP()], options=[arp_hash])
    yield copied("frames as they are", setup(tunnel("none", name="ethernet0/2")), [REQUEST, ODD6])
    yield copied("sent packets, too", setup(), [REQUEST], received=False)


def shortened(name, config, packet, size):
    """A copy whose end is left out, `size` bytes being left of the payload."""
    (t,) = config.intents.tunnels
    data = payload_of(t, packet)[:size]
    o = outer(t, data, inner=ip_type(packet), truncated=t.encapsulation.kind == "erspan")
    return Case(
        name,
        config,
        ((raw(packet), True),),
        (bytes(o),),
        {MIRROR: source(1, len(behind_tags(packet)))},
        {(1, t.interface): counted(1, 1, size, truncated=1)},
        (data,),
    )


NOPS = [IPOption_NOP()] * 8
HOP, DEST = (
    IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]),
    IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=30, optdata=b"abcd")]),
)
IP_SHAPES = {
    "IPv4": REQUEST,
    "IPv4 options": eth() / IP(**TO, options=NOPS) / tcp(20),
    "IPv6": REQUEST6,
    "IPv6 hop-by-hop": eth() / IPv6(**TO6) / HOP / tcp(20),
    "IPv6 destination options": eth() / IPv6(**TO6) / DEST / udp(21),
    "IPv6 routing header": eth() / IPv6(**TO6) / IPv6ExtHdrRouting(addresses=["fd00::9"], segleft=0) / udp(21),
    "IPv6 several extension headers": eth() / IPv6(**TO6) / HOP / DEST / IPv6ExtHdrFragment(id=4) / DEST / udp(3),
    "seven extension headers": eth() / IPv6(**TO6) / HOP / DEST / DEST / DEST / DEST / DEST / DEST / udp(3),
    "VLAN": eth() / Dot1Q(vlan=5, prio=3) / IP(**TO) / tcp(30),
    "802.1ad tag": eth() / Dot1AD(vlan=5) / IPv6(**TO6) / tcp(30),
    "QinQ": eth() / Dot1AD(vlan=5) / Dot1Q(vlan=6, type=0x0800) / IP(**TO) / tcp(30),
    "three tags": eth() / Dot1AD(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7, type=0x86DD) / IPv6(**TO6) / udp(5),
    "first fragment": eth() / IP(**TO, id=9, flags="MF") / udp(40),
    "later fragment": eth() / IP(**TO, id=10, frag=10, proto=17) / Raw(data(40)),
    "first fragment IPv6": eth() / IPv6(**TO6) / IPv6ExtHdrFragment(id=9, m=1) / udp(40),
    "later fragment IPv6": eth() / IPv6(**TO6) / IPv6ExtHdrFragment(id=10, offset=10, nh=17) / Raw(data(40)),
    "broadcast": eth(dst="ff:ff:ff:ff:ff:ff") / IP(src=CLIENT, dst="255.255.255.255") / udp(8),
    "multicast": eth(dst="01:00:5e:00:00:fb") / IP(src=CLIENT, dst="224.0.0.251") / udp(8),
    "neighbour solicitation from ::": eth(dst="33:33:00:00:00:01") / IPv6(src="::", dst="ff02::1") / ICMPv6EchoRequest(),
    "no payload": eth() / IP(**TO, proto=253),
    "no payload IPv6": eth() / IPv6(**TO6, nh=59),
    "one byte": eth() / IP(**TO, proto=253) / Raw(b"x"),
    "ICMP": eth() / IP(**TO) / ICMP() / Raw(data(9)),
    "GRE's odd neighbour, ESP": eth() / IP(**TO, proto=50) / Raw(data(33)),
    "UDP ports cut off": eth() / IP(**TO, proto=17) / Raw(b"abc"),
}
OTHER_SHAPES = {
    "ARP": eth() / ARP(psrc=CLIENT, pdst=SERVER),
    "padded ARP": eth() / ARP(psrc=CLIENT, pdst=SERVER) / Raw(bytes(18)),
    "LLDP": eth(dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(data(31)),
    "one byte of another protocol": eth(type=0x88B5) / Raw(b"z"),
    "spanning tree, an 802.3 length": Dot3(**MACS) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / Raw(data(35)),
    "SNAP": Dot3(**MACS) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP() / Raw(data(20)),
    "tagged 802.3": eth() / Dot1Q(vlan=5, type=38) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / Raw(data(35)),
    "tagged ARP": eth() / Dot1Q(vlan=5) / ARP(psrc=CLIENT, pdst=SERVER),
    "cut off IPv4": eth(type=0x0800) / Raw(bytes(IP(**TO) / tcp(40))[:-1]),
    "cut off IPv6": eth(type=0x86DD) / Raw(bytes(IPv6(**TO6) / tcp(40))[:-1]),
    "cut off in the IP header": eth(type=0x0800) / Raw(bytes(IP(**TO) / tcp(40))[:19]),
    "a header without length": eth() / IP(**TO, ihl=0) / tcp(40),
    "a header longer than the packet": eth(type=0x0800) / Raw(bytes(IP(**TO, ihl=15, len=40) / tcp(0))),
    "IPv6 in the Ethertype of IPv4": eth(type=0x0800) / IPv6(**TO6) / tcp(40),
    "IPv4 in the Ethertype of IPv6": eth(type=0x86DD) / IP(**TO) / tcp(40),
    "bytes of a packet in another protocol": eth(type=0x88B5) / IP(**TO) / tcp(40),
    "a tag cut off": eth(type=0x8100) / Raw(b"\x00\x05\x08"),
    "the second tag cut off": eth() / Dot1AD(vlan=5, type=0x8100) / Raw(b"\x00\x05\x08"),
    "four tags": eth() / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / Dot1Q(vlan=4, type=0x0800) / IP(**TO) / tcp(3),
}


def shapes():
    whole = {
        "GRE ethernet": tunnel(payload="ethernet"),
        "GRE ethernet, checksum, IPv6": tunnel(six=True, payload="ethernet", checksum=True, sequence=True),
        "frames": tunnel("none", name="ethernet0/2"),
    }
    for by, t in ({"GRE ip": tunnel()} | whole).items():
        for shape, packet in IP_SHAPES.items():
            yield copied(f"{shape} by {by}", setup(t), [packet])
        for name, packet, pad in (("IPv4", eth() / IP(**TO) / tcp(1), 5), ("IPv6", eth() / IPv6(**TO6, nh=59), 6)):
            yield padded(f"padded {name} by {by}", setup(t), packet, pad)
        yield padded(f"padded, tagged IPv4 by {by}", setup(t), eth() / Dot1Q(vlan=5) / IP(**TO) / udp(2), 7)
    for by, t in whole.items():
        for shape, packet in OTHER_SHAPES.items():
            yield opaque(f"{shape} by {by}", setup(t), packet)
    for shape, packet in OTHER_SHAPES.items():
        yield dropped(f"{shape} by GRE ip", setup(), packet, "not_ip", matched=len(without_tags(packet)))


def without_tags(packet):
    """What stands behind the Ethernet header and at most three VLAN tags."""
    rest, at = raw(packet), 14
    for _ in range(3):
        at += 4 * (rest[at - 2 : at] in (b"\x81\x00", b"\x88\xa8") and len(rest) >= at + 4)
    return rest[at:]


def opaque(name, config, packet):
    """A frame that is no IP packet, copied whole."""
    (t,) = config.intents.tunnels
    sent = bytes(outer(t, raw(packet)))
    counters = {(1, t.interface): counted(1, 1, len(packet))}
    matched = {MIRROR: source(1, len(without_tags(packet)))}
    return Case(name, config, ((raw(packet), True),), (sent,), matched, counters, (raw(packet),))


def padded(name, config, packet, pad):
    """What stands behind an IP packet is not copied."""
    case = copied(name, config, [packet])
    ((frame, received),) = case.frames
    return replace(case, frames=((frame + b"\xa5" * pad, received),))


def pieces(packet, sizes):
    """A TCP segment in pieces with so many bytes each, as segmentation would have made them."""
    found, at = [], 0
    whole = bytes(packet[TCP].payload)
    assert sum(sizes) == len(whole)
    for number, size in enumerate(sizes):
        piece = packet.copy()
        segment, last = piece[TCP], at + size == len(whole)
        flags = str(segment.flags)
        kept = "".join(f for f in flags if (last or f not in "FP") and (not number or f != "C"))
        segment.flags, segment.seq, segment.chksum = kept, (segment.seq + at) % 2**32, None
        if IP in piece:
            piece[IP].id, piece[IP].len, piece[IP].chksum = (packet[IP].id + number) % 65536, None, None
        else:
            piece[IPv6].plen = None
        segment.remove_payload()
        found.append(piece / Raw(whole[at : at + size]))
        at += size
    return found


def split(name, config, packet, *sizes):
    """A TCP segment that is too large, in pieces of so many bytes."""
    (t,) = config.intents.tunnels
    parts = [payload_of(t, p) for p in pieces(packet, sizes)]
    sent = [bytes(outer(t, part, n, inner=ip_type(packet))) for n, part in enumerate(parts)]
    counters = counted(1, len(parts), sum(map(len, parts)), extra=len(parts) - 1, split=1)
    matched = {MIRROR: source(1, len(behind_tags(packet)))}
    return Case(name, config, ((raw(packet), True),), tuple(sent), matched, {(1, t.interface): counters}, tuple(parts))


def fragmented(name, config, packets, *sizes, **options):
    """Packets whose outer packets are too large, in fragments of at most so many bytes behind the outer header."""
    (t,) = config.intents.tunnels
    payloads = [payload_of(t, p) for p in packets]
    wholes = [outer(t, data, n, inner=ip_type(p), **options) for n, (data, p) in enumerate(zip(payloads, packets, strict=True))]
    sent = [part for n, (whole, size) in enumerate(zip(wholes, sizes, strict=True)) for part in fragments(whole, size, n)]
    extra = len(sent) - len(packets)
    counters = counted(len(packets), len(sent), sum(map(len, payloads)), extra=extra, fragmented=len(packets))
    matched = {MIRROR: source(len(packets), sum(len(behind_tags(p)) for p in packets))}
    frames = tuple((raw(p), True) for p in packets)
    return Case(name, config, frames, tuple(sent), matched, {(1, t.interface): counters}, tuple(payloads))


OPTIONS = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]
V4, V6 = eth() / IP(**TO, id=0xFFFF), eth() / IPv6(**TO6)


def oversize():
    wire, drop, cut = setup(tunnel(payload="ethernet")), setup(tunnel(oversize="drop")), setup(tunnel(oversize="truncate"))
    split_by = setup(tunnel(key=1))
    yield copied("as large as fits", setup(), [V4 / tcp(1436)])
    yield split("one byte too large", setup(), V4 / tcp(1437), 719, 718)
    yield split("IPv4, an identification that wraps", split_by, V4 / tcp(1460, flags="PFCA", seq=2**32 - 5), 730, 730)
    yield split("IPv4 with TCP options", split_by, V4 / tcp(1448, options=OPTIONS, flags="FA"), 724, 724)
    yield split("IPv4 with IP options", setup(), eth() / IP(**TO, id=5, options=NOPS) / tcp(1431, flags="CEA"), 716, 715)
    yield split("IPv6", split_by, V6 / tcp(1440, flags="PFCA"), 720, 720)
    yield split("IPv6 over IPv6", setup(tunnel(six=True, sequence=True)), V6 / tcp(1421, options=OPTIONS), 711, 710)
    yield split("a tagged frame", wire, eth() / Dot1Q(vlan=5) / IP(**TO, id=1) / tcp(1451, options=OPTIONS), 726, 725)
    yield split("a frame with two tags, checksum", setup(tunnel(payload="ethernet", checksum=True, sequence=True)),
                eth() / Dot1AD(vlan=5) / Dot1Q(vlan=6, type=0x86DD) / IPv6(**TO6) / tcp(1401), 701, 700)  # fmt: skip
    yield split("ERSPAN", setup(tunnel("erspan", version=2)), V4 / tcp(1460), 730, 730)
    yield split(
        "frames", setup(tunnel("none", name="ethernet0/2", mtu=1400)), eth() / Dot1Q(vlan=9) / IP(**TO) / tcp(1400), 700, 700
    )
    yield split("eight pieces", setup(tunnel(mtu=576)), V4 / tcp(512 * 6 + 2), *[440] * 6, 434)
    yield dropped("more than eight pieces", setup(tunnel(mtu=576)), V4 / tcp(512 * 8 + 1 + 100), "oversize")
    for flags in ("SA", "RA", "UA"):
        yield dropped(f"flags {flags} are not split", setup(), V4 / tcp(1437, flags=flags), "oversize")
    for name, packet in (
        ("UDP", V4 / udp(1449)),
        ("UDP over IPv6", V6 / udp(1449)),
        ("a TCP segment behind an extension header", V6 / HOP / tcp(1429)),
        ("a fragment of a TCP segment", eth() / IP(**TO, flags="MF") / tcp(1437)),
        ("a TCP header longer than the packet", V4 / tcp(1437, dataofs=4)),
    ):
        yield dropped(f"{name} is not split", setup(), packet, "oversize")
    yield dropped("a frame that is no IP packet is not split", wire, eth(type=0x88B5) / Raw(data(1470)), "oversize")
    yield dropped("drop", drop, V4 / tcp(1437), "oversize")
    yield shortened("truncate", cut, V4 / tcp(1460), 1476)
    yield shortened("truncate ERSPAN III", setup(tunnel("erspan", version=3, oversize="truncate")), V6 / tcp(1440), 1460)
    yield shortened("truncate a tagged frame", setup(tunnel("none", name="ethernet0/2", mtu=1000, oversize="truncate")),
                    eth() / Dot1Q(vlan=9) / IP(**TO) / udp(1200), 1018)  # fmt: skip
    yield shortened("truncate what is no IP", setup(tunnel(payload="ethernet", oversize="truncate")),
                    eth(type=0x88B5) / Raw(data(1470)), 1476)  # fmt: skip
    yield dropped("shortened, and too large yet", setup(truncate_bytes=1480), V4 / tcp(1460), "oversize")
    yield from fragmenting()
    jumbo = setup(tunnel(mtu=9000))
    yield copied("a jumbo packet on a jumbo path", jumbo, [V4 / tcp(8936)])
    yield split("a jumbo packet one byte too large", jumbo, V4 / tcp(8937), 4469, 4468)
    yield copied("a jumbo packet with checksum", setup(tunnel(mtu=9000, checksum=True)), [V4 / udp(8943)])
    yield split("a jumbo packet on a path of 1500", setup(), V4 / tcp(8936), *[1277] * 6, 1274)


def fragmenting():
    def by(*kind, **fields):
        return setup(tunnel(*kind, oversize="fragment", **fields))

    yield copied("fragment: what fits is whole", by(), [V4 / udp(1448)])
    yield fragmented("fragments over IPv4", by(), [V4 / udp(1449), V4 / udp(1472)], 744, 752)
    yield fragmented("fragments over IPv6", by(six=True), [V4 / udp(1449), V6 / udp(1452)], 744, 752)
    yield fragmented("fragments, GRE checksum and sequence", by(checksum=True, sequence=True, key=9), [V6 / udp(1451)], 760)
    yield fragmented("fragments, an odd payload and checksum", by(six=True, checksum=True), [V4 / udp(1467)], 752)
    h = flow(CLIENT, SERVER, 17, 40000, PORT)
    yield fragmented("fragments of VXLAN", by("vxlan", vni=7), [V4 / udp(1472)], 768, hash_=h)
    yield fragmented("fragments of VXLAN over IPv6", by("vxlan", six=True, vni=7), [V4 / udp(1472)], 768, hash_=h)
    yield fragmented("fragments of ERSPAN II", by("erspan", version=2), [V4 / tcp(1460)], 768)
    tagged = eth() / Dot1AD(vlan=5) / Dot1Q(vlan=6, type=0x0800) / IP(**TO) / udp(1472)
    yield fragmented("fragments of a frame with tags", by(payload="ethernet"), [tagged], 768)
    yield fragmented("fragments of what is no IP", by(payload="ethernet"), [eth(type=0x88B5) / Raw(data(1490))], 760)
    yield fragmented("eight fragments", by(mtu=576), [V4 / udp(3300)], 480)
    yield dropped("more than eight fragments", by(mtu=576), V4 / udp(4500), "oversize")
    yield dropped("don't fragment", by(dont_fragment=True), V4 / udp(1449), "oversize")
    yield fragmented("don't fragment is IPv4's alone", by(six=True, dont_fragment=True), [V4 / udp(1449)], 744)
    yield dropped("frames are never fragmented", by("none", name="ethernet0/2"), V4 / udp(1493), "oversize")


def profiles():
    yield shortened("truncate to 64 bytes", setup(truncate_bytes=64), REQUEST, 64)
    yield shortened("truncate a frame to 64 bytes", setup(tunnel(payload="ethernet"), truncate_bytes=64), REQUEST6, 64)
    double = eth() / Dot1AD(vlan=5) / Dot1Q(vlan=6, type=0x0800) / IP(**TO) / tcp(90)
    yield shortened(
        "truncate a frame with tags, checksum", setup(tunnel(payload="ethernet", checksum=True), truncate_bytes=111), double, 111
    )
    yield shortened("a profile truncates what is no IP", setup(tunnel(payload="ethernet"), truncate_bytes=64),
                    eth(type=0x88B5) / Raw(data(90)), 64)  # fmt: skip
    yield copied("truncate: what is as short stays", setup(truncate_bytes=94), [REQUEST])
    yield shortened("truncate makes it fit", setup(truncate_bytes=1000), V4 / tcp(1460), 1000)
    many = [eth() / IP(**TO, id=i) / udp(i) for i in range(7)]
    yield some("one packet of three", setup(sample_packets=3), many, (0, 3, 6), sampled_out=4)
    yield sampled_flows()
    for direction, received in product(("forward", "backward"), (True, False)):
        wanted = received == (direction == "forward")
        for name, config in (("profile", setup(direction=direction)), ("port mirror", setup(port_direction=direction))):
            title = f"a {name} that takes {direction} packets, one {'received' if received else 'sent'}"
            if wanted:
                yield copied(title, config, [REQUEST], received)
            else:
                yield passed_over(title, config, REQUEST, "filtered", received)
    small = [eth() / IP(**TO, id=i) / udp(100) for i in range(6)]
    yield replace(some("10 packets a second", setup(rate_pps=10), small, (0, 1), rate_limit=4), within_ns=90_000_000)
    large = [eth() / IP(**TO, id=i) / udp(1400) for i in range(12)]  # 11,424,000 ns each
    yield replace(some("1 megabit a second", setup(rate_mbps=1), large, range(9), rate_limit=3), within_ns=2_000_000)


def some(name, config, packets, places, **counters):
    """All packets are handed over, those at the places are sent."""
    case = copied(name, config, [packets[i] for i in places])
    destination = replace(case.destinations[ONE], copies=len(packets), **counters)
    matched = source(len(packets), sum(len(behind_tags(p)) for p in packets))
    frames = tuple((raw(p), True) for p in packets)
    return replace(case, frames=frames, sources={MIRROR: matched}, destinations={ONE: destination})


def sampled_flows():
    packets = [eth() / IP(**TO, id=i) / udp(i, sport=i) for i in range(1, 40)]
    hashes = [flow(CLIENT, SERVER, 17, i, PORT) for i in range(1, 40)]
    taken = [p for p, h in zip(packets, hashes, strict=True) if mix(h ^ 0x73616D70) % 4 == 0]
    assert 3 < len(taken) < 20
    case = copied("one flow of four", setup(sample_flows=4), taken, sampled_out=len(packets) - len(taken))
    return replace(case, frames=tuple((raw(p), True) for p in packets))


def several():
    two = (tunnel(), tunnel("vxlan", True, "tunnel2", 1, vni=5))
    h = {"hash_": flow(CLIENT, SERVER, 6, 40000, PORT)}
    yield spread("replicate to two", setup(*two), [REQUEST, REPLY], [(0, 1), (0, 1)], h)
    three = tuple(tunnel(name=f"tunnel{i + 1}", number=i) for i in range(3))
    flows = [(eth() / IP(**TO, id=i) / udp(3, sport=i), flow(CLIENT, SERVER, 17, i, PORT)) for i in range(1, 12)]
    answers = [(eth() / IP(**BACK, id=i) / udp(3, dport=i, sport=PORT), h) for i, (_, h) in enumerate(flows, 1)]

    def place(h, among=range(3)):
        return (max(among, key=lambda i: mix(h ^ (0x9E3779B1 * (i + 1) % 2**32))),)

    both = [*flows, *answers]
    assert {place(h) for _, h in flows} == {(0,), (1,), (2,)}
    yield spread(
        "flow-hash to three, both directions",
        setup(*three, distribute="flow-hash"),
        [p for p, _ in both],
        [place(h) for _, h in both],
    )
    broken = (replace(three[0], egress="nowhere"), *three[1:])
    config = setup(*broken, distribute="flow-hash", states=(("tunnel1", "no_route"),))
    yield spread("flow-hash, one of three is down", config, [p for p, _ in both], [place(h, (1, 2)) for _, h in both])
    config = setup(*broken, distribute="failover", states=(("tunnel1", "no_route"),))
    yield spread("failover to the second", config, [REQUEST, REPLY], [(1,), (1,)])
    yield spread("failover: the first is up", setup(*three, distribute="failover"), [REQUEST, REPLY], [(0,), (0,)])
    down = [replace(t, egress=e) for t, e in zip(three, ("nowhere", "silent", "cut"), strict=True)]
    reasons = ("no_route", "no_neighbour", "link_down")
    states = [(t.interface, reason) for t, reason in zip(down, reasons, strict=True)]
    nothing = {(1, name): counted(1, **{reason: 1}) for name, reason in states}
    sources = {MIRROR: source(1, len(behind_tags(REQUEST)), 3)}
    yield Case("three tunnels that are down", setup(*down, states=states), ((raw(REQUEST), True),), (), sources, nothing)
    for distribute in ("failover", "flow-hash"):
        config = setup(down[0], distribute=distribute, states=states[:1])
        yield dropped(f"{distribute}: all that is down gets it yet", config, REQUEST, "no_route")


def spread(name, config, packets, places, options=None):
    """Each packet goes to the tunnels at its places."""
    tunnels, sent, payloads = config.intents.tunnels, [], []
    numbers, counters = [0] * len(tunnels), {(1, t.interface): [0, 0] for t in tunnels}
    for packet, chosen in zip(packets, places, strict=True):
        for i in chosen:
            t = tunnels[i]
            body = payload_of(t, packet)
            sent.append(bytes(outer(t, body, numbers[i], inner=ip_type(packet), **(options or {}))))
            payloads.append(body)
            numbers[i] += 1
            counters[1, t.interface] = [numbers[i], counters[1, t.interface][1] + len(body)]
    matched = source(len(packets), sum(len(behind_tags(p)) for p in packets), len(sent))
    destinations = {key: counted(n, n, size) for key, (n, size) in counters.items()}
    return Case(
        name, config, tuple((raw(p), True) for p in packets), tuple(sent), {MIRROR: matched}, destinations, tuple(payloads)
    )


def entry(permit, protocol=ANY_PROTOCOL, a=None, b=None, a_ports=(0, 65535), b_ports=(0, 65535)):
    return AccessRule(permit, protocol, ip_network(a) if a else None, a_ports, ip_network(b) if b else None, b_ports)


def access_lists():
    web = (80, 80)
    lists = {
        "any": [entry(True)],
        "empty": [],
        "deny, then permit": [entry(False, 6), entry(True)],
        "permit, then deny": [entry(True, 6), entry(False)],
        "a network": [entry(True, a="10.1.0.0/24")],
        "both ends": [entry(True, a="10.1.0.1/32", b="10.1.0.2/32")],
        "any IPv4": [entry(True, a="0.0.0.0/0")],
        "an IPv6 network": [entry(True, b="fd00:1::/64")],
        "any IPv6": [entry(True, a="::/0", b="fd00::/8")],
        "a port": [entry(True, 6, b_ports=(PORT, PORT))],
        "a range of ports": [entry(False, 6, b_ports=(PORT + 1, 65535)), entry(True, 17, b_ports=(8000, PORT))],
        "ports of any protocol": [entry(True, b_ports=(1, 65535))],
        "a network and a port": [entry(True, 6, b="10.1.0.2/32", b_ports=(PORT, PORT)), entry(True, 6, b_ports=web)],
        "icmp": [entry(True, ANY_ICMP)],
        "a protocol's number": [entry(True, 50)],
    }
    packets = {
        "TCP": REQUEST,
        "its answer": REPLY,
        "UDP": ODD,
        "TCP over IPv6": REQUEST6,
        "ICMP": IP_SHAPES["ICMP"],
        "ICMPv6": eth() / IPv6(**TO6) / ICMPv6EchoRequest(),
        "ICMPv6 in IPv4": eth() / IP(**TO, proto=58) / Raw(data(8)),
        "ESP": IP_SHAPES["GRE's odd neighbour, ESP"],
        "a later fragment": IP_SHAPES["later fragment"],
    }
    tcp4, tcp6, answer = {"TCP", "its answer"}, "TCP over IPv6", "its answer"
    everything = set(packets)
    ipv4 = everything - {tcp6, "ICMPv6"}
    permitted = {
        "any": everything,
        "empty": set(),
        "deny, then permit": everything - tcp4 - {tcp6},
        "permit, then deny": tcp4 | {tcp6},
        "a network": ipv4,
        "both ends": ipv4,
        "any IPv4": ipv4,
        "an IPv6 network": {tcp6, "ICMPv6"},
        "any IPv6": {tcp6, "ICMPv6"},
        "a port": tcp4 | {tcp6},
        "a range of ports": {"UDP"},
        "ports of any protocol": tcp4 | {tcp6, "UDP"},
        "a network and a port": {"TCP", answer},
        "icmp": {"ICMP", "ICMPv6"},
        "a protocol's number": {"ESP"},
    }
    for n, (title, entries) in enumerate(lists.items(), 1):
        access_list = AccessListIntent(n, tuple(entries))
        names = [p for p in packets if p in permitted[title]]
        chosen, denied = [packets[p] for p in names], len(packets) - len(names)
        for place, config in (
            ("profile", setup(lists=[access_list], access_list=n)),
            ("port mirror", setup(lists=[access_list], port_list=n)),
        ):
            case = copied(f"access list of the {place}: {title}", config, chosen, filtered=denied)
            yield replace(case, frames=tuple((raw(p), True) for p in packets.values()))
    one, two = AccessListIntent(1, (entry(True, 6),)), AccessListIntent(2, (entry(True, a="10.0.0.0/8"),))
    case = copied("both access lists must permit", setup(lists=[one, two], access_list=1, port_list=2), [REQUEST], filtered=2)
    yield replace(case, frames=tuple((raw(p), True) for p in (ODD, REQUEST, REQUEST6)))
    yield passed_over(
        "what is no IP is denied", setup(lists=[AccessListIntent(1, (entry(True),))], access_list=1), eth() / ARP(), "filtered"
    )


def rules():
    by = setup(rule=True, port=False)
    yield copied("a rule takes both directions", by, [REQUEST, REPLY, REQUEST6], by=RULE)
    yield copied("a rule, packets that are sent", by, [REQUEST, REPLY], False, by=RULE)
    yield copied("a rule of UDP", by, [ODD], by=RULE)
    for shape in ("IPv4 options", "VLAN", "QinQ", "IPv6 hop-by-hop", "IPv6 several extension headers"):
        yield copied(f"a rule and {shape}", by, [IP_SHAPES[shape]], by=RULE)
    for name, packet in (
        ("another port", eth() / IP(**TO) / tcp(5, dport=PORT + 1)),
        ("the port on the wrong side", eth() / IP(**TO) / tcp(5, sport=PORT, dport=40000)),
        ("another address", eth() / IP(src=CLIENT, dst="10.1.0.3") / tcp(5)),
        (
            "mapped addresses in IPv6, of another port",
            eth() / IPv6(src="::ffff:10.1.0.1", dst="::ffff:10.1.0.2") / tcp(5, dport=1),
        ),
        ("ICMP", IP_SHAPES["ICMP"]),
        ("a later fragment whose first was not seen", eth() / IP(**TO, id=99, frag=10, proto=6) / Raw(bytes(tcp(9)))),
        ("ARP", eth() / ARP()),
        ("another protocol's bytes", eth(type=0x88B5) / IP(**TO) / tcp(3)),
        ("ports cut off", eth() / IP(**TO, proto=6) / Raw(b"\x9c\x40\x1f")),
        ("an extension header cut off", eth(type=0x86DD) / Raw(bytes(IPv6(**TO6) / HOP)[:-3])),
    ):
        yield unseen(f"no rule for {name}", by, packet)
    first = eth() / IP(**TO, id=5, flags="MF") / tcp(28)
    later = eth() / IP(**TO, id=5, frag=6, proto=6) / Raw(data(20))
    yield copied("later fragments are those of the first", by, [first, later], by=RULE)
    first = eth() / IPv6(**TO6) / IPv6ExtHdrFragment(id=5, m=1) / tcp(28)
    later = eth() / IPv6(**TO6) / IPv6ExtHdrFragment(id=5, offset=6, nh=6) / Raw(data(20))
    yield copied("later fragments are those of the first, IPv6", by, [first, later], by=RULE)
    forward = setup(rule=True, port=False, direction="forward")
    yield copied("a rule forward", forward, [REQUEST], False, by=RULE)
    yield passed_over("a rule forward, an answer", forward, REPLY, "filtered", by=RULE)
    yield copied("a rule backward", setup(rule=True, port=False, direction="backward"), [REPLY], by=RULE)
    analyzer = eth() / IP(src="10.3.0.2", dst=SERVER) / tcp(5)
    yield dropped("a rule, from the tunnel's own analyzer", by, analyzer, "loop_guard", by=RULE)
    to_analyzer = eth() / IPv6(src=SERVER6, dst="fd00:3::2") / tcp(5, sport=PORT)
    yield dropped(
        "a rule, to the tunnel's own analyzer", setup(tunnel(six=True), rule=True, port=False), to_analyzer, "loop_guard", by=RULE
    )
    yield from both_sources()
    yield from hop_rules()


def hop_rules():
    on_hop = {"device": DEVICE}
    hop, both = setup(rule=True, hop=True, port=False), setup(rule=True, hop=True)
    yield replace(copied("a rule of the hop takes both directions", hop, [REQUEST, REPLY, REQUEST6], by=RULE), **on_hop)
    yield replace(copied("a rule of the hop, packets that are sent", hop, [REQUEST, REPLY, REQUEST6], False, by=RULE), **on_hop)
    backward = setup(rule=True, hop=True, port=False, direction="backward")
    yield replace(copied("a rule of the hop backward", backward, [REPLY], by=RULE), **on_hop)
    yield replace(passed_over("a rule of the hop backward, a request", backward, REQUEST, "filtered", False, RULE), **on_hop)
    yield unseen("a rule of the hop takes no packet elsewhere", hop, REQUEST)
    yield replace(unseen("a rule takes no packet on the hop", setup(rule=True, port=False), REQUEST), **on_hop)
    yield replace(unseen("no rule of the hop for another port", hop, eth() / IP(**TO) / tcp(5, dport=PORT + 1)), **on_hop)
    case = copied("a rule of the hop and a port mirror, elsewhere", both, [REQUEST])
    yield replace(case, sources=case.sources | {RULE: source(0, 0)})
    case = copied("a rule of the hop and a port mirror, on the hop", both, [REQUEST], by=RULE)
    yield replace(case, sources=case.sources | {MIRROR: source(0, 0)}, **on_hop)
    yield replace(
        dropped(
            "a rule of the hop, from the analyzer", hop, eth() / IP(src="10.3.0.2", dst=SERVER) / tcp(5), "loop_guard", by=RULE
        ),
        **on_hop,
    )
    yield from rules_of_both()


def rules_of_both():
    """One address and port, encrypted and decrypted: a rule for each, to tunnels of their own."""
    t1, t2 = tunnel(), tunnel("erspan", name="tunnel2", number=1, version=2)
    two, other = setup(t1, t2, rule=True, port=False), RULE + 1
    profiles = (ProfileIntent(1, ("tunnel1",)), ProfileIntent(2, ("tunnel2",)))
    rules = (*two.intents.rules, *(replace(r, id=other, profile=2, hop=True) for r in two.intents.rules))
    two = replace(two, intents=replace(two.intents, profiles=profiles, rules=rules))
    length, none = len(behind_tags(REQUEST)), source(0, 0)
    for name, device, number, sent, payload in (
        ("elsewhere", FRONT, 1, outer(t1, behind_tags(REQUEST)), behind_tags(REQUEST)),
        ("on the hop", DEVICE, 2, outer(t2, raw(REQUEST)), raw(REQUEST)),
    ):
        sources = {RULE: none, other: none} | {{1: RULE, 2: other}[number]: source(1, length)}
        empty = {ONE: counted(0), (2, "tunnel2"): counted(0)}
        destinations = empty | {(number, f"tunnel{number}"): counted(1, 1, len(payload))}
        frames, packets = ((raw(REQUEST), True),), (bytes(sent),)
        yield Case(f"rules of both, {name}", two, frames, packets, sources, destinations, (payload,), device=device)


def both_sources():
    config = setup(rule=True)
    case = copied("rule and port mirror, one profile: one copy", config, [REQUEST], by=RULE)
    length = len(behind_tags(REQUEST))
    yield replace(case, sources={RULE: source(1, length), MIRROR: source(1, length, 0)})
    case = copied(
        "one profile, the port mirror's direction is another", setup(rule=True, port_direction="backward"), [REQUEST], by=RULE
    )
    yield replace(case, sources={RULE: source(1, length), MIRROR: source(0, 0, filtered=1)})
    case = copied(
        "one profile that takes it as the port mirror's alone", setup(rule=True, direction="backward"), [REQUEST], False
    )
    yield replace(case, sources={MIRROR: source(1, length), RULE: source(0, 0, filtered=1)})
    case = copied("both by packets that only the port mirror takes", config, [IP_SHAPES["ICMP"]])
    yield replace(case, sources=case.sources | {RULE: source(0, 0)})
    t1, t2 = tunnel(), tunnel("erspan", name="tunnel2", number=1, version=2)
    two = setup(t1, t2, rule=True)
    profiles = (ProfileIntent(1, ("tunnel1",)), ProfileIntent(2, ("tunnel2",), access_list=0))
    mirrors = (PortMirrorIntent(MIRROR, FRONT, 2),)
    two = replace(two, intents=replace(two.intents, profiles=profiles, port_mirrors=mirrors))
    sent = (bytes(outer(t1, behind_tags(REQUEST))), bytes(outer(t2, raw(REQUEST))))
    destinations = {ONE: counted(1, 1, length), (2, "tunnel2"): counted(1, 1, len(REQUEST))}
    sources = {RULE: source(1, length), MIRROR: source(1, length)}
    payloads = (behind_tags(REQUEST), raw(REQUEST))
    yield Case("rule and port mirror, two profiles", two, ((raw(REQUEST), True),), sent, sources, destinations, payloads)
    destinations = {ONE: counted(1, loop_guard=1), (2, "tunnel2"): counted(0)}
    packet = eth() / IP(src="10.3.0.2", dst=SERVER) / tcp(5)
    sources = {RULE: source(1, len(behind_tags(packet))), MIRROR: source(0, 0, loop_guard=1)}
    yield Case("both guards", two, ((raw(packet), True),), (), sources, destinations)


def loops():
    config = setup(tunnel(), tunnel("vxlan", True, "tunnel2", 1, vni=5, port=8472))
    copy = IP(src="10.2.0.2", dst="10.3.0.2") / GRE() / IP(**TO) / tcp(5)
    guarded = {
        "from an analyzer": IP(src="10.3.0.2", dst=CLIENT) / tcp(5),
        "to an analyzer": IP(src=CLIENT, dst="10.3.0.2") / udp(5),
        "to an analyzer of IPv6": IPv6(src=CLIENT6, dst="fd00:3::3") / tcp(5),
        "GRE of others": IP(**TO) / GRE() / IP(**TO) / tcp(5),
        "GRE over IPv6": IPv6(**TO6, nh=47) / GRE() / IP(**TO) / tcp(5),
        "GRE behind a destination header": IPv6(**TO6) / IPv6ExtHdrDestOpt(nh=47) / GRE() / IP(**TO) / tcp(5),
        "VXLAN's own port": IP(**TO) / udp(30, dport=4789),
        "a configured VXLAN port": IPv6(**TO6) / udp(30, dport=8472),
        "an error that quotes GRE": IP(src="10.9.0.1", dst="10.2.0.2") / ICMP(type=3, code=4) / Raw(bytes(copy)[:28]),
        "an error that quotes an analyzer": IP(**TO) / ICMP(type=11) / IPerror(src="10.2.0.2", dst="10.3.0.2") / udp(3),
        "an error that quotes an analyzer's packet": IP(**TO) / ICMP(type=3) / IPerror(src="10.3.0.2", dst=CLIENT) / udp(3),
        "an error that quotes VXLAN": IP(**TO) / ICMP(type=3) / IPerror(**BACK) / udp(3, dport=8472),
        "an ICMPv6 error that quotes a copy": IPv6(**TO6) / ICMPv6DestUnreach() / IPv6(src="fd00:2::2", dst="fd00:3::3") / udp(3),
        "an ICMPv6 error that quotes GRE behind options": IPv6(**TO6)
        / ICMPv6DestUnreach()
        / Raw(bytes(IPv6(**BACK6) / IPv6ExtHdrDestOpt(nh=47) / Raw(data(8)))),
    }
    for name, packet in guarded.items():
        yield passed_over(f"loop guard: {name}", config, eth() / packet, "loop_guard")
        if "analyzer" in name:
            yield passed_over(f"loop guard, tagged: {name}", config, eth() / Dot1Q(vlan=8) / packet, "loop_guard", False)
    free = {
        "VXLAN's port as the source": IP(**TO) / udp(30, sport=4789),
        "TCP to the port of VXLAN": IP(**TO) / tcp(30, dport=4789),
        "an error that quotes another packet": IP(**TO) / ICMP(type=3) / IPerror(**BACK) / udp(3),
        "an echo whose data look like a copy": IP(**TO) / ICMP(type=8) / Raw(bytes(copy)),
        "an ICMPv6 echo whose data look like a copy": IPv6(**TO6)
        / ICMPv6EchoRequest(data=bytes(IPv6(src=CLIENT6, dst="fd00:3::3") / udp(3))),
        "a later fragment of an error": IP(**TO, frag=3, proto=1) / Raw(bytes(ICMP(type=3)) + bytes(copy)[:28]),
        "an error cut off in what it quotes": IP(**TO) / ICMP(type=3) / Raw(bytes(copy)[:19]),
    }
    free["ICMPv6 in IPv4"] = IP(**TO, proto=58) / Raw(b"\x01\0\0\0" + bytes(4) + bytes(copy)[:28])
    free["ICMP in IPv6"] = IPv6(**TO6, nh=1) / Raw(bytes(ICMP(type=3)) + bytes(IPv6(dst="fd00:3::2") / udp(3)))
    for name, packet in free.items():
        yield copied(f"no loop: {name}", setup(), [eth() / packet])


def _all():
    for part in (encapsulations, shapes, oversize, profiles, several, access_lists, rules, loops):
        yield from part()


def _grouped(cases):
    """Cases of one configuration one after the other: it is put into force once."""
    first = {}
    for case in cases:
        first.setdefault(case.setup, len(first))
    return sorted(cases, key=lambda case: first[case.setup])


CASES = _grouped(list(_all()))
