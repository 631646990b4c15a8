"""What is compared: each row is a proxy, on an address and a port of the adc's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from proxies import adc, haproxy, peers
from proxies.network import FRONT, Network
from proxies.process import Process
from proxies.server import Identity

PLAIN_PORT, TLS_PORT = 8087, 443


@dataclass(frozen=True)
class Place:
    """Where rows run.

    Attributes:
        network: the namespaces.
        identity: what all of them show to clients.
        mitmproxy: its program; None when it is not here.
    """

    network: Network
    identity: Identity
    mitmproxy: Path | None


@dataclass(frozen=True)
class Row:
    """A proxy.

    Attributes:
        name: for the tables.
        enter: starts it, with its files in a folder that is not there yet.
        tls: whether it speaks TLS with clients.
        rounds: in how many of the rounds it is measured at most.
    """

    name: str
    enter: Callable[[Place, Path], AbstractContextManager[Process]] = field(repr=False)
    tls: bool = True
    rounds: int = 1_000

    @property
    def url(self) -> str:
        """Without a path."""
        return f"https://{FRONT}:{TLS_PORT}" if self.tls else f"http://{FRONT}:{PLAIN_PORT}"


def _haproxy(tls: bool = True, tls_to_server: bool = False) -> Callable[[Place, Path], AbstractContextManager[Process]]:
    port = TLS_PORT if tls else PLAIN_PORT

    def enter(place: Place, folder: Path) -> AbstractContextManager[Process]:
        pem = place.identity.pem if tls else None
        return haproxy.haproxy(place.network, folder, haproxy.text(port, pem, tls_to_server), port)

    return enter


def _hsadc(
    tls: bool = True, tls_to_server: bool = False, mirror: str = ""
) -> Callable[[Place, Path], AbstractContextManager[Process]]:
    port = TLS_PORT if tls else PLAIN_PORT

    def enter(place: Place, folder: Path) -> AbstractContextManager[Process]:
        text = adc.configuration(port, place.identity if tls else None, tls_to_server, mirror)
        return adc.hsadc(place.network, folder, text, port)

    return enter


def _sslsplit(mirror: bool) -> Callable[[Place, Path], AbstractContextManager[Process]]:
    return lambda place, folder: peers.sslsplit(place.network, folder, place.identity, TLS_PORT, mirror)


def _mitmproxy(place: Place, folder: Path) -> AbstractContextManager[Process]:
    if place.mitmproxy is None:
        raise ValueError("mitmproxy is not here")
    return peers.mitmproxy(place.network, folder, place.mitmproxy, place.identity, TLS_PORT)


BARE = Row("HAProxy by hand: HTTP", _haproxy(tls=False), tls=False)
PLAIN = Row("hsadc: HTTP", _hsadc(tls=False), tls=False)
PLAIN_MIRROR = Row("hsadc: HTTP, mirrored", _hsadc(tls=False, mirror=adc.ALL), tls=False)
BARE_TLS = Row("HAProxy by hand: TLS to HTTP", _haproxy())
TLS = Row("hsadc: TLS to HTTP", _hsadc())
HOP = Row("hsadc: TLS to HTTP across the hop", _hsadc(mirror=adc.NOTHING))
HOP_MIRROR = Row("hsadc: TLS to HTTP, decrypted mirror", _hsadc(mirror=adc.ALL))
BOTH_MIRROR = Row("hsadc: TLS to TLS, decrypted mirror", _hsadc(tls_to_server=True, mirror=adc.ALL))
SSLSPLIT = Row("sslsplit: TLS to TLS", _sslsplit(mirror=False))
SSLSPLIT_MIRROR = Row("sslsplit -I: TLS to TLS, decrypted mirror", _sslsplit(mirror=True))
MITMPROXY = Row("mitmproxy: TLS to HTTP", _mitmproxy, rounds=1)

ALL = (BARE, PLAIN, PLAIN_MIRROR, BARE_TLS, TLS, HOP, HOP_MIRROR, BOTH_MIRROR, SSLSPLIT, SSLSPLIT_MIRROR, MITMPROXY)
