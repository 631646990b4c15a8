"""A flow as the kernel describes it."""

import struct
from ipaddress import ip_address

import pytest

from hsadc.dataplane.conntrack import Flow, decode


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def tuple_(kind, source, port, destination, destination_port):
    first = 1 if ":" not in source else 3
    addresses = attribute(first, ip_address(source).packed) + attribute(first + 1, ip_address(destination).packed)
    ports = attribute(1, b"\x11") + attribute(2, port.to_bytes(2)) + attribute(3, destination_port.to_bytes(2))
    return attribute(kind | 0x8000, attribute(0x8001, addresses) + attribute(0x8002, ports))


def counters(kind, packets, size):
    return attribute(kind | 0x8000, attribute(1, packets.to_bytes(8)) + attribute(2, size.to_bytes(8)))


@pytest.mark.parametrize(
    ("client", "listener", "target"), [("10.1.0.1", "10.1.0.2", "10.2.0.11"), ("fd01::1", "fd01::2", "fd02::11")]
)
@pytest.mark.parametrize("counted", [True, False])
def test_a_flow(client, listener, target, counted):
    original = tuple_(1, client, 40000, listener, 53)
    message = b"\x02\0\0\0" + original + tuple_(2, target, 5353, "10.2.0.2" if "." in client else "fd02::2", 40000)
    message += attribute(3, bytes(4)) + attribute(7, (28).to_bytes(4)) + attribute(12, b"iden")
    message += counters(9, 3, 99) + counters(10, 2, 1 << 40) if counted else b""
    flow = decode(message)
    assert flow == Flow(
        ip_address(client),
        40000,
        ip_address(listener),
        53,
        ip_address(target),
        5353,
        28,
        *((3, 99, 2, 1 << 40) if counted else (None,) * 4),
    )
    assert flow.key == original
