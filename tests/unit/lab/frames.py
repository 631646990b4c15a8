"""Frames as they reach the analyzer, built by Scapy."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Packet, Raw

CLIENT, ADC, ANALYZER = "192.168.131.1", "192.168.131.2", "192.168.141.2"
PORT = 40000
VIRTUAL = 8087


def tcp(data: bytes = b"", *, up: bool = True, seq: int = 1, flags: str = "PA", ip_id: int = 1, port: int = PORT) -> Packet:
    """A packet of the client's connection; `up` is towards the ADC."""
    if up:
        head = IP(src=CLIENT, dst=ADC, id=ip_id, flags="DF") / TCP(sport=port, dport=VIRTUAL, seq=seq, ack=1, flags=flags)
    else:
        head = IP(src=ADC, dst=CLIENT, id=ip_id, flags="DF") / TCP(sport=VIRTUAL, dport=port, seq=seq, ack=1, flags=flags)
    return head / Raw(data) if data else head


def frame(inner: Packet | bytes, *, gre: GRE | None = None, **outer: object) -> bytes:
    """The frame that carries a copy of that packet."""
    header = IP(**{"src": ADC, "dst": ANALYZER, "ttl": 63, **outer})
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / header / (gre or GRE(proto=0x0800)) / inner)


def stream(data: bytes, *, up: bool = True, isn: int = 0, size: int = 100, port: int = PORT) -> list[Packet]:
    """A whole direction of a connection: SYN, the data in segments, FIN."""
    packets = [tcp(up=up, seq=isn, flags="S" if up else "SA", ip_id=0, port=port)]
    for n, at in enumerate(range(0, len(data), size), 1):
        packets.append(tcp(data[at : at + size], up=up, seq=(isn + 1 + at) % 2**32, ip_id=n, port=port))
    packets.append(tcp(up=up, seq=(isn + 1 + len(data)) % 2**32, flags="FA", ip_id=len(packets), port=port))
    return packets
