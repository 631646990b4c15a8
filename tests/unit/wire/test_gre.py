"""GRE headers: every combination of fields against Scapy, and every way to be wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import GRE
from scapy.packet import Raw

from hsadc.errors import WireError
from hsadc.wire.gre import GreHeader, decode, encode

words = st.none() | st.integers(0, 2**32 - 1)
headers = st.builds(GreHeader, protocol=st.integers(0, 0xFFFF), key=words, sequence=words, checksum=st.booleans())


def scapy_gre(header, payload):
    fields = {"proto": header.protocol, "chksum_present": int(header.checksum)}
    if header.key is not None:
        fields |= {"key_present": 1, "key": header.key}
    if header.sequence is not None:
        fields |= {"seqnum_present": 1, "sequence_number": header.sequence}
    return bytes(GRE(**fields) / Raw(payload))


@given(headers, st.binary(max_size=80))
def test_encodes_as_scapy_and_decodes_back(header, payload):
    packet = encode(header, payload) + payload
    assert packet == scapy_gre(header, payload)
    assert decode(packet) == (header, len(packet) - len(payload))


def test_plain_header():
    assert encode(GreHeader()) == bytes.fromhex("00000800")


@given(headers.filter(lambda header: header.checksum), st.binary(min_size=1, max_size=80), st.data())
def test_a_flipped_bit_breaks_the_checksum(header, payload, data):
    packet = bytearray(encode(header, payload) + payload)
    position = data.draw(st.integers(4, len(packet) - 1))
    packet[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(WireError, match="checksum is wrong"):
        decode(bytes(packet))


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        ("", "cut off after 0"),
        ("000008", "cut off after 3"),
        ("20000800000000", "header of 8 bytes cut off after 7"),
        ("00010800", "version 1"),
        ("40000800", "reserved"),
        ("08000800", "reserved"),
        ("04000800", "reserved"),
    ],
)
def test_refuses(packet, why):
    with pytest.raises(WireError, match=why):
        decode(bytes.fromhex(packet))


@pytest.mark.parametrize("flags", ["0200", "0008", "03f8"])
def test_ignores_bits_that_a_receiver_must_ignore(flags):
    assert decode(bytes.fromhex(flags + "0800")) == (GreHeader(), 4)
