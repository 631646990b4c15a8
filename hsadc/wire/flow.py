"""Flow hash: one number for both directions of a flow, the same in every part of the mirror (docs/mirror.md)."""

from __future__ import annotations

_MASK = 0xFFFFFFFF
ADDRESS_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)
PORT_FACTOR = 0x165667B1
SAMPLE_SEED = 0x73616D70
DESTINATION_FACTOR = 0x9E3779B1


def mix(x: int) -> int:
    """MurmurHash3's finalizer: 32 bits to 32 bits, each bit of the input moving about half of the output's."""
    x ^= x >> 16
    x = x * 0x85EBCA6B & _MASK
    x ^= x >> 13
    x = x * 0xC2B2AE35 & _MASK
    return x ^ x >> 16


def end(address: bytes, port: int) -> int:
    """One end of a flow; `address` has 16 bytes (IPv4 as ::ffff:a.b.c.d)."""
    total = port * PORT_FACTOR
    for i, factor in enumerate(ADDRESS_FACTORS):
        total += int.from_bytes(address[4 * i : 4 * i + 4], "big") * factor
    return mix(total & _MASK)


def flow_hash(source: bytes, source_port: int, destination: bytes, destination_port: int, protocol: int) -> int:
    """The hash of a flow, whichever end is named first."""
    return mix(end(source, source_port) + end(destination, destination_port) + protocol & _MASK)


def sampled(hash_: int, one_in: int) -> bool:
    """Whether `sampling flow N` takes the flow."""
    return mix(hash_ ^ SAMPLE_SEED) % one_in == 0


def rank(hash_: int, place: int) -> int:
    """How much a destination, by its place in the profile from 0, wants the flow: the greatest gets it."""
    return mix(hash_ ^ (DESTINATION_FACTOR * (place + 1) & _MASK))
