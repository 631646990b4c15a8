"""The ring that an AF_PACKET socket shares with its reader: how packets stand in its blocks (TPACKET_V3, linux/if_packet.h).

    block: version (32) | offset to private (32) | status (32) | number of packets (32) | offset to the first (32) | ...
    packet: struct tpacket3_hdr (48) | struct sockaddr_ll (20) | ... | struct virtio_net_hdr (10) | frame

All in the machine's byte order. The kernel fills a block and hands it over by its status; the reader gives it back the same way.
The vnet header is in the ring of this version since Linux 4.6.
"""

from __future__ import annotations

import struct
from mmap import mmap
from typing import NamedTuple

from hsadc.dataplane.portable.segment import HEADER_BYTES, NEEDS_CHECKSUM

BLOCK_BYTES = 1 << 17
"""A packet must fit into a block. Those of 64 kB do; larger ones (BIG TCP, which is off unless asked for) are cut off."""
_FRAME_BYTES = 2048  # of no meaning to version 3, but the kernel checks that blocks are multiples of it
_HAND_OVER_MS = 8
"""After that the kernel hands over a block that is not full: a copy's delay at most, and with the number of blocks how long
a reader may be kept from reading while there is little traffic."""

_REQUEST = struct.Struct("=7I")
_BLOCK = struct.Struct("=8x3I")
_PACKET = struct.Struct("=6IH6xIH20xB")
"""tp_next_offset, tp_sec, tp_nsec, tp_snaplen, tp_len, tp_status, tp_mac, tp_vlan_tci, tp_vlan_tpid, sll_pkttype."""
_STATUS = struct.Struct("=I")
_STATUS_AT = 8
_KERNEL, _USER = 0, 1
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6
_OUTGOING = 4
_VLAN_TYPE = 0x8100
_NANOSECONDS = 1_000_000_000


class Captured(NamedTuple):
    """A packet as the kernel handles it.

    Attributes:
        frame: from the destination's MAC address on, without the VLAN tag that the kernel keeps beside it.
        offload: its `struct virtio_net_hdr`; empty when that leaves nothing open.
        tag: that VLAN tag, 4 bytes; empty without one.
        received: False when the device sends it.
        time_ns: when, nanoseconds since 1970.
    """

    frame: bytes
    offload: bytes
    tag: bytes
    received: bool
    time_ns: int


def request(blocks: int) -> bytes:
    """The `struct tpacket_req3` that asks for a ring of so many blocks."""
    frames = BLOCK_BYTES // _FRAME_BYTES * blocks
    return _REQUEST.pack(BLOCK_BYTES, blocks, _FRAME_BYTES, frames, _HAND_OVER_MS, 0, 0)


class Ring:
    """Reads the blocks in order.

    Attributes:
        cut_off: how many packets did not fit into a block, and so could not be read.
    """

    def __init__(self, memory: mmap, block_bytes: int = BLOCK_BYTES) -> None:
        """The memory is the caller's."""
        self.cut_off = 0
        self._memory = memory
        self._block_bytes = block_bytes
        self._next = 0

    def block(self) -> list[Captured] | None:
        """All packets of the next block, which is the kernel's again; None while the kernel fills it."""
        status, number, first = _BLOCK.unpack_from(self._memory, self._next)
        if not status & _USER:
            return None
        # Copied before the block is given back: the kernel goes on filling while the packets are dealt with.
        packets = self._packets(self._next + first, number)
        _STATUS.pack_into(self._memory, self._next + _STATUS_AT, _KERNEL)
        self._next = (self._next + self._block_bytes) % len(self._memory)
        return packets

    def _packets(self, at: int, number: int) -> list[Captured]:
        memory, unpack, packets = self._memory, _PACKET.unpack_from, []
        for _ in range(number):
            following, seconds, nanoseconds, length, original, status, mac, tci, tpid, kind = unpack(memory, at)
            begin = at + mac
            at += following
            if length != original:
                self.cut_off += 1
                continue
            vnet = begin - HEADER_BYTES
            is_open = memory[vnet] & NEEDS_CHECKSUM or memory[vnet + 1]
            packets.append(
                Captured(
                    memory[begin : begin + length],
                    memory[vnet:begin] if is_open else b"",
                    _tag(status, tci, tpid) if status & _VLAN_VALID else b"",
                    kind != _OUTGOING,
                    seconds * _NANOSECONDS + nanoseconds,
                )
            )
        return packets


def _tag(status: int, tci: int, tpid: int) -> bytes:
    """The VLAN tag as it stands in a frame; kernels that do not tell its type have 802.1Q tags only."""
    return (tpid if status & _VLAN_TPID_VALID else _VLAN_TYPE).to_bytes(2, "big") + (tci & 0xFFFF).to_bytes(2, "big")
