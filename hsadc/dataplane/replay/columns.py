"""Headers of many plain packets as columns: one array for each field.

Plain is a TCP or UDP packet over IPv4 without VLAN tag, options and fragments, whole in its frame. All others are for MirrorCore.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsadc.dataplane.replay.batch import Batch, Flags, Integers, windows
from hsadc.wire import flow

Words = NDArray[np.uint32]

_HEADERS_BYTES = 38  # Ethernet, IPv4, ports
_ETHERNET, _IPV4_AT = 14, 14
_TCP, _UDP = 6, 17
_MAPPED = 0xFFFF * flow.ADDRESS_FACTORS[2] & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Columns:
    """Fields of the packets of a batch; meaningless where a packet is not plain.

    Attributes:
        plain: which packets are.
        length: bytes of the IP packet.
        protocol: 6 or 17.
        source: IPv4 address.
        destination: IPv4 address.
        source_port: TCP or UDP port.
        destination_port: TCP or UDP port.
    """

    plain: Flags
    length: Integers
    protocol: Words
    source: Words
    destination: Words
    source_port: Words
    destination_port: Words

    def flow_hash(self, some: Integers) -> Words:
        """The flow hash of some packets."""
        ends = _end(self.source[some], self.source_port[some]) + _end(self.destination[some], self.destination_port[some])
        return mix(ends + self.protocol[some])


def read_columns(batch: Batch) -> Columns:
    """The columns of a batch."""
    words = np.ascontiguousarray(windows(batch.data, batch.offsets, _HEADERS_BYTES).view(">u2")[:, 6:].T).astype(np.uint32)
    ethertype, version, total, _, fragment, ttl_protocol, _, s1, s0, d1, d0, source_port, destination_port = words
    protocol = ttl_protocol & 0xFF
    length = total.astype(np.int64)
    plain = (ethertype == 0x0800) & (version >> 8 == 0x45) & (fragment & 0x3FFF == 0)
    plain &= (protocol == _TCP) | (protocol == _UDP)
    plain &= (length >= 20) & (length + _ETHERNET <= batch.lengths) & (batch.lengths >= _HEADERS_BYTES)
    return Columns(plain, length, protocol, s1 << 16 | s0, d1 << 16 | d0, source_port, destination_port)


def mix(x: Words) -> Words:
    """`flow.mix` of each; `x` is used up."""
    x ^= x >> 16
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> 13
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> 16
    return x


def _end(address: Words, port: Words) -> Words:
    return mix(address * np.uint32(flow.ADDRESS_FACTORS[3]) + port * np.uint32(flow.PORT_FACTOR) + np.uint32(_MAPPED))


def sampled(hashes: Words, one_in: int) -> Flags:
    """`flow.sampled` of each."""
    taken: Flags = mix(hashes ^ np.uint32(flow.SAMPLE_SEED)) % np.uint32(one_in) == 0
    return taken


def rank(hashes: Words, place: int) -> Words:
    """`flow.rank` of each."""
    return mix(hashes ^ np.uint32(flow.DESTINATION_FACTOR * (place + 1) & 0xFFFFFFFF))
