"""What was captured: packets out of frames, and TCP connections out of packets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from hsadc.wire.checksum import internet_checksum
from hsadc.wire.reassembly import Reassembler
from hsadc.wire.receive import decapsulate, payload_of_frame

FIN, SYN, RST = 1, 2, 4
TCP, UDP = 6, 17

Endpoint = tuple[str, int]
Flow = tuple[Endpoint, Endpoint]


@dataclass(frozen=True)
class Packet:
    """An IP packet of TCP or UDP.

    Attributes:
        source: address and port.
        destination: address and port.
        protocol: TCP or UDP.
        flags: of TCP, the low eight; 0 of UDP.
        sequence: of TCP.
        data: what it carries.
    """

    source: Endpoint
    destination: Endpoint
    protocol: int
    flags: int
    sequence: int
    data: bytes


@dataclass
class Stream:
    """One direction of a TCP connection.

    Attributes:
        packets: in the order of arrival.
    """

    packets: list[Packet] = field(default_factory=list)

    @property
    def opened(self) -> bool:
        """Whether its SYN was seen."""
        return any(p.flags & SYN for p in self.packets)

    @property
    def closed(self) -> bool:
        """Whether its FIN or RST was seen."""
        return any(p.flags & (FIN | RST) for p in self.packets)

    @property
    def data(self) -> bytes:
        """All its bytes, in order.

        Raises:
            AssertionError: its SYN is missing, or bytes are, or bytes that came twice differ.
        """
        first = next((p.sequence + 1 for p in self.packets if p.flags & SYN), None)
        assert first is not None, "the beginning is missing"
        whole = bytearray()
        for at, data in sorted(((p.sequence - first) % 2**32, p.data) for p in self.packets if p.data):
            assert at <= len(whole), f"{at - len(whole)} bytes are missing at {len(whole)}"
            again = whole[at : at + len(data)]
            assert again == data[: len(again)], f"other bytes at {at} than before"
            whole += data[len(again) :]
        return bytes(whole)


def packets(frames: Iterable[bytes]) -> list[Packet]:
    """The packets of frames, as they are on the wire; others than TCP and UDP are left out."""
    of_ip = (payload_of_frame(frame) for frame in frames if frame[12:14] in (b"\x08\x00", b"\x86\xdd"))
    return [packet for ip in of_ip if (packet := read(ip)) is not None]


@dataclass
class Copies:
    """What came to the analyzer.

    Attributes:
        packets: the copied packets of TCP and UDP.
        raw: all copied packets, from their IP headers on.
        sources: outer source addresses.
    """

    packets: list[Packet] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)


def copies(frames: Iterable[bytes]) -> Copies:
    """The copied packets in frames that carry GRE; each has right checksums."""
    found, whole = Copies(), Reassembler()
    for frame in frames:
        if (outer := whole.add(payload_of_frame(frame))) is None:
            continue
        copy = decapsulate(outer)
        found.sources.add(str(copy.source))
        inner = payload_of_frame(copy.payload) if copy.is_ethernet else copy.payload
        found.raw.append(inner)
        packet = read(inner, check=True)
        if packet is not None:
            found.packets.append(packet)
    return found


def read(ip: bytes, *, check: bool = False) -> Packet | None:
    """Read a packet of TCP or UDP; None for another one. With `check` its checksums must be right."""
    if ip[0] >> 4 == 4:
        header, end, protocol, addresses = (ip[0] & 15) * 4, int.from_bytes(ip[2:4]), ip[9], ip[12:20]
        assert not check or internet_checksum(ip[:header]) == 0, "wrong IP checksum"
    else:
        header, end, protocol, addresses = 40, 40 + int.from_bytes(ip[4:6]), ip[6], ip[8:40]
    if protocol not in (TCP, UDP):
        return None
    body, half = ip[header:end], len(addresses) // 2
    assert not check or internet_checksum(addresses + protocol.to_bytes(4) + len(body).to_bytes(4) + body) == 0, "wrong checksum"
    source = str(ip_address(addresses[:half])), int.from_bytes(body[:2])
    destination = str(ip_address(addresses[half:])), int.from_bytes(body[2:4])
    if protocol == UDP:
        return Packet(source, destination, protocol, 0, 0, body[8:])
    return Packet(source, destination, protocol, body[13], int.from_bytes(body[4:8]), body[(body[12] >> 4) * 4 :])


def streams(found: Iterable[Packet]) -> dict[Flow, Stream]:
    """The TCP connections' directions, by source and destination."""
    by_flow: defaultdict[Flow, Stream] = defaultdict(Stream)
    for packet in found:
        if packet.protocol == TCP:
            by_flow[packet.source, packet.destination].packets.append(packet)
    return dict(by_flow)
