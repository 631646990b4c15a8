"""The Internet checksum against RFC 1071's example and against Scapy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import checksum as scapy_checksum

from hsadc.wire.checksum import internet_checksum


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (bytes.fromhex("0001f203f4f5f6f7"), 0x220D),  # RFC 1071, section 3
        (b"", 0xFFFF),
        (bytes(20), 0xFFFF),
        (b"\xff\xff", 0),
        (b"\xff\xff" * 700, 0),
        (b"\x01", 0xFEFF),  # padded on the right
    ],
)
def test_known(data, checksum):
    assert internet_checksum(data) == checksum


@given(st.binary(max_size=1600))
def test_as_scapy(data):
    assert internet_checksum(data) == scapy_checksum(data)


@given(st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0))
def test_a_right_checksum_verifies(data):
    assert internet_checksum(data + internet_checksum(data).to_bytes(2)) == 0
