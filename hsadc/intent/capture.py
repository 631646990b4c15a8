"""Which packets on the wire are the copies of a tunnel: as a libpcap filter (pcap-filter(7)).

Several tunnels may lead to one analyzer; the fields that tell them apart are compared, too. They stand in the first fragment of
a packet alone, so that later fragments between the tunnel's addresses are taken for its own.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

from hsadc.wire.encapsulation import Encapsulation

_GRE, _UDP = 47, 17
_GRE_BITS = 0xB000  # checksum, key, sequence number


_Field = Callable[[int, int], str]
"""The name of a field: its place behind the outer IP header, and how many bytes it has."""


def copies_filter(tunnel: Encapsulation) -> str:
    """The filter for the packets of a tunnel, whose source and destination are known."""
    if isinstance(tunnel.destination, IPv6Address):
        ip, header, later = "ip6", 40, "ip6[6] = 44"
    else:
        ip, header, later = "ip", 20, "ip[6:2] & 0x1fff != 0"

    def field(place: int, size: int) -> str:
        return f"{ip}[{header + place}:{size}]"

    protocol, tests = _UDP if tunnel.kind == "vxlan" else _GRE, " and ".join(_TESTS[tunnel.kind](tunnel, field))
    return f"{ip} proto {protocol} and src host {tunnel.source} and dst host {tunnel.destination} and ({later} or ({tests}))"


def _gre(tunnel: Encapsulation, field: _Field) -> list[str]:
    flags = 0x8000 * tunnel.checksum | 0x2000 * (tunnel.key is not None) | 0x1000 * tunnel.sequence
    kinds = (0x6558,) if tunnel.payload == "ethernet" else (0x0800, 0x86DD)
    carried = " or ".join(f"{field(2, 2)} = {kind:#x}" for kind in kinds)
    key = [] if tunnel.key is None else [f"{field(8 if tunnel.checksum else 4, 4)} = {tunnel.key}"]
    return [f"{field(0, 2)} & {_GRE_BITS:#x} = {flags:#x}", f"({carried})", *key]


def _erspan(tunnel: Encapsulation, field: _Field) -> list[str]:
    flags, kind = 0x1000 * (tunnel.version > 1), 0x22EB if tunnel.version == 3 else 0x88BE
    session = [f"{field(10, 2)} & 0x3ff = {tunnel.session_id}"] if tunnel.version > 1 else []
    return [f"{field(0, 2)} & {_GRE_BITS:#x} = {flags:#x}", f"{field(2, 2)} = {kind:#x}", *session]


def _vxlan(tunnel: Encapsulation, field: _Field) -> list[str]:
    return [f"{field(2, 2)} = {tunnel.port}", f"{field(12, 4)} & 0xffffff00 = {tunnel.vni << 8}"]


_TESTS = {"gre": _gre, "erspan": _erspan, "vxlan": _vxlan}
