"""ICMP echo, against Scapy."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP
from scapy.packet import Raw

from hsadc.errors import WireError
from hsadc.wire.echo import decode_reply, encode_request


def test_a_request_is_what_scapy_makes() -> None:
    assert encode_request(4, 0x1234, 7, b"where are you") == bytes(ICMP(type=8, id=0x1234, seq=7) / Raw(b"where are you"))


def test_of_ipv6_the_kernel_fills_the_checksum_in() -> None:
    assert encode_request(6, 0x1234, 7, b"x") == bytes([128, 0, 0, 0, 0x12, 0x34, 0, 7]) + b"x"


@pytest.mark.parametrize(("version", "kind"), [(4, 0), (6, 129)])
def test_a_reply(version: int, kind: int) -> None:
    assert decode_reply(version, bytes([kind, 0, 9, 9, 0x12, 0x34, 0, 7]) + b"here") == (0x1234, 7, b"here")


@pytest.mark.parametrize(
    "message",
    [b"", bytes(7), bytes([8, 0, 0, 0, 0, 1, 0, 1]), bytes([0, 1, 0, 0, 0, 1, 0, 1]), bytes([129, 0, 0, 0, 0, 1, 0, 1])],
)
def test_what_is_no_reply(message: bytes) -> None:
    with pytest.raises(WireError, match="no ICMP echo reply"):
        decode_reply(4, message)
