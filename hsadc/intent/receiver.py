"""Receiver profiles: what the programs that analyzers run cannot decode, as far as their sources or measurements say."""

from __future__ import annotations

from ipaddress import IPv6Address

from hsadc.wire.encapsulation import Encapsulation

RECEIVERS = ("suricata", "zeek", "snort3", "arkime", "tshark", "generic")


def undecodable(receiver: str, encapsulation: Encapsulation) -> str | None:
    """Why a receiver cannot decode what a tunnel sends, and what it would decode; None when it can."""
    erspan = encapsulation.version if encapsulation.kind == "erspan" else None
    if encapsulation.kind == "vxlan" and isinstance(encapsulation.destination, IPv6Address):
        return "its UDP checksum is 0, which receivers refuse over IPv6 unless they are told to take it (Linux: udp6zerocsumrx)"
    match receiver, encapsulation.kind, erspan:
        case "suricata", "erspan", 3:
            return "suricata ignores ERSPAN type III: use version 2, or tunnel gre with payload ethernet"
        case "suricata", "vxlan", _ if encapsulation.port != 4789:
            return f"suricata decodes VXLAN on port 4789 unless it is configured for {encapsulation.port}"
        case "zeek", "vxlan", _ if encapsulation.port != 4789:
            return f"zeek decodes VXLAN on port 4789 unless it is configured for {encapsulation.port}"
        case "snort3", "erspan", 1:
            return "snort3 takes ERSPAN type I for type II: use version 2, or tunnel gre with payload ethernet"
        case "snort3", "erspan", 3:
            return "snort3 expects 8 more bytes in ERSPAN type III headers: use version 2, or tunnel gre with payload ethernet"
        case "arkime" | "tshark" | "snort3", "vxlan", _ if encapsulation.port != 4789:
            return f"{receiver} decodes VXLAN on port 4789 unless it is told of {encapsulation.port}"
    return None
