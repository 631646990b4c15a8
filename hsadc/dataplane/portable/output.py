"""The way out: finished packets are handed to the device that leads to the analyzer, many with one system call.

An AF_PACKET socket sends them, not one of IPPROTO_RAW: the bytes leave as they are. Through a raw IP socket the kernel would
write an identification of its own where that is 0, in each fragment another one, and forget to say that a queue was full. The
next hop's hardware address comes from `next_hop`, as on the BPF path.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hsadc.dataplane.portable.tap import COPY_MARK, open_packet_socket
from hsadc.errors import Unsupported

_SO_MARK, _SO_SNDBUFFORCE = 36, 32
_SEND_BUFFER_BYTES = 8 << 20
_ADDRESS = struct.Struct("=HHiHBB8s")
"""`struct sockaddr_ll`: family, protocol (network order), ifindex, ARP type, packet type, length and bytes of the address."""
_BATCH = 64

REASONS = {
    errno.EMSGSIZE: "oversize",
    errno.ENETUNREACH: "no_route",
    errno.EHOSTUNREACH: "no_route",
    errno.ENETDOWN: "link_down",
    errno.ENXIO: "link_down",
    errno.ENODEV: "link_down",
}
"""Under which counter a packet goes that the kernel refuses."""
OTHER_REASON = "encapsulation"

_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Way:
    """How a tunnel's packets leave.

    Attributes:
        ifindex: the device.
        mac: the next hop's hardware address, 6 bytes; None sends frames as they are.
        protocol: Ethertype of the packets, 0x0800 or 0x86dd; 0 for frames.
    """

    ifindex: int
    mac: bytes | None = None
    protocol: int = 0

    @property
    def address(self) -> bytes:
        """As a `struct sockaddr_ll`."""
        mac = self.mac or b""
        return _ADDRESS.pack(socket.AF_PACKET, socket.htons(self.protocol), self.ifindex, 0, 0, len(mac), mac)


class _Vector(ctypes.Structure):
    """`struct iovec`; ctypes keeps the bytes alive that `base` points to."""

    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vectors_number", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class Output:
    """Sends in the network namespace of the thread that makes it; used by one thread at a time. Who makes it closes it."""

    def __init__(self, way: Way) -> None:
        """Open it.

        Raises:
            Unsupported: the process may not.
            OSError: no file descriptor is left.
        """
        self.way = way
        self._socket = open_packet_socket(socket.SOCK_RAW if way.mac is None else socket.SOCK_DGRAM)
        try:
            _mark(self._socket)
            _enlarge(self._socket)
        except BaseException:
            self._socket.close()
            raise
        self._address = ctypes.create_string_buffer(way.address, _ADDRESS.size)
        vectors = (_Vector * _BATCH)()
        self._vectors = list(vectors)  # a view of each is made once
        self._messages = (_Message * _BATCH)()
        for vector, message in zip(self._vectors, self._messages, strict=True):
            header = message.header
            header.name, header.name_length = ctypes.addressof(self._address), _ADDRESS.size
            header.vectors, header.vectors_number = ctypes.pointer(vector), 1

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def send(self, packets: Sequence[bytes], refused: Callable[[int, int], None]) -> None:
        """Send all packets in order.

        Args:
            packets: finished: IP packets, or frames.
            refused: called for each one that the kernel does not take, with its place and the errno.
        """
        for start in range(0, len(packets), _BATCH):
            part = packets[start : start + _BATCH]
            for vector, packet in zip(self._vectors, part, strict=False):
                vector.base, vector.length = packet, len(packet)
            self._send_batch(len(part), start, refused)

    def _send_batch(self, number: int, start: int, refused: Callable[[int, int], None]) -> None:
        fd, first, size = self._socket.fileno(), ctypes.addressof(self._messages), ctypes.sizeof(_Message)
        done = 0
        while done < number:
            # Never waits: while it waited, the taps would overflow, and other tunnels' copies with them.
            sent = _LIBC.sendmmsg(fd, ctypes.c_void_p(first + done * size), ctypes.c_uint(number - done), socket.MSG_DONTWAIT)
            if sent > 0:
                done += sent
                continue
            code = ctypes.get_errno()
            if code != errno.EINTR:  # the others stop at the first that is refused: go on behind it
                refused(start + done, code)
                done += 1


def _mark(s: socket.socket) -> None:
    try:
        s.setsockopt(socket.SOL_SOCKET, _SO_MARK, COPY_MARK)
    except PermissionError as e:
        raise Unsupported("mark the mirror's copies", "the capability CAP_NET_ADMIN is missing") from e


def _enlarge(s: socket.socket) -> None:
    """Room for what one block of a tap becomes; without CAP_NET_ADMIN the system's limit (net.core.wmem_max) holds."""
    try:
        s.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
    except PermissionError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)


def hardware_address(text: str | None) -> bytes:
    """A MAC address's 6 bytes; of a device that asks for none (point to point), zeros.

    Raises:
        ValueError: it is none.
    """
    address = bytes.fromhex((text or "").replace(":", ""))
    return address or bytes(6)
