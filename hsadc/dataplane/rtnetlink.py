"""One rtnetlink socket (RFC 3549): a request, and the messages that answer it. pyroute2 encodes and decodes, nothing more.

pyroute2's own IPRoute is not used: it runs an event loop inside, so it cannot be called where one runs already, opens a socket
in every thread that uses it, and does not say that a dump was interrupted.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, nlmsgerr
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

_HEADER = struct.Struct("=IHHI4x")
"""Length of header and payload, type, flags, sequence number (port left out); in the machine's byte order."""

_MESSAGES = (ifinfmsg, ifaddrmsg, rtmsg)
"""By type: RTM_NEWLINK, DELLINK, GETLINK, SETLINK are 16 to 19, of an address 20 to 23, of a route 24 to 27."""
_RTM_BASE = 16
_RTM_KINDS = 4

_SOL_NETLINK = 270
_NETLINK_EXT_ACK = 11
_BUFFER_BYTES = 1 << 18
_DUMP_ATTEMPTS = 10


class RtnetlinkSocket:
    """A socket in the network namespace of the thread that makes it; a context manager closes it.

    Any thread may use it, also one that runs an event loop, but only one at a time.
    """

    def __init__(self) -> None:
        """Open it.

        Raises:
            OSError: there is no rtnetlink, or no file descriptor left.
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._sequence = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def request(self, kind: int, nlm_flags: int = 0, attributes: Mapping[str, Any] | None = None, /, **fields: int) -> list[Any]:
        """Send a message and wait until the kernel has carried it out.

        Args:
            kind: RTM_NEWLINK and so on.
            nlm_flags: NLM_F_* beyond REQUEST and ACK.
            attributes: values by name (`IFA_LOCAL`), in pyroute2's form: addresses are text.
            fields: of the message's fixed header; those not given are 0.

        Returns:
            pyroute2's messages that the kernel answered with.

        Raises:
            NetlinkError: the kernel refused; `code` is the errno.
            OSError: the socket failed.
        """
        sequence = next(self._sequence)
        self._socket.send(_encoded(kind, NLM_F_REQUEST | NLM_F_ACK | nlm_flags, sequence, attributes or {}, fields))
        return list(self._answers(sequence))

    def dump(self, kind: int, attributes: Mapping[str, Any] | None = None, /, **fields: int) -> list[Any]:
        """Ask for all objects of a kind; again when the kernel says that they changed meanwhile and some may be missing.

        Raises:
            NetlinkError, OSError: as `request`.
        """
        for _ in range(_DUMP_ATTEMPTS):
            try:
                return self.request(kind, NLM_F_DUMP, attributes, **fields)
            except InterruptedError:
                continue
        raise NetlinkError(errno.EBUSY, "the kernel's tables change too fast to be read")

    def _answers(self, sequence: int) -> Iterator[Any]:
        interrupted = False
        while True:
            data = self._socket.recv(_BUFFER_BYTES)
            for kind, flags, number, message in _split(data):
                if number != sequence:  # left over from a request whose caller was interrupted
                    continue
                interrupted |= bool(flags & NLM_F_DUMP_INTR)
                if kind == NLMSG_ERROR:
                    return _check(message)
                if kind == NLMSG_DONE:
                    return _check_complete(interrupted)
                yield _decoded(_class_of(kind), message)


def _encoded(kind: int, flags: int, sequence: int, attributes: Mapping[str, Any], fields: Mapping[str, int]) -> bytes:
    message = _class_of(kind)()
    message["header"].update(type=kind, flags=flags, sequence_number=sequence, pid=0)
    message.update(fields)
    message["attrs"] = list(attributes.items())
    message.encode()
    return bytes(message.data)


def _split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence number and the whole of each message; messages begin at multiples of 4 bytes."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, number = _HEADER.unpack_from(data, offset)
        yield kind, flags, number, data[offset : offset + length]
        offset += (length + 3) & ~3


def _class_of(kind: int) -> Any:
    return _MESSAGES[(kind - _RTM_BASE) // _RTM_KINDS]


def _decoded(cls: Any, data: bytes) -> Any:
    message = cls(data)
    message.decode()
    return message


def _check(data: bytes) -> None:
    """NLMSG_ERROR: a negative errno, or 0 for an acknowledgement."""
    message = _decoded(nlmsgerr, data)
    if message["error"]:
        raise NetlinkError(-message["error"], message.get_attr("NLMSGERR_ATTR_MSG"))


def _check_complete(interrupted: bool) -> None:
    if interrupted:
        raise InterruptedError
