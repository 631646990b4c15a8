"""Checks by TCP: a connection, or a request of HTTP/1.1 (RFC 9112) over it, with or without TLS."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from functools import cache
from ipaddress import ip_address

from hsadc.dataplane.prober_check import Failed, connected, milliseconds
from hsadc.intent.probe import Probe

_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)")
_GOOD = range(200, 400)


class TcpAttempt:
    """A connection is taken.

    Attributes:
        silence: see Attempt.
    """

    silence = False

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def run(self) -> None:
        """Connect, and go."""
        async with connected(self._probe):
            pass

    def close(self) -> None:
        """Nothing is kept."""


class HttpAttempt:
    """A request is answered with a status that is wanted.

    Attributes:
        silence: see Attempt.
    """

    silence = False

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def run(self) -> str:
        """Ask, and read the answer's first line."""
        begin = time.monotonic()
        async with connected(self._probe) as sock:
            tls, name = (_tls(), _server_name(self._probe)) if self._probe.type == "https" else (None, None)
            reader, writer = await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name)
            try:
                writer.write(request(self._probe))
                status = status_of(await reader.readline())
            except ValueError as e:
                raise Failed("no answer of HTTP") from e
            finally:
                writer.transport.abort()
        if not (status in _GOOD if self._probe.expect is None else status == self._probe.expect):
            raise Failed(f"status {status}, {self._probe.expect or f'{_GOOD.start} to {_GOOD.stop - 1}'} wanted")
        return f"status {status} in {milliseconds(begin)}"

    def close(self) -> None:
        """Nothing is kept."""


def request(probe: Probe) -> bytes:
    """The request of a probe."""
    standard = {"http": 80, "https": 443}[probe.type] == probe.port
    address = f"[{probe.address}]" if probe.address.version == 6 else str(probe.address)
    host = probe.host or (address if standard else f"{address}:{probe.port}")
    return f"GET {probe.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: hsadc\r\nConnection: close\r\n\r\n".encode()


def status_of(line: bytes) -> int:
    """The status in the first line of an answer.

    Raises:
        Failed: it is no such line.
    """
    if (match := _STATUS.match(line)) is None:
        raise Failed("no answer of HTTP" if line else "the connection was closed without an answer")
    return int(match[1])


def _server_name(probe: Probe) -> str:
    """For the handshake (RFC 6066, section 3): a name, never an address; empty says none."""
    host = (probe.host or "").partition(":")[0]
    try:
        ip_address(host)
    except ValueError:
        return host
    return ""


@cache
def _tls() -> ssl.SSLContext:
    """Whoever speaks TLS, however old and whatever its certificate: it is asked whether it works, not who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
