"""The flow hash: symmetric, and the numbers that every other part must come to."""

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.wire.flow import flow_hash, mix, rank, sampled

ports, ends = st.integers(0, 65535), st.binary(min_size=16, max_size=16)


def packed(text):
    address = ip_address(text)
    return address.packed if isinstance(address, IPv6Address) else bytes(10) + b"\xff\xff" + address.packed


def test_mix_is_murmurhash3s():
    assert [mix(x) for x in (0, 1, 0xFFFFFFFF)] == [0, 0x514E28B7, 0x81F16F39]


@given(ends, ports, ends, ports, st.integers(0, 255))
def test_both_directions_have_one_hash(source, source_port, destination, destination_port, protocol):
    there = flow_hash(source, source_port, destination, destination_port, protocol)
    assert there == flow_hash(destination, destination_port, source, source_port, protocol)
    assert 0 <= there < 2**32


@pytest.mark.parametrize(
    ("source", "source_port", "destination", "destination_port", "protocol"),
    [("10.0.0.1", 80, "10.0.0.2", 40000, 6), ("2001:db8::1", 443, "2001:db8::2", 5000, 17)],
)
def test_by_the_specification(source, source_port, destination, destination_port, protocol):
    def end(address, port):
        w = [int.from_bytes(packed(address)[i : i + 4]) for i in (0, 4, 8, 12)]
        return mix((w[0] * 0x9E3779B1 + w[1] * 0x85EBCA77 + w[2] * 0xC2B2AE3D + w[3] * 0x27D4EB2F + port * 0x165667B1) % 2**32)

    expected = mix((end(source, source_port) + end(destination, destination_port) + protocol) % 2**32)
    assert flow_hash(packed(source), source_port, packed(destination), destination_port, protocol) == expected


def test_samples_and_ranks_spread():
    hashes = [mix(n) for n in range(20_000)]
    assert 1800 < sum(sampled(h, 10) for h in hashes) < 2200
    first = [max(range(4), key=lambda place: rank(h, place)) for h in hashes]
    assert all(4500 < first.count(place) < 5500 for place in range(4))
