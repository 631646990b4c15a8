"""A ring's memory as the kernel would leave it."""

import struct
from mmap import mmap

import pytest

from hsadc.dataplane.portable.ring import BLOCK_BYTES, Captured, Ring, request

BLOCK = 1024
HEADER_BYTES, ADDRESS_BYTES = 48, 20
OFFLOAD = bytes(range(1, 11))


def packet(following, frame, *, status=1, tci=0, tpid=0, kind=0, length=None, seconds=3, nanoseconds=7):
    """struct tpacket3_hdr, struct sockaddr_ll, room, struct virtio_net_hdr, frame."""
    mac = 96
    head = struct.pack("=6I", following, seconds, nanoseconds, len(frame), length or len(frame), status)
    head += struct.pack("=HHIIHH8x", mac, mac + 14, 0xDEADBEEF, tci, tpid, 0)
    assert len(head) == HEADER_BYTES
    address = struct.pack("=HHiHBB8s", 17, 8, 4, 1, kind, 6, bytes(8))
    assert len(address) == ADDRESS_BYTES
    return (head + address).ljust(mac - 10, b"\xee") + OFFLOAD + frame


def block(*packets, status=1):
    """struct tpacket_block_desc and the packets, each at a multiple of 256 bytes."""
    body = b"".join(p.ljust(256, b"\xee") for p in packets)
    return (struct.pack("=IIIII", 1, 48, status, len(packets), 64).ljust(64, b"\xee") + body).ljust(BLOCK, b"\0")


def shared(data):
    memory = mmap(-1, len(data))
    memory[:] = data
    return memory


def seen(**more):
    fields = {"frame": b"frame", "offload": OFFLOAD, "tag": b"", "received": True, "time_ns": 3_000_000_007}
    return Captured(**fields | more)


def test_blocks_are_read_in_order_and_given_back():
    memory = shared(
        block(packet(256, b"one"), packet(0, b"two", kind=4)) + block(packet(0, b"three"), status=0x80000001) + block(status=0)
    )
    ring = Ring(memory, BLOCK)
    assert ring.block() == [seen(frame=b"one"), seen(frame=b"two", received=False)]
    assert struct.unpack_from("=I", memory, 8) == (0,)  # the kernel's
    assert ring.block() == [seen(frame=b"three")]
    assert ring.block() is None
    assert ring.block() is None
    memory[2 * BLOCK :] = block(packet(0, b"four"))
    assert ring.block() == [seen(frame=b"four")]
    memory[:BLOCK] = block(packet(0, b"five"))
    assert ring.block() == [seen(frame=b"five")]


def test_the_tag_beside_a_packet():
    memory = shared(
        block(
            packet(256, b"frame", status=1 | 1 << 4 | 1 << 6, tci=0xA007, tpid=0x88A8),
            packet(256, b"frame", status=1 | 1 << 4, tci=7, tpid=0xEEEE),
            packet(0, b"frame", tci=7, tpid=0x8100),
        )
    )
    assert Ring(memory, BLOCK).block() == [seen(tag=b"\x88\xa8\xa0\x07"), seen(tag=b"\x81\x00\x00\x07"), seen()]


def test_a_packet_that_did_not_fit_is_counted():
    ring = Ring(shared(block(packet(256, b"frame", length=9000), packet(0, b"next"))), BLOCK)
    assert ring.block() == [seen(frame=b"next")]
    assert ring.cut_off == 1


@pytest.mark.parametrize("offload", [bytes(10), bytes([2]) + bytes(9)])
def test_a_packet_that_leaves_nothing_open(offload):
    whole = packet(0, b"frame").replace(OFFLOAD, offload)
    assert Ring(shared(block(whole)), BLOCK).block() == [seen(offload=b"")]


def test_the_ring_that_is_asked_for():
    size, number, frame_size, frames, timeout_ms, private, features = struct.unpack("=7I", request(3))
    assert (size, number, private, features) == (BLOCK_BYTES, 3, 0, 0)
    assert frames == size // frame_size * number
    assert size % frame_size == 0
    assert 0 < timeout_ms < 100
