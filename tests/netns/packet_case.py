"""What a line of the packet table is: a configuration, packets that pass a device, and what must come of them.

Outer packets are built with Scapy's layers, and the flow hash is computed here once more: no code of hsadc makes bytes.

    client --- front [ADC] back --- (10.2.0.1, fd00:2::1) --- analyzers 10.3.0.2 ..., fd00:3::2 ...
"""

from dataclasses import dataclass
from ipaddress import ip_address

from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from hsadc.dataplane.mirror_counters import DestinationCounters, SourceCounters
from hsadc.dataplane.portable.core import Intents
from hsadc.intent.mirror import PortMirrorIntent, ProfileIntent, RuleIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation

FRONT, BACK = "front", "back"
CLIENT, SERVER, PORT = "10.1.0.1", "10.1.0.2", 8087
CLIENT6, SERVER6 = "fd00:1::1", "fd00:1::2"
RULE, MIRROR = 7, 65536
"""Ids of the sources."""
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
NEVER = 10**12


def eth(**fields):
    """The Ethernet header of a packet that passes; a multicast address is no other station's."""
    return Ether(**(MACS | fields))


def tunnel(kind="gre", six=False, name="tunnel1", number=0, mtu=1500, oversize="segment", egress=BACK, **fields):
    """A tunnel to the analyzer of that number, over IPv4 or IPv6."""
    source, destination = ("fd00:2::2", f"fd00:3::{2 + number}") if six else ("10.2.0.2", f"10.3.0.{2 + number}")
    fields.setdefault("payload", "ip" if kind == "gre" else "ethernet")
    addresses = () if kind == "none" else (ip_address(source), ip_address(destination))
    return TunnelIntent(name, egress, Encapsulation(kind, *addresses, **fields), mtu, oversize)


@dataclass(frozen=True)
class Setup:
    """A configuration, and how it stands with its tunnels: those that are not named here are up."""

    intents: Intents
    states: tuple = ()


def setup(*tunnels, rule=False, hop=False, port=True, lists=(), states=(), port_list=0, port_direction="bidirection", **profile):
    """A profile 1 that copies to the tunnels, by a port mirror of `front` or a rule for the server's addresses."""
    tunnels = tunnels or (tunnel(),)
    profiles = (ProfileIntent(1, tuple(t.interface for t in tunnels), **profile),)
    addresses = (SERVER, SERVER6) if rule else ()
    protocols = (6, 17)
    rules = tuple(RuleIntent(RULE, ip_address(a), PORT, protocol, 1, hop) for a in addresses for protocol in protocols)
    mirrors = (PortMirrorIntent(MIRROR, FRONT, 1, port_list, port_direction),) if port else ()
    return Setup(Intents(tunnels, tuple(lists), profiles, rules, mirrors), tuple(states))


@dataclass(frozen=True)
class Case:
    """A line of the table.

    Attributes:
        name: of the test.
        setup: the configuration.
        frames: what passes the device, in order, with True for what it receives and False for what it sends.
        sent: outer IP packets, or frames of a tunnel without encapsulation, in order, as they leave by `back`.
        sources: the sources' counters afterwards, by id.
        destinations: the destinations' counters afterwards, by profile and interface.
        payloads: what an analyzer takes out of `sent` when fragments are put together; None where the table does not say.
        within_ns: how much time the packets may take; more of it lets a rate limit pass more.
        device: `front`, or that of the clear hop.
    """

    name: str
    setup: Setup
    frames: tuple
    sent: tuple
    sources: dict
    destinations: dict
    payloads: tuple = ()
    within_ns: int = NEVER
    device: str = FRONT

    def __str__(self):
        return self.name


def mix(x):
    x ^= x >> 16
    x = x * 0x85EBCA6B % 2**32
    x ^= x >> 13
    x = x * 0xC2B2AE35 % 2**32
    return x ^ x >> 16


def flow(source, destination, protocol, source_port=0, destination_port=0):
    """The flow hash, as docs/mirror.md has it."""

    def end(address, port):
        number = int(ip_address(address)) | (0xFFFF << 32 if "." in address else 0)
        words = [number >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0)]
        factors = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)
        return mix((sum(w * f for w, f in zip(words, factors, strict=True)) + port * 0x165667B1) % 2**32)

    return mix((end(source, source_port) + end(destination, destination_port) + protocol) % 2**32)


def outer(t, payload, number=0, inner=0x0800, tag=None, truncated=False, hash_=0):
    """The outer packet that carries a payload, the tunnel's `number`th."""
    e, payload = t.encapsulation, Raw(raw(payload))
    if e.kind == "none":
        return payload
    protocol = 17 if e.kind == "vxlan" else 47
    if e.destination.version == 6:
        ip = IPv6(src=str(e.source), dst=str(e.destination), tc=e.dscp << 2, fl=0, hlim=e.ttl, nh=protocol)
    else:
        flags = "DF" if e.dont_fragment else 0
        ip = IP(src=str(e.source), dst=str(e.destination), tos=e.dscp << 2, ttl=e.ttl, id=number, flags=flags, proto=protocol)
    if e.kind == "vxlan":
        # Scapy sends VXLAN's UDP checksum as it likes: 0 is asked for.
        return ip / UDP(sport=49152 + (hash_ & 0x3FFF), dport=e.port, chksum=0) / VXLAN(flags=8, vni=e.vni) / payload
    if e.kind == "erspan":
        return ip / _erspan(e, number, tag, truncated) / payload
    options = {"chksum_present": int(e.checksum), "key_present": int(e.key is not None), "seqnum_present": int(e.sequence)}
    if e.key is not None:
        options["key"] = e.key
    if e.sequence:
        options["sequence_number"] = number
    return ip / GRE(proto=inner if e.payload == "ip" else 0x6558, **options) / payload


def _erspan(e, number, tag, truncated):
    vlan, cos = ((tag or 0) & 0xFFF, (tag or 0) >> 13)
    if e.version == 1:
        return GRE(proto=0x88BE) / ERSPAN_I()
    gre = GRE(proto=0x88BE if e.version == 2 else 0x22EB, seqnum_present=1, sequence_number=number)
    same = {"vlan": vlan, "cos": cos, "t": int(truncated), "session_id": e.session_id}
    if e.version == 2:
        return gre / ERSPAN_II(en=0 if tag is None else 3, **same)
    return gre / ERSPAN_III(p=1, **same)


def fragments(packet, size, number=0):
    """An outer packet in fragments that carry `size` bytes each, the last one the rest."""
    whole = bytes(packet)
    header = 40 if whole[0] >> 4 == 6 else 20
    parts = [(at, whole[header + at : header + at + size]) for at in range(0, len(whole) - header, size)]
    found = []
    for at, data in parts:
        more = int(at + len(data) < len(whole) - header)
        if header == 40:
            ip = IPv6(whole[:40])
            place = IPv6ExtHdrFragment(nh=ip.nh, offset=at // 8, m=more, id=number)
            ip.nh, ip.plen = 44, None
            found.append(bytes(ip / place / Raw(data)))
        else:
            ip = IP(whole[:20])
            ip.flags, ip.frag, ip.len, ip.chksum = more, at // 8, None, None
            found.append(bytes(ip / Raw(data)))
    return found


_built = {}


def raw(packet):
    """A packet's bytes; Scapy takes a millisecond for them, and most are asked for again."""
    if isinstance(packet, bytes):
        return packet
    if id(packet) not in _built:
        _built[id(packet)] = packet, bytes(packet)
    return _built[id(packet)][1]


def behind_tags(packet):
    """What stands behind the Ethernet header and the VLAN tags."""
    rest, at = packet.payload, 14
    while isinstance(rest, Dot1Q):
        rest, at = rest.payload, at + 4
    return raw(packet)[at:]


def source(packets, matched_bytes, copied=None, **more):
    """The counters of a source of which all packets matched, unless `more` says what became of others."""
    seen = packets + sum(more.get(reason, 0) for reason in ("loop_guard", "filtered", "sampled_out"))
    return SourceCounters(
        seen=seen, matched_packets=packets, matched_bytes=matched_bytes, copied=packets if copied is None else copied, **more
    )


def counted(copies, sent_packets=0, sent_bytes=0, **more):
    """The counters of a destination."""
    return DestinationCounters(copies=copies, sent_packets=sent_packets, sent_bytes=sent_bytes, **more)
