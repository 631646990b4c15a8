"""Flows of UDP that the kernel tracks (conntrack): listed by where the client sent them to, and forgotten.

A message is a netlink header, `struct nfgenmsg` (family, version, resource: 4 bytes) and attributes; those of a flow are nested:

    CTA_TUPLE_ORIG, _REPLY   { CTA_TUPLE_IP { source, destination }, CTA_TUPLE_PROTO { protocol, source port, destination port } }
    CTA_COUNTERS_ORIG, _REPLY   { packets, bytes }, only while net.netfilter.nf_conntrack_acct is 1
    CTA_TIMEOUT   seconds

Numbers in attributes are big endian but for the flags of a filter. pyroute2's own socket is not used: it runs an event loop
inside, and reads some thousand flows a second where a table may have hundreds of thousands.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from typing import Self

from pyroute2.netlink import NETLINK_NETFILTER
from pyroute2.netlink.exceptions import NetlinkError

Address = IPv4Address | IPv6Address
Listener = tuple[Address, int]
"""An address and port that clients send to."""

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NFGENMSG = struct.Struct(">BBH")
_GET, _DELETE = 0x101, 0x102
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_NESTED, _TYPE_MASK = 0x8000, 0x3FFF
_ORIG, _REPLY, _TIMEOUT, _COUNTERS_ORIG, _COUNTERS_REPLY, _FILTER = 1, 2, 7, 9, 10, 25
_IP, _PROTO = 1, 2
_DESTINATION_IPV4 = 2
_NUMBER, _DESTINATION_PORT = 1, 3
_TUPLES = {s.size: s for s in (struct.Struct(">8x4s4x4s16xH6xH2x"), struct.Struct(">8x16s4x16s16xH6xH2x"))}
"""The inside of a tuple of IPv4 or IPv6, as Linux writes it: source, destination, their ports. To read one attribute after the
other would take three times as long, and there may be hundreds of thousands."""
_FILTER_ORIG = 1
_BY_DESTINATION, _BY_PROTOCOL, _BY_DESTINATION_PORT = 1 << 1, 1 << 3, 1 << 5
"""Of a filter: what must be as in the tuple."""
_BUFFER_BYTES = 1 << 18
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow of UDP.

    Attributes:
        client: who sent the first packet.
        client_port: from which port.
        listener: where to, as the client sees it.
        listener_port: the port there.
        target: who answers; the listener itself when the packets are not handed on.
        target_port: from which port.
        expires_s: seconds until it is forgotten if no packet comes.
        packets_in: from the client; None, as the other three, while the kernel does not count (nf_conntrack_acct).
        bytes_in: from the client.
        packets_out: to the client.
        bytes_out: to the client.
        key: what the kernel knows it by: the attribute for a request.
    """

    client: Address
    client_port: int
    listener: Address
    listener_port: int
    target: Address
    target_port: int
    expires_s: int
    packets_in: int | None = None
    bytes_in: int | None = None
    packets_out: int | None = None
    bytes_out: int | None = None
    key: bytes = field(default=b"", repr=False, compare=False)


class Conntrack:
    """A socket in the network namespace that the making thread is in; one thread at a time may use it. Who makes it closes it."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            OSError: there is no conntrack, or no file descriptor left.
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def flows(self, listeners: Iterable[Listener]) -> Iterator[Flow]:
        """The flows that clients began to some addresses and ports. To be read to the end before the socket is used again.

        Raises:
            NetlinkError: the kernel refuses.
            OSError: the socket failed.
        """
        wanted = frozenset(listeners)
        for version in sorted({address.version for address, _ in wanted}):
            of_family = [(address, port) for address, port in wanted if address.version == version]
            self._socket.send(self._message(_GET, _DUMP, version, _only(of_family)))
            for message in self._answers():
                flow = decode(message)
                if (flow.listener, flow.listener_port) in wanted:
                    yield flow

    def forget(self, flows: Iterable[Flow]) -> None:
        """Forget flows: the next packet of each is the first one of a new flow. Those that are gone already do not matter.

        Raises:
            NetlinkError: the kernel refuses.
            OSError: the socket failed.
        """
        remaining = iter(flows)
        while batch := list(islice(remaining, _AT_ONCE)):
            *most, last = batch
            messages = [self._message(_DELETE, 0, flow.listener.version, flow.key) for flow in most]
            self._socket.send(b"".join(messages) + self._message(_DELETE, _ACK, last.listener.version, last.key))
            for _ in self._answers():
                pass

    def _message(self, kind: int, flags: int, version: int, attributes: bytes) -> bytes:
        self._sequence += 1
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        body = _NFGENMSG.pack(family, 0, 0) + attributes
        return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._sequence, 0) + body

    def _answers(self) -> Iterator[bytes]:
        """The messages that answer the last request, from their nfgenmsg on."""
        while True:
            data = memoryview(self._socket.recv(_BUFFER_BYTES))
            while data:
                length, kind, _, sequence, _ = _HEADER.unpack_from(data)
                body, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
                if kind in (_ERROR, _DONE):
                    _check(body)
                    if sequence == self._sequence:
                        return
                elif sequence == self._sequence:
                    yield bytes(body)


def _only(listeners: Collection[Listener]) -> bytes:
    """A filter by which the kernel leaves out most of what is not to some addresses and ports of one family.

    Never by an IPv6 address: Linux compares it the wrong way round, and passes over those that are the same
    (ctnetlink_filter_match_tuple).
    """
    addresses, ports = {address for address, _ in listeners}, {port for _, port in listeners}
    flags, protocol, place = _BY_PROTOCOL, _attribute(_NUMBER, bytes([socket.IPPROTO_UDP])), b""
    if len(ports) == 1:
        flags |= _BY_DESTINATION_PORT
        protocol += _attribute(_DESTINATION_PORT, ports.pop().to_bytes(2))
    if len(addresses) == 1 and (address := addresses.pop()).version == 4:
        flags |= _BY_DESTINATION
        place = _nest(_IP, _attribute(_DESTINATION_IPV4, address.packed))
    only = _nest(_FILTER, _attribute(_FILTER_ORIG, struct.pack("=I", flags)))
    return _nest(_ORIG, place + _nest(_PROTO, protocol)) + only


def decode(message: bytes) -> Flow:
    """A flow as the kernel describes it, from nfgenmsg on."""
    attributes = _attributes(message[_NFGENMSG.size :])
    client, client_port, listener, listener_port = _tuple(attributes[_ORIG])
    target, target_port, _, _ = _tuple(attributes[_REPLY])
    packets_in, bytes_in = _counters(attributes.get(_COUNTERS_ORIG))
    packets_out, bytes_out = _counters(attributes.get(_COUNTERS_REPLY))
    return Flow(
        client,
        client_port,
        listener,
        listener_port,
        target,
        target_port,
        int.from_bytes(attributes.get(_TIMEOUT, b"")),
        packets_in,
        bytes_in,
        packets_out,
        bytes_out,
        _nest(_ORIG, attributes[_ORIG]),
    )


def _tuple(data: bytes) -> tuple[Address, int, Address, int]:
    """Source, its port, destination, its port."""
    source, destination, source_port, destination_port = _TUPLES[len(data)].unpack(data)
    return _address(source), source_port, _address(destination), destination_port


@lru_cache(maxsize=1 << 16)
def _address(packed: bytes) -> Address:
    return ip_address(packed)


def _counters(data: bytes | None) -> tuple[int, int] | tuple[None, None]:
    if data is None:
        return None, None
    counters = _attributes(data)
    return int.from_bytes(counters[1]), int.from_bytes(counters[2])


def _attributes(data: bytes) -> Mapping[int, bytes]:
    found, offset, end = {}, 0, len(data)
    while offset < end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _nest(kind: int, value: bytes) -> bytes:
    return _attribute(kind | _NESTED, value)


def _check(body: memoryview) -> None:
    """Of an acknowledgement or the end of a dump: 0, or a negative errno."""
    code = -int.from_bytes(body[:4], "little" if struct.pack("=H", 1)[0] else "big", signed=True)
    if code not in (0, errno.ENOENT):
        raise NetlinkError(code, os.strerror(code))
