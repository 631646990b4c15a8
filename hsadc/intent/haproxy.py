"""HAProxy: the text of its configuration file.

What an operator names freely becomes a HAProxy name by `encode_name`, which never maps two names to one and can be turned
back: statistics and error messages speak of the operator's objects. A virtual server has a backend of its own, because a
member of the pool without a port takes the virtual server's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from string import ascii_letters, digits

from hsadc.intent.probe import Probe
from hsadc.model.config import Config
from hsadc.model.server_pool import ServerPool
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer

_PLAIN = frozenset(ascii_letters + digits + "._-")
"""What HAProxy allows in names, without the colon, which is the escape here."""

_BALANCE = {
    "round-robin": ("balance roundrobin",),
    "least-connection": ("balance leastconn",),
    # Consistent: when a server comes or goes, only its own clients move.
    "source-hash": ("balance source", "hash-type consistent"),
}


_ANY_MSS = 32767
"""The largest that Linux lets a socket ask for (tcp(7), TCP_MAXSEG): the device's MTU alone sets the limit then. It is written
out, because a worker that inherits a listener whose `mss` is gone does not forget it: it asks clients for 536 bytes."""


@dataclass(frozen=True, slots=True)
class HaproxyFile:
    """A file that the services' text names, such as a certificate with its key.

    Attributes:
        name: relative to the directory that HAProxy runs in, in a folder of it: `pki/www.pem`, `pages/sorry.http`.
        content: what it holds; may be a secret, which no text of this object shows.
    """

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerProbe:
    """A server whose health is found out by a probe of ours, because HAProxy cannot (ICMP, UDP).

    Attributes:
        backend: HAProxy's name of its backend.
        server: HAProxy's name of it.
        probe: how it is checked.
    """

    backend: str
    server: str
    probe: Probe


@dataclass(frozen=True, slots=True)
class HaproxyIntent:
    """The one HAProxy that serves all virtual servers but those of type udp.

    Attributes:
        services: the file's text from the first frontend on; what stands before it (paths, user, limits) is the driver's.
        files: what the text names, in any order.
        probes: the servers whose health is told to HAProxy.
    """

    services: str
    files: tuple[HaproxyFile, ...] = ()
    probes: tuple[ServerProbe, ...] = ()

    @property
    def key(self) -> str:
        """There is one."""
        return "haproxy"

    def __str__(self) -> str:
        """As an error names it."""
        return "services"


def compile_services(
    config: Config,
    served: Iterable[VirtualServer],
    mss: Mapping[str, int],
) -> tuple[HaproxyIntent, ...]:
    """Write the frontends and backends.

    A frontend inherits from the defaults section named as its type (`http`, `tcp`), which the driver provides. Members whose
    real server has no address are left out.

    Args:
        config: where pools, real servers and application profiles are looked up; its references are not dangling.
        served: the virtual servers in force: each has an address and a pool. Their order does not matter.
        mss: the largest TCP segment (bytes of payload) that clients may send and are sent, by virtual server's name; without an
            entry it is what fits the path.

    Returns:
        One, or none when there are no virtual servers: then no HAProxy is needed.

    Raises:
        ValueError: one of `served` has no address or no pool.
    """
    blocks = [
        "\n".join([*_frontend(config, v, mss.get(v.name)), *_backend(config, v)]) for v in sorted(served, key=lambda v: v.id)
    ]
    return (HaproxyIntent("\n\n".join(blocks) + "\n"),) if blocks else ()


def encode_name(name: str) -> str:
    """A name that HAProxy accepts: each other character as its code point in hexadecimal between colons; one to one."""
    return "".join(c if c in _PLAIN else f":{ord(c):x}:" for c in name)


def decode_name(name: str) -> str:
    """The name that `encode_name` was given."""
    return re.sub(r":([0-9a-f]+):", lambda m: chr(int(m[1], 16)), name)


def _frontend(config: Config, server: VirtualServer, mss: int | None) -> Iterator[str]:
    if server.ip is None:
        raise ValueError(f"{_path('virtual_server', server.name)} has no address")
    yield f"# {_path('virtual_server', server.name)}"
    yield f"frontend vs{server.id}_{encode_name(server.name)} from {server.type}"
    yield f"  bind {server.ip.address}:{server.ip.port} mss {_ANY_MSS if mss is None else mss}"
    if server.log_enable:
        yield "  log global"
        yield f"  option {server.type}log"
    profile = config.app_profile.get(server.app_profile) if server.app_profile is not None else None
    if server.type == "http" and profile is not None and profile.x_forwarded_for:
        yield "  option forwardfor"
    yield f"  default_backend {_backend_name(server)}"


def _backend(config: Config, server: VirtualServer) -> Iterator[str]:
    pool = _pool(config, server)
    yield f"# {_path('virtual_server', server.name)}, {_path('server_pool', pool.name)}"
    yield f"backend {_backend_name(server)} from {server.type}"
    yield from (f"  {line}" for line in _BALANCE[pool.load_balance])
    # No `source`: the kernel takes the address of the interface that leads to the server, which is what auto-snat means.
    yield from _servers(config, server, pool)


def _servers(config: Config, server: VirtualServer, pool: ServerPool) -> Iterator[str]:
    for member in pool.members.values():
        real = config.real_server[member.real_server]
        if real.ip is None or server.ip is None:
            continue
        port = member.port or real.port or server.ip.port
        yield f"  server {encode_name(real.name)} {real.ip}:{port} weight {member.weight or real.weight}"


def _pool(config: Config, server: VirtualServer) -> ServerPool:
    if server.server_pool is None:
        raise ValueError(f"{_path('virtual_server', server.name)} has no server-pool")
    return config.server_pool[server.server_pool]


def _backend_name(server: VirtualServer) -> str:
    return f"pool{server.id}_{encode_name(server.server_pool or '')}"


def _path(section: str, name: str) -> str:
    """For comments, which end with their line: what cannot be printed is written as its code point."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in title(section, name))
