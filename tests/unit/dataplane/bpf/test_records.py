"""The maps' records: both directions, and their sizes against the compiled object."""

import struct
from dataclasses import fields, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.dataplane.bpf import elf, loader, records
from hsadc.dataplane.bpf.records import Profile, Source, State, Tunnel
from hsadc.dataplane.mirror_counters import DestinationCounters, SourceCounters
from hsadc.dataplane.next_hop import NextHop
from hsadc.intent.mirror import ProfileIntent, TunnelIntent
from hsadc.wire.checksum import internet_checksum
from hsadc.wire.encapsulation import Encapsulation, template

u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
directions = st.sampled_from(["forward", "backward", "bidirection"])
MAPPED = IPv6Network("::ffff:0:0/96")
GRE = Encapsulation("gre", IPv4Address("10.1.2.3"), IPv4Address("10.4.5.6"), key=5, dscp=46)
SIX = replace(GRE, source=IPv6Address("2001:db8::1"), destination=IPv6Address("2001:db8::2"))


def hosts(version):
    """Addresses of hosts; one of IPv6 that stands for an IPv4 address is on no wire."""
    if version == 4:
        return st.builds(IPv4Address, st.integers(1, 2**32 - 1))
    return st.builds(IPv6Address, st.integers(1, 2**128 - 1)).filter(lambda a: a not in MAPPED)


@st.composite
def encapsulations(draw):
    outer = {"ttl": draw(st.integers(1, 255)), "dscp": draw(st.integers(0, 63)), "dont_fragment": draw(st.booleans())}
    kind = draw(st.sampled_from(["none", "gre", "erspan", "vxlan"]))
    if kind == "none":
        return Encapsulation("none", payload="ethernet")
    ends = hosts(draw(st.sampled_from([4, 6])))
    made = Encapsulation(kind, draw(ends), draw(ends), "ethernet", **outer)
    if kind == "erspan":
        return replace(made, version=draw(st.integers(1, 3)), session_id=draw(st.integers(0, 1023)))
    if kind == "vxlan":
        return replace(made, vni=draw(st.integers(0, 2**24 - 1)), port=draw(u16))
    options = {"key": draw(st.none() | u32), "sequence": draw(st.booleans()), "checksum": draw(st.booleans())}
    return replace(made, payload=draw(st.sampled_from(["ip", "ethernet"])), **options)


tunnels = st.builds(
    Tunnel,
    encapsulation=encapsulations(),
    mtu_bytes=st.integers(576, 65535),
    oversize=st.sampled_from(["segment", "fragment", "truncate", "drop"]),
    egress=st.text("abc0-_", max_size=15),
    state=st.sampled_from(State),
    ifindex=st.integers(0, 2**31 - 1),
    next_hop=st.none() | hosts(4) | hosts(6),
    path_mtu_bytes=st.integers(1, 65535),
    macs=st.none() | st.tuples(*[st.binary(min_size=6, max_size=6)] * 2).filter(lambda pair: any(b"".join(pair))),
    fresh_ns=st.integers(0, 2**64 - 1),
)


@st.composite
def profiles(draw):
    intent = ProfileIntent(
        draw(u32),
        (),
        draw(directions),
        draw(st.sampled_from(["replicate", "flow-hash", "failover"])),
        *(draw(st.integers(1, 10**6)) for _ in range(2)),
        *(draw(st.none() | st.integers(1, 10**7)) for _ in range(3)),
        draw(u32),
    )
    count = draw(st.integers(0, records.DESTINATIONS_MAX))
    indices = st.tuples(*[st.integers(1, 2**31 - 1)] * count)
    return Profile(intent, draw(indices), draw(indices), draw(st.tuples(*[st.booleans()] * count)), draw(st.booleans()))


def test_sizes_are_those_of_the_compiled_object():
    maps = elf.decode(loader.OBJECT.read_bytes()).maps
    assert {name: (shape.key_size, shape.value_size) for name, shape in maps.items()} == records.SIZES


@given(tunnels)
def test_tunnel_comes_back(tunnel):
    assert Tunnel.decode(tunnel.encode(7)) == tunnel


@given(tunnels)
def test_what_was_wanted_of_a_tunnel_comes_back(tunnel):
    intent = TunnelIntent("tunnel7", tunnel.egress or None, tunnel.encapsulation, tunnel.mtu_bytes, tunnel.oversize)
    assert Tunnel.of(intent).intent("tunnel7") == tunnel.intent("tunnel7") == intent


@given(st.lists(tunnels, min_size=2, max_size=2, unique=True))
def test_two_tunnels_have_two_records(pair):
    assert pair[0].encode(7) != pair[1].encode(7)


def test_tunnel_bytes():
    hop = IPv4Address("10.7.8.9")
    tunnel = Tunnel(GRE, 1500, "truncate", "back", State.NO_NEIGHBOUR, 3, hop, 1400, (b"to hop", b"of own"), 10**12)
    key, value = tunnel.encode(7)[:4], tunnel.encode(7)[4:]
    assert key == struct.pack("=I", 7)
    assert value[:32].hex() == "00000000000000000000ffff0a01020300000000000000000000ffff0a040506"
    assert list(value[32:36]) == [1, 2, 64, 46]  # GRE, version (of ERSPAN), ttl, dscp
    assert struct.unpack_from("=HHIII", value, 36) == (1, 4789, 5, 2, 1500)  # has a key; port; key; truncate; MTU
    assert value[52:68] == b"back" + bytes(12)
    assert struct.unpack_from("=IIII", value, 168) == (State.NO_NEIGHBOUR, 3, 1400, 2)
    assert value[184:] == hop.packed + bytes(16) + struct.pack("=Q", 10**12)
    six = replace(tunnel, next_hop=IPv6Address("fe80::1")).encode(7)[4:]
    assert struct.unpack_from("=I", six, 180) == (10,)
    assert six[184:200] == IPv6Address("fe80::1").packed


@pytest.mark.parametrize(
    ("encapsulation", "ip_size"), [(GRE, 20), (SIX, 40), (Encapsulation("none", payload="ethernet"), 0)], ids=["4", "6", "none"]
)
def test_the_template_of_the_outer_packet(encapsulation, ip_size):
    """Two bytes for alignment, an Ethernet header, then the template at an offset that is a multiple of four."""
    value = Tunnel(encapsulation, 1500, "drop", "", macs=(b"to hop", b"of own")).encode(7)[4:]
    outer, ethertype = template(encapsulation), b"\x86\xdd" if ip_size == 40 else b"\x08\x00"
    assert value[68:156] == (bytes(2) + b"to hopof own" + ethertype + outer).ljust(88, b"\0")
    assert struct.unpack_from("=II", value, 156) == (len(outer), ip_size)


@given(encapsulations().filter(lambda e: isinstance(e.destination, IPv4Address)), u16, u16)
def test_the_headers_sum_makes_a_right_checksum(encapsulation, total, identification):
    """As encap.h does it: length and identification are added, the sum is folded and its complement stored."""
    (word_sum,) = struct.unpack_from("=I", Tunnel(encapsulation, 1500, "drop", "").encode(7), 168)
    header = bytearray(template(encapsulation)[:20])
    struct.pack_into("!HH", header, 2, total, identification)
    word_sum += sum(struct.unpack_from("=HH", header, 2))
    while word_sum >> 16:
        word_sum = (word_sum & 0xFFFF) + (word_sum >> 16)
    struct.pack_into("=H", header, 10, ~word_sum & 0xFFFF)
    assert internet_checksum(header) == 0


def test_path_mtu_is_never_above_the_configured_one():
    tunnel = Tunnel(GRE, 1500, "segment", "")
    hop = NextHop(State.UP, "", 4, "back", IPv4Address(3), mtu_bytes=9000)
    assert tunnel.resolved(hop, None, 7) == replace(
        tunnel, state=State.UP, ifindex=4, next_hop=IPv4Address(3), path_mtu_bytes=1500, fresh_ns=0
    )
    assert tunnel.resolved(replace(hop, mtu_bytes=1400), None, 7).path_mtu_bytes == 1400
    assert tunnel.resolved(NextHop(State.NO_ROUTE), None, 7) == replace(tunnel, path_mtu_bytes=1500)


def test_hardware_addresses_are_right_for_some_time_only():
    hop, macs = NextHop(State.UP, "", 4, "back", IPv4Address(3), mtu_bytes=1500), (b"to hop", b"of own")
    tunnel = Tunnel(GRE, 1500, "segment", "").resolved(hop, macs, 7)
    assert (tunnel.macs, tunnel.fresh_ns) == (macs, 7)
    assert (tunnel.resolved(hop, None, 9).macs, tunnel.resolved(hop, None, 9).fresh_ns) == (None, 0)


@given(profiles())
def test_profile_comes_back(profile):
    assert Profile.decode(profile.intent.number, profile.encode()) == profile


def test_profile_bytes():
    intent = ProfileIntent(9, (), "forward", "failover", 2, 3, 128, 1000, None, 77)
    value = Profile(intent, (10, 11, 12), (10, 20, 12), (True, False, True), True).encode()
    settings, helpers, devices = (9, 1, 2, 2, 3, 77, 128, 1000, 0, 1, 1, 3, 0b101), (10, 11, 12), (10, 20, 12)
    assert struct.unpack("=29I", value) == (*settings, *devices, *[0] * 5, *helpers, *[0] * 5)


@given(profiles())
def test_what_is_asked_of_single_copies_is_told_in_one_word(profile):
    p = profile.intent
    asked = p.sample_packets > 1 or p.truncate_bytes or p.rate_pps or p.rate_mbps
    assert struct.unpack_from("=I", profile.encode(), 40) == (bool(asked),)


@given(st.builds(Source, u32, u32, u32, directions))
def test_source_comes_back(source):
    assert Source.decode(source.encode()) == source


def test_source_bytes():
    assert struct.unpack("=IIII", Source(7, 1, 5, "backward").encode()) == (7, 1, 5, 2)
    assert struct.unpack("=IIII", Source(7, 1).encode()) == (7, 1, 0, 3)


@given(hosts(4) | hosts(6), u16, st.integers(0, 255), st.booleans())
def test_rule_key_comes_back(address, port, protocol, hop):
    key = address, port, protocol, hop
    assert records.decode_rule_key(records.encode_rule_key(*key)) == key


def test_rule_key_bytes():
    key = records.encode_rule_key(IPv4Address("192.168.131.2"), 8087, 6)
    assert key.hex() == "00000000000000000000ffffc0a883021f970600"
    key = records.encode_rule_key(IPv6Address("2001:db8::1"), 80, 17)
    assert key.hex() == "20010db80000000000000000000000010050" + "1100"
    key = records.encode_rule_key(IPv4Address("192.168.131.2"), 443, 6, True)
    assert key.hex() == "00000000000000000000ffffc0a8830201bb0601"


@given(u32, u32)
def test_keys_come_back(first, second):
    assert records.decode_index(records.encode_index(first)) == first
    assert records.decode_pair(records.encode_pair(first, second)) == (first, second)


@given(st.none() | hosts(4) | hosts(6))
def test_an_address_or_none_comes_back(address):
    assert records.decode_address(records.encode_address(address)) == address


def test_a_vxlan_port_is_in_network_order():
    assert records.encode_vxlan_port(4789).hex() == "12b50000"


@pytest.mark.parametrize(
    ("kind", "decode"),
    [
        (SourceCounters, records.decode_source_counters),
        (DestinationCounters, records.decode_destination_counters),
    ],
)
def test_counters_are_sums_over_cpus_of_which_one_may_give_back_what_another_counted(kind, decode):
    count = len(fields(kind))
    first, second, third = (struct.pack(f"={count}q", *(f * i for i in range(count))) for f in (1, 1000, -1))
    assert decode(first + second) == kind(*(1001 * i for i in range(count)))
    assert decode(first + second + third) == kind(*(1000 * i for i in range(count)))
