"""One check of a real server, whatever its kind, and what came of it in words.

A check fails when the real server does not do in time what is asked of it. It is *unable* when this device lacks something, such
as a file descriptor: that says nothing of the real server.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from hsadc.intent.probe import Probe

_log = logging.getLogger(__name__)

_OURS = frozenset({errno.EADDRNOTAVAIL, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What this device lacks."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check.

    Attributes:
        good: whether it succeeded; None when it could not be made.
        words: how, for people.
    """

    good: bool | None
    words: str


class Failed(Exception):
    """The check failed; its text says how."""


class Unable(Exception):
    """The check could not be made; its text says why."""


class Attempt(Protocol):
    """Tries the same again and again, one attempt at a time.

    Attributes:
        silence: whether it is enough that nothing comes while the check lasts.
    """

    silence: bool

    async def run(self) -> str | None:
        """Try once.

        Returns:
            How it succeeded, in words; None leaves it at how long it took.

        Raises:
            Failed, OSError: it failed.
            Unable: it could not be tried.
        """
        ...

    def close(self) -> None:
        """Give back what is kept from one attempt to the next."""
        ...


async def check(attempt: Attempt, timeout_s: float) -> Verdict:
    """One attempt, cut off after its time; raises nothing."""
    begin = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            words = await attempt.run()
    except TimeoutError as e:
        if e.errno is not None:  # the kernel gave up before us
            return Verdict(False, error_words(e))
        return Verdict(attempt.silence, f"{'not refused' if attempt.silence else 'no answer'} within {timeout_s:g} s")
    except Failed as e:
        return Verdict(False, str(e))
    except Unable as e:
        return Verdict(None, f"not checked: {e}")
    except OSError as e:
        return Verdict(None, f"not checked: {error_words(e)}") if e.errno in _OURS else Verdict(False, error_words(e))
    except Exception:  # a mistake of ours says nothing of the real server, and must not end the checks
        _log.exception("a check failed by itself")
        return Verdict(None, "not checked: the log has details")
    return Verdict(True, words or f"answered in {milliseconds(begin)}")


def error_words(error: OSError) -> str:
    """The system's words, to be read in a sentence."""
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or "it breaks off"
        return f"TLS: {reason.replace('_', ' ').lower()}"
    if error.errno is None:
        return str(error) or "the connection breaks off"
    words = os.strerror(error.errno)
    return words[:1].lower() + words[1:]


def milliseconds(begin: float) -> str:
    """How long it is since a moment of time.monotonic()."""
    return f"{(time.monotonic() - begin) * 1000:.1f} ms"


def open_socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket that does not block; the caller closes it.

    Raises:
        Unable: there is none to be had.
    """
    try:
        return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    except OSError as e:
        raise Unable(error_words(e)) from e


def family_of(probe: Probe) -> socket.AddressFamily:
    """The socket family of a probe's address."""
    return socket.AF_INET if probe.address.version == 4 else socket.AF_INET6


@asynccontextmanager
async def connected(probe: Probe) -> AsyncIterator[socket.socket]:
    """A TCP connection to what is probed; reset in the end, as thousands in TIME_WAIT would use up the ports.

    Raises:
        OSError: it is refused or cannot be reached.
        Unable: there is no socket to be had.
    """
    with open_socket(family_of(probe), socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await asyncio.get_running_loop().sock_connect(sock, (str(probe.address), probe.port))
        yield sock
