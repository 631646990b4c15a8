"""The maps' records: both directions, and their sizes against the compiled object."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.dataplane.bpf import elf, loader, records
from hsadc.dataplane.bpf.records import Rule, RuleCounters, State, Tunnel, TunnelCounters

u32 = st.integers(0, 2**32 - 1)
addresses = st.builds(IPv4Address, u32)
tunnels = st.builds(
    Tunnel,
    source=addresses,
    destination=addresses,
    gre_key=st.none() | u32,
    mtu_bytes=st.integers(576, 65535),
    egress=st.text("abc0-_", max_size=15),
    state=st.sampled_from(State),
    ifindex=st.integers(0, 2**31 - 1),
    next_hop=addresses,
    path_mtu_bytes=st.integers(576, 65535),
)


def test_sizes_are_those_of_the_compiled_object():
    maps = elf.decode(loader.OBJECT.read_bytes()).maps
    assert {name: (shape.key_size, shape.value_size) for name, shape in maps.items()} == records.SIZES


@given(tunnels)
def test_tunnel_comes_back(tunnel):
    assert Tunnel.decode(tunnel.encode()) == tunnel


def test_tunnel_bytes():
    tunnel = Tunnel(
        IPv4Address("10.1.2.3"), IPv4Address("10.4.5.6"), 5, 1500, "back", State.NO_NEIGHBOUR, 3, IPv4Address("10.7.8.9"), 1400
    )
    value = tunnel.encode()
    assert value[:12].hex() == "0a0102030a04050600000005"
    assert int.from_bytes(value[12:16], "little") == 1
    assert value[20:36] == b"back" + bytes(12)
    assert value[44:48].hex() == "0a070809"


def test_path_mtu_is_never_above_the_configured_one():
    tunnel = Tunnel(IPv4Address(1), IPv4Address(2), None, 1500, "")
    assert tunnel.resolved(State.UP, 4, IPv4Address(3), 9000).path_mtu_bytes == 1500
    assert tunnel.resolved(State.UP, 4, IPv4Address(3), 1400).path_mtu_bytes == 1400
    lost = tunnel.resolved(State.NO_ROUTE, 0, None, 0)
    assert lost == replace(tunnel, path_mtu_bytes=1500)


@given(addresses, st.integers(0, 65535), st.integers(0, 255))
def test_rule_key_comes_back(address, port, protocol):
    assert records.decode_rule_key(records.encode_rule_key(address, port, protocol)) == (address, port, protocol)


def test_rule_key_bytes():
    key = records.encode_rule_key(IPv4Address("192.168.131.2"), 8087, 6)
    assert key.hex() == "00000000000000000000ffffc0a883021f970600"


@given(u32, u32)
def test_rule_comes_back(helper, rule_id):
    assert Rule.decode(Rule(helper, rule_id).encode()) == Rule(helper, rule_id)


@pytest.mark.parametrize("kind", [RuleCounters, TunnelCounters])
def test_counters_are_sums_over_cpus(kind):
    count = kind.size() // 8
    first = b"".join(i.to_bytes(8, "little") for i in range(count))
    second = b"".join((1000 * i).to_bytes(8, "little") for i in range(count))
    assert kind.decode(first + second) == kind(*(1001 * i for i in range(count)))
