"""Rtnetlink sockets (RFC 3549): one for a request and the messages that answer it, one that hears of changes.

pyroute2 encodes and decodes, nothing more. Its own IPRoute is not used: it runs an event loop inside, so it cannot be called
where one runs already, opens a socket in every thread that uses it and keeps it when the thread ends, and does not say that a
dump was interrupted.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, nlmsgerr
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

_HEADER = struct.Struct("=IHHI4x")
"""Length of header and payload, type, flags, sequence number (port left out); in the machine's byte order."""

_MESSAGES = {16: ifinfmsg, 20: ifaddrmsg, 24: rtmsg, 28: ndmsg, 32: fibmsg, 36: tcmsg, 44: tcmsg}
"""By the first type of four: RTM_NEWLINK, DELLINK, GETLINK, SETLINK are 16 to 19, and so on for addresses, routes, neighbours,
routing rules, queueing disciplines, traffic filters."""
_RTM_KINDS = 4

_SOL_NETLINK = 270
_NETLINK_EXT_ACK = 11
_BUFFER_BYTES = 1 << 18
_DONE_ERROR = struct.Struct("=16xi")
"""The header of NLMSG_DONE, and 0 or a negative errno: that with which the dump ended before its time."""
_DUMP_ATTEMPTS = 10


class RtnetlinkSocket:
    """A socket in the network namespace that the making thread is in at that time; it stays there wherever it is used.

    Any thread may use it, also one that runs an event loop, but only one at a time: who shares it brings a lock. Who makes it
    closes it, by `close` or as a context manager.
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
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
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
        return [_decoded(_class_of(k), message) for k, message in self._ask(kind, nlm_flags, attributes, fields)]

    def dump(self, kind: int, attributes: Mapping[str, Any] | None = None, /, **fields: int) -> list[Any]:
        """Ask for all objects of a kind; again when the kernel says that they changed meanwhile and some may be missing.

        Raises:
            NetlinkError, OSError: as `request`.
        """
        return [_decoded(_class_of(k), message) for k, message in self._dump(kind, attributes, fields)]

    def dump_bytes(self, kind: int, /, **fields: int) -> list[bytes]:
        """As `dump`; the messages as they came, netlink's header included."""
        return [message for _, message in self._dump(kind, None, fields)]

    def _dump(self, kind: int, attributes: Mapping[str, Any] | None, fields: Mapping[str, int]) -> list[tuple[int, bytes]]:
        for _ in range(_DUMP_ATTEMPTS):
            try:
                return self._ask(kind, NLM_F_DUMP, attributes, fields)
            except InterruptedError:
                continue
        raise NetlinkError(errno.EBUSY, "the kernel's tables change too fast to be read")

    def _ask(
        self, kind: int, nlm_flags: int, attributes: Mapping[str, Any] | None, fields: Mapping[str, int]
    ) -> list[tuple[int, bytes]]:
        sequence = next(self._sequence)
        self._socket.send(_encoded(kind, NLM_F_REQUEST | NLM_F_ACK | nlm_flags, sequence, attributes or {}, fields))
        return list(self._answers(sequence))

    def _answers(self, sequence: int) -> Iterator[tuple[int, bytes]]:
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
                    return _check_complete(message, interrupted)
                yield kind, message


class RtnetlinkEvents:
    """A socket that becomes readable at a change, for select(2) by its `fileno`; namespace and closing as for `RtnetlinkSocket`.

    It does not say what changed, so a change that the kernel had no room to report (ENOBUFS) is reported all the same.
    """

    def __init__(self, groups: int) -> None:
        """Listen from now on.

        Args:
            groups: RTMGRP_* of <linux/rtnetlink.h>: the kinds of objects, a bit each.

        Raises:
            OSError: there is no rtnetlink, or no file descriptor left.
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._socket.bind((0, groups))

    def fileno(self) -> int:
        """The descriptor, owned by this object."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Forget the changes so far: call it before the state is read that they led to.

        Raises:
            OSError: the socket failed.
        """
        while True:
            try:
                self._socket.recv(_BUFFER_BYTES)
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno != errno.ENOBUFS:  # the queue overflowed; what was in it is still to be read
                    raise

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()


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
    return _MESSAGES[kind - kind % _RTM_KINDS]


def _decoded(cls: Any, data: bytes) -> Any:
    message = cls(data)
    message.decode()
    return message


def _check(data: bytes) -> None:
    """NLMSG_ERROR: a negative errno, or 0 for an acknowledgement."""
    message = _decoded(nlmsgerr, data)
    if message["error"]:
        raise NetlinkError(-message["error"], message.get_attr("NLMSGERR_ATTR_MSG"))


def _check_complete(data: bytes, interrupted: bool) -> None:
    """NLMSG_DONE."""
    (error,) = _DONE_ERROR.unpack_from(data)
    if error:
        raise NetlinkError(-error, os.strerror(-error))
    if interrupted:
        raise InterruptedError
