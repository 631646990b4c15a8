"""A route's message, written by pyroute2, says the same to us."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from hsadc.dataplane.route_message import RouteMessage, decode_route

addresses = st.integers(1, (1 << 32) - 1).map(IPv4Address)
numbers = st.integers(1, (1 << 31) - 1)


@st.composite
def routes(draw):
    destination = IPv4Network((draw(addresses), draw(st.integers(0, 32))), strict=False)
    octets = st.integers(0, 255)
    return RouteMessage(
        draw(st.sampled_from([254, 1000])),
        draw(octets),
        draw(octets),
        draw(octets),
        destination,
        draw(st.just(0) | numbers),
        draw(st.none() | addresses),
        draw(st.none() | numbers),
        False,
    )


@given(routes(), st.booleans())
def test_what_pyroute2_writes(route, with_via):
    message = rtmsg()
    message["header"].update(type=24, flags=0, sequence_number=1, pid=0)
    message.update(family=2, dst_len=route.destination.prefixlen, tos=route.tos, proto=route.protocol, type=route.kind)
    message["table"] = min(route.table, 252)
    given = {"RTA_TABLE": route.table, "RTA_PRIORITY": route.metric or None, "RTA_OIF": route.index}
    given["RTA_DST"] = str(route.destination.network_address) if route.destination.prefixlen else None
    given["RTA_GATEWAY"] = None if route.gateway is None else str(route.gateway)
    given["RTA_VIA"] = {"family": 10, "addr": "fe80::1"} if with_via else None
    message["attrs"] = [(name, value) for name, value in given.items() if value is not None]
    message.encode()
    decoded = decode_route(bytes(message.data))
    assert decoded == RouteMessage(*(getattr(route, f) for f in RouteMessage.__slots__[:-1]), with_via)


def test_a_message_that_breaks_off_is_read_as_far_as_it_goes():
    assert decode_route(bytes(28) + b"\0\0\1\0" * 3).destination == IPv4Network("0.0.0.0/0")
