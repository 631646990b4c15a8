"""Outer headers of many copies at once: rows of a tunnel's template, patched as `wire.encapsulation` patches one."""

from __future__ import annotations

import numpy as np

from hsadc.dataplane.replay.batch import Bytes, Flags, Integers, Times
from hsadc.dataplane.replay.columns import Words
from hsadc.intent.mirror import TunnelIntent
from hsadc.wire import erspan, ip
from hsadc.wire.encapsulation import template
from hsadc.wire.vxlan import LENGTH as VXLAN_BYTES
from hsadc.wire.vxlan import source_port

SOURCE_MAC, DESTINATION_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
"""The Ethernet header of outer packets in the output: whoever sends them live takes those of device and next hop."""
ETHERNET_BYTES = 14
_TIMESTAMP_NS = np.uint64(100_000)


def ethernet(outer: bytes) -> bytes:
    """The Ethernet header that stands before an outer packet in the output."""
    return DESTINATION_MAC + SOURCE_MAC + (b"\x86\xdd" if outer[0] >> 4 == 6 else b"\x08\x00")


class HeaderRows:
    """Makes the rows for one tunnel.

    Attributes:
        supported: False when the headers depend on the payload, as GRE's checksum does.
    """

    def __init__(self, tunnel: TunnelIntent) -> None:
        self._e = e = tunnel.encapsulation
        start = template(e)
        self.supported = e.kind != "gre" or not e.checksum
        self._outer_bytes = ip.IPV6_BYTES if start and start[0] >> 4 == 6 else ip.IPV4_BYTES
        self._template = np.frombuffer(ethernet(start) + start if start else b"", np.uint8)
        self._sum = ip.word_sum(start[: ip.IPV4_BYTES]) if self._outer_bytes == ip.IPV4_BYTES else 0

    @property
    def is_frame(self) -> bool:
        """Whether nothing is put in front."""
        return not len(self._template)

    @property
    def carries_ip(self) -> bool:
        """Whether the payload is the IP packet."""
        return self._e.kind == "gre" and self._e.payload == "ip"

    @property
    def needs_hash(self) -> bool:
        """Whether the flow hash is part of the header."""
        return self._e.kind == "vxlan"

    def rows(
        self,
        payload: Integers,
        identification: Words,
        sequence: Words,
        truncated: Flags | None,
        times: Times,
        hashes: Words | None,
    ) -> Bytes:
        """A row for each payload of so many bytes, from the Ethernet header on; the copied packets are IPv4 without a tag."""
        rows: Bytes = np.empty((len(payload), len(self._template)), np.uint8)
        rows[:] = self._template
        if self.is_frame:
            return rows
        words = rows.view(">u2")
        outer, shim = ETHERNET_BYTES // 2, (ETHERNET_BYTES + self._outer_bytes) // 2
        total = (payload + (len(self._template) - ETHERNET_BYTES)).astype(np.uint32)
        if self._outer_bytes == ip.IPV6_BYTES:
            words[:, outer + 2] = total - ip.IPV6_BYTES
        else:
            low = identification & np.uint32(0xFFFF)
            words[:, outer + 1], words[:, outer + 2] = total, low
            words[:, outer + 5] = _checksum(total + low + np.uint32(self._sum))
        if self._e.kind == "vxlan" and hashes is not None:
            words[:, shim] = hashes & np.uint32(source_port(0xFFFFFFFF) - source_port(0)) | np.uint32(source_port(0))
            words[:, shim + 2] = payload + VXLAN_BYTES
        elif self._e.kind == "erspan" and self._e.version > 1:
            _put_long(words, shim + 2, sequence)
            if truncated is not None:
                words[:, shim + 5] |= truncated.astype(np.uint16) * np.uint16(erspan.tag_bits(2, None, True))
            if self._e.version == 3:
                _put_long(words, shim + 6, (times // _TIMESTAMP_NS).astype(np.uint32))
        elif self._e.numbered:
            _put_long(words, words.shape[1] - 2, sequence)
        return rows


def _put_long(words: np.typing.NDArray[np.uint16], column: int, values: Words) -> None:
    words[:, column], words[:, column + 1] = values >> np.uint32(16), values & np.uint32(0xFFFF)


def _checksum(total: Words) -> Words:
    """`wire.ip.checksum` of each."""
    total = (total & np.uint32(0xFFFF)) + (total >> np.uint32(16))
    return ~(total + (total >> np.uint32(16))) & np.uint32(0xFFFF)
