"""Virtual servers: the addresses that clients connect to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from hsadc.model.mirror_profile import MirrorTarget

HTTP_TYPES = frozenset({"http", "https"})
"""Types that speak HTTP with clients."""
TLS_TYPES = frozenset({"https", "ssl"})
"""Types that speak TLS with clients."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`ip A port N`: the address and the port (1 to 65535) that clients connect to."""

    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, slots=True)
class ServerMirror(MirrorTarget):
    """`mirror-traffic {interface tunnelN | profile P} [port N] [view V] [http2 H]` of a virtual server.

    Attributes:
        port: the virtual server's port in the copies, where they are decrypted; None leaves it.
        view: `decrypted` (what TLS hides, as TCP between the client and the virtual server) or `encrypted` (what is on the wire).
            Without TLS it is the same.
        http2: whether clients are offered HTTP/2 (where the app-profile does) while the copies are decrypted: None offers
            HTTP/1.1 alone, `raw` copies HTTP/2 as it is, `normalise` copies it as HTTP/1.1, on connections with other client
            ports.
    """

    port: int | None = None
    view: str = "decrypted"
    http2: str | None = None


@dataclass(frozen=True, slots=True)
class ContentRule:
    """`rule N [host H] [path P] [header NAME VALUE] server-pool POOL`: requests that go to a pool of their own.

    Attributes:
        number: 1 to 65535; the lowest that a request fits decides.
        host: name in the Host header, `*.example.com` for all below it; None fits any.
        path: what the path begins with; None fits any.
        header: a header's name; None fits any.
        value: what that header says.
        server_pool: where the requests go.
    """

    number: int
    host: str | None = None
    path: str | None = None
    header: str | None = None
    value: str | None = None
    server_pool: str = ""

    @property
    def key(self) -> int:
        """One of each number."""
        return self.number

    def __str__(self) -> str:
        """As an error names it."""
        return f"rule {self.number}"


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """`slb virtual-server NAME type T id N`.

    Attributes:
        name: as the operator wrote it.
        type: what it speaks with clients: `tcp`, `udp`, `http`, `https` or `ssl` (TCP inside TLS).
        id: its number, 1 to 65535; names its counters in the dataplane.
        description: free text for people.
        log_enable: True writes a log line for each request.
        app_profile: name of an application profile.
        ssl_profile: how TLS is spoken with clients.
        server_ssl_profile: how TLS is spoken with real servers; None speaks none.
        server_pool: name of the pool that serves the traffic; without one the virtual server is not in force.
        rules: requests that go to other pools, by number.
        redirect_https: True sends clients to the same place by https.
        auto_snat: True connects to the real servers from the ADC's own address, otherwise from the client's.
        ip: where it listens; without it the virtual server is not in force.
        max_connection: connections of clients at once, 1 to 1000000; None sets no limit.
        rate_limit: connections of clients a second, 1 to 1000000.
        client_max_connection: connections of one client at once.
        client_rate_limit: of one client a second, requests or, where it does not speak HTTP, connections.
        mirror_traffic: what its traffic is copied to.
        shutdown: True takes it out of force.
    """

    name: str
    type: str = "http"
    id: int = 1
    description: str | None = None
    log_enable: bool = False
    app_profile: str | None = None
    ssl_profile: str | None = None
    server_ssl_profile: str | None = None
    server_pool: str | None = None
    rules: Mapping[int, ContentRule] = field(default_factory=dict)
    redirect_https: bool = False
    auto_snat: bool = False
    ip: Listener | None = None
    max_connection: int | None = None
    rate_limit: int | None = None
    client_max_connection: int | None = None
    client_rate_limit: int | None = None
    mirror_traffic: ServerMirror | None = None
    shutdown: bool = False
