"""Every encapsulation: its bytes against Scapy, its template, and that the receiver reads what was written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from hsadc.wire.encapsulation import Encapsulation, Fields, encoder, template
from hsadc.wire.receive import decapsulate

u32 = st.integers(0, 2**32 - 1)
ADDRESSES = (IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")), (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"))


@st.composite
def encapsulations(draw):
    kind = draw(st.sampled_from(["gre", "erspan", "vxlan"]))
    source, destination = draw(st.sampled_from(ADDRESSES))
    return Encapsulation(
        kind,
        source,
        destination,
        payload=draw(st.sampled_from(["ip", "ethernet"])) if kind == "gre" else "ethernet",
        ttl=draw(st.integers(1, 255)),
        dscp=draw(st.integers(0, 63)),
        dont_fragment=draw(st.booleans()),
        key=draw(st.none() | u32),
        sequence=draw(st.booleans()),
        checksum=draw(st.booleans()),
        version=draw(st.integers(1, 3)),
        session_id=draw(st.integers(0, 1023)),
        vni=draw(st.integers(0, 2**24 - 1)),
        port=draw(st.sampled_from([4789, 8472])),
    )


variables = st.builds(
    Fields,
    st.sampled_from([0x0800, 0x86DD]),
    u32,
    u32,
    st.none() | st.integers(1, 65535).map(lambda tag: tag & 0xEFFF),
    st.booleans(),
    st.integers(0, 2**63),
    u32,
)


def by_scapy(e, payload, fields):
    """The packet as Scapy makes it."""
    if e.destination.version == 4:
        flags = "DF" if e.dont_fragment else 0
        outer = IP(
            src=str(e.source), dst=str(e.destination), ttl=e.ttl, tos=e.dscp << 2, id=fields.identification & 0xFFFF, flags=flags
        )
    else:
        outer = IPv6(src=str(e.source), dst=str(e.destination), hlim=e.ttl, tc=e.dscp << 2)
    if e.kind == "vxlan":
        udp = UDP(sport=49152 + (fields.flow_hash & 0x3FFF), dport=e.port, len=16 + len(payload), chksum=0)
        return bytes(outer / udp / VXLAN(flags=8, vni=e.vni) / Raw(payload))
    if e.kind == "gre":
        proto = fields.ethertype if e.payload == "ip" else 0x6558
        gre = GRE(proto=proto, chksum_present=e.checksum)
        if e.key is not None:
            gre.key_present, gre.key = 1, e.key
        if e.sequence:
            gre.seqnum_present, gre.sequence_number = 1, fields.sequence
        return bytes(outer / gre / Raw(payload))
    if e.version == 1:
        return bytes(outer / GRE(proto=0x88BE) / Raw(payload))
    tag = fields.tag or 0
    common = {"vlan": tag & 0xFFF, "cos": tag >> 13, "t": int(fields.truncated), "session_id": e.session_id}
    numbered = GRE(proto=0x88BE if e.version == 2 else 0x22EB, seqnum_present=1, sequence_number=fields.sequence)
    if e.version == 2:
        return bytes(
            outer / numbered / ERSPAN_II(ver=1, en=0 if fields.tag is None else 3, reserved=0, index=0, **common) / Raw(payload)
        )
    stamp = fields.now_ns // 100_000 % 2**32
    header = ERSPAN_III(ver=2, bso=0, timestamp=stamp, sgt_other=0, p=1, ft=0, hw=0, d=0, gra=0, o=0, **common)
    return bytes(outer / numbered / header / Raw(payload))


@given(encapsulations(), st.binary(min_size=1, max_size=100), variables)
def test_bytes_are_scapys(e, payload, fields):
    assert encoder(e)(payload, fields) == by_scapy(e, payload, fields)


def patched(e):
    """Offsets of the bytes that change from packet to packet."""
    shim = 20 if e.destination.version == 4 else 40
    outer = {2, 3, 4, 5, 10, 11} if shim == 20 else {4, 5}
    if e.kind == "vxlan":
        return outer | {shim, shim + 1, shim + 4, shim + 5}
    end = shim + e.shim_bytes
    if e.kind == "erspan":
        return outer | set(range(shim + 4, shim + 12) if e.version == 2 else range(shim + 4, shim + 16) if e.version == 3 else ())
    protocol = {shim + 2, shim + 3} if e.payload == "ip" else set()
    return (
        outer | protocol | ({shim + 4, shim + 5} if e.checksum else set()) | (set(range(end - 4, end)) if e.sequence else set())
    )


@given(encapsulations(), variables)
def test_the_template_is_what_stays(e, fields):
    start, sent = template(e), encoder(e)(b"", fields)
    assert len(start) == e.overhead_bytes - (14 if e.payload == "ethernet" else 0)
    assert {i for i in range(len(start)) if start[i] != sent[i]} <= patched(e)
    zero = encoder(e)(b"", Fields())
    assert not any(start[i] for i in patched(e) if start[i] != zero[i])


@given(encapsulations(), st.binary(min_size=1, max_size=100), variables)
def test_the_receiver_reads_it(e, payload, fields):
    if e.payload == "ip":
        payload = (b"\x45" if fields.ethertype == 0x0800 else b"\x60") + payload
    found = decapsulate(encoder(e)(payload, fields) + b"padding", (4789, 8472))
    assert (found.kind, found.payload, found.is_ethernet) == (e.kind, payload, e.payload == "ethernet")
    assert (found.source, found.destination, found.ttl, found.dscp) == (e.source, e.destination, e.ttl, e.dscp)
    assert found.sequence == (fields.sequence if e.numbered else None)
    assert found.key == (e.key if e.kind == "gre" else None)
    if e.kind == "vxlan":
        assert (found.vxlan.vni, found.vxlan.port, found.vxlan.source_port) == (e.vni, e.port, 49152 + fields.flow_hash % 2**14)
    if e.kind == "erspan" and e.version > 1:
        header = found.erspan
        assert (header.session_id, header.tag, header.truncated) == (e.session_id, fields.tag, fields.truncated)
        assert header.timestamp == (fields.now_ns // 100_000 % 2**32 if e.version == 3 else 0)


def test_nothing_is_put_in_front_of_a_frame():
    e = Encapsulation("none", payload="ethernet")
    assert (template(e), e.overhead_bytes, e.shim_bytes, e.numbered) == (b"", 0, 0, False)
    assert encoder(e)(b"frame", Fields()) == b"frame"


@pytest.mark.parametrize(
    ("e", "bytes_"),
    [
        (Encapsulation("gre", *ADDRESSES[0]), 24),
        (Encapsulation("gre", *ADDRESSES[0], key=1, sequence=True, checksum=True), 36),
        (Encapsulation("gre", *ADDRESSES[0], payload="ethernet"), 38),
        (Encapsulation("erspan", *ADDRESSES[0], payload="ethernet", version=1), 38),
        (Encapsulation("erspan", *ADDRESSES[0], payload="ethernet", version=2), 50),
        (Encapsulation("erspan", *ADDRESSES[0], payload="ethernet", version=3), 54),
        (Encapsulation("vxlan", *ADDRESSES[0], payload="ethernet"), 50),
        (Encapsulation("vxlan", *ADDRESSES[1], payload="ethernet"), 70),
    ],
)
def test_overhead(e, bytes_):
    assert e.overhead_bytes == bytes_
