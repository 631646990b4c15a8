"""HAProxy's frontends: where clients connect, what is done with HTTP, and which pool serves.

A virtual server whose clear text is mirrored has two: one that speaks TLS with clients (`tls<id>`), and behind the hop the one
that serves (`vs<id>`), as if there were no TLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hsadc.intent.haproxy_pool import Tier, Tiers
from hsadc.intent.haproxy_tls import bind_words
from hsadc.intent.haproxy_word import encode_name, endpoint, literal, path, quote
from hsadc.intent.hop import DEVICE
from hsadc.model.app_profile import AppProfile, HeaderEdit
from hsadc.model.config import Config
from hsadc.model.virtual_server import HTTP_TYPES, TLS_TYPES, ContentRule, Listener, VirtualServer

_ANY_MSS = 32767
"""The largest that Linux lets a socket ask for (tcp(7), TCP_MAXSEG): the device's MTU alone sets the limit then. It is written
out, because a worker that inherits a listener whose `mss` is gone does not forget it: it asks clients for 536 bytes."""

_TEXTUAL = (
    "text/html text/plain text/css text/xml text/javascript application/javascript application/json application/xml image/svg+xml"
)
_TABLE_SIZE = "100k"
HOP_CONNECTIONS = "HOP_CONNECTIONS"
"""The driver's environment variable with the number of connections that may cross the hop to one port."""
_EDITS = {"remove": "del-header", "replace": "set-header", "insert": "add-header"}
"""By action, in the order in which they are done: what is inserted is not removed again."""


@dataclass(frozen=True, slots=True)
class Leg:
    """How a virtual server's clear text crosses the hop.

    Attributes:
        listener: where the clear leg listens there: the virtual server's address, with the port that the copies show.
        normalise: whether HTTP/2 becomes HTTP/1.1 before the hop.
    """

    listener: Listener
    normalise: bool = False

    @property
    def backend(self) -> str:
        """The backend that leads across the hop."""
        return f"hop{self.listener.port}{'_http' if self.normalise else ''}"

    @property
    def defaults(self) -> str:
        """The defaults section of what stands before the hop."""
        return "tls_http" if self.normalise else "tls"


@dataclass(frozen=True, slots=True)
class Way:
    """What a virtual server has to do with the hop.

    Attributes:
        namespace: that the hop leads to.
        leg: how its clear text crosses it; None where that is not mirrored.
        kept: where it listens on the hop besides.
    """

    namespace: str
    leg: Leg | None = None
    kept: tuple[Listener, ...] = ()

    @property
    def clear_binds(self) -> tuple[str, ...]:
        """Where the serving frontend listens on the hop."""
        listeners = (() if self.leg is None else (self.leg.listener,)) + self.kept
        return tuple(f"bind {endpoint(o.address, o.port)} namespace {self.namespace} transparent" for o in listeners)


def frontends(config: Config, server: VirtualServer, tiers: Tiers, mss: int | None, way: Way) -> Iterator[str]:
    """The lines of a virtual server's frontends.

    Args:
        config: where profiles are looked up.
        server: in force.
        tiers: of its pools.
        mss: the largest TCP segment (bytes of payload) of clients' connections; None is what fits the path.
        way: what it has to do with the hop.
    """
    leg, tls = way.leg, _tls(config, server, way.leg)
    if leg is None:
        yield from _serving(config, server, tiers, way, f"{_bind(server.ip, mss)}{tls}")
        return
    yield f"# {path('virtual_server', server.name)}"
    yield f"frontend tls{server.id}_{encode_name(server.name)} from {leg.defaults}"
    yield f"  {_bind(server.ip, mss)}{tls}"
    yield f'  tcp-request connection reject if {{ be_conn({leg.backend}) ge "${{{HOP_CONNECTIONS}}}" }}'
    yield from (f"  {line}" for line in _connection_limits(server))
    if server.log_enable:  # what goes well is logged by the clear leg
        yield from ("  log global", f"  option {'httplog' if leg.normalise else 'tcplog'}")
    profile = config.app_profile.get(server.app_profile or "")
    if leg.normalise and profile is not None:
        yield from (f"  {line}" for line in _client_timeouts(profile))
    yield f"  default_backend {leg.backend}"
    yield from _serving(config, server, tiers, way)


def hop_backend(leg: Leg) -> Iterator[str]:
    """The backend that leads across the hop, to the address that the client connected to."""
    yield f"backend {leg.backend} from {leg.defaults}"
    # With the client's own port the copies are of the connection as it is; HTTP/1.1 takes several for one of HTTP/2.
    yield f"  source 0.0.0.0 usesrc {'clientip' if leg.normalise else 'client'} interface {DEVICE}"
    yield f"  server hop 0.0.0.0:{leg.listener.port}"


def _tls(config: Config, server: VirtualServer, leg: Leg | None) -> str:
    if server.type not in TLS_TYPES:
        return ""
    profile = config.app_profile.get(server.app_profile or "")
    mirror = server.mirror_traffic
    http2 = profile is not None and profile.http2 and (leg is None or (mirror is not None and mirror.http2 is not None))
    alpn = "" if server.type not in HTTP_TYPES else "h2,http/1.1" if http2 else "http/1.1"
    return f" {' '.join(bind_words(config.ssl_profile[server.ssl_profile or ''], alpn))}"


def _bind(listener: Listener | None, mss: int | None) -> str:
    assert listener is not None  # noqa: S101 it is in force
    return f"bind {endpoint(listener.address, listener.port)} mss {_ANY_MSS if mss is None else mss}"


def _serving(config: Config, server: VirtualServer, tiers: Tiers, way: Way, *binds: str) -> Iterator[str]:
    """The frontend that serves, at `binds` and on the hop; behind the hop the TLS leg has seen to the limits of connections."""
    http, profile = server.type in HTTP_TYPES, config.app_profile.get(server.app_profile or "")
    yield f"# {path('virtual_server', server.name)}"
    yield f"frontend vs{server.id}_{encode_name(server.name)} from {'http' if http else 'tcp'}"
    yield from (f"  {line}" for line in (*binds, *way.clear_binds))
    yield from (f"  {line}" for line in (_connection_limits(server) if way.leg is None else ()))
    if server.log_enable:
        yield "  log global"
        yield f"  option {'httplog' if http else 'tcplog'}"
    if http and profile is not None and profile.http2 and _comes_as_http2(server, way):
        yield "  no option disable-h2-upgrade"
    if http:
        yield from (f"  {line}" for line in _http(server, profile))
    yield from (f"  {line}" for line in _choice(server, tiers))


def _comes_as_http2(server: VirtualServer, way: Way) -> bool:
    """Whether a TLS leg, this worker's or the one's before, has offered HTTP/2 and sends it on as it is."""
    if way.leg is None:
        return bool(way.kept)
    return server.mirror_traffic is not None and server.mirror_traffic.http2 == "raw"


def _connection_limits(server: VirtualServer) -> Iterator[str]:
    """What is refused before a word is exchanged."""
    if server.max_connection is not None:
        yield f"maxconn {server.max_connection}"
    if server.rate_limit is not None:
        yield f"rate-limit sessions {server.rate_limit}"
    if server.client_max_connection is None and (server.client_rate_limit is None or server.type in HTTP_TYPES):
        return
    yield f"stick-table type {_key_type(server)} size {_TABLE_SIZE} expire 10s store conn_cur,conn_rate(1s)"
    yield "tcp-request connection track-sc0 src"
    if server.client_max_connection is not None:
        yield f"tcp-request connection reject if {{ sc0_conn_cur gt {server.client_max_connection} }}"
    if server.client_rate_limit is not None and server.type not in HTTP_TYPES:
        yield f"tcp-request connection reject if {{ sc0_conn_rate gt {server.client_rate_limit} }}"


def _key_type(server: VirtualServer) -> str:
    return "ipv6" if server.ip is not None and server.ip.address.version == 6 else "ip"


def rates_table(server: VirtualServer) -> Iterator[str]:
    """A table beside the frontend's own: the request rates of a virtual server's clients; nothing where they are not limited."""
    if server.client_rate_limit is not None and server.type in HTTP_TYPES:
        yield f"backend rates{server.id} from tcp"
        yield f"  stick-table type {_key_type(server)} size {_TABLE_SIZE} expire 10s store http_req_rate(1s)"


def _http(server: VirtualServer, profile: AppProfile | None) -> Iterator[str]:
    if server.client_rate_limit is not None:
        yield f"http-request track-sc1 src table rates{server.id}"
        yield f"http-request deny deny_status 429 if {{ sc1_http_req_rate gt {server.client_rate_limit} }}"
    if server.redirect_https:
        yield "http-request redirect code 301 location https://%[req.hdr(host),host_only]%[pathq]"
    if profile is not None:
        yield from _profile(server, profile)


def _profile(server: VirtualServer, profile: AppProfile) -> Iterator[str]:
    if profile.max_body is not None:
        # A body of unknown length could only be refused when half of it is at the real server. A first byte tells of one.
        yield "http-request wait-for-body time 10s at-least 1 if !{ req.hdr(content-length) -m found }"
        yield "http-request return status 411 if !{ req.hdr(content-length) -m found } { req.body_len gt 0 }"
        yield f"http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {profile.max_body} }}"
    for action in _EDITS:
        yield from (_edit(e) for e in profile.headers.values() if e.action == action)
    if profile.x_forwarded_for:
        yield "option forwardfor"
        if server.type in TLS_TYPES:
            yield "http-request set-header X-Forwarded-Proto https"
    if profile.compression:
        yield from ("filter compression", "compression algo gzip", f"compression type {_TEXTUAL}")
    yield from _client_timeouts(profile)


def _client_timeouts(profile: AppProfile) -> Iterator[str]:
    for kind, words in (("client", "client"), ("http-request", "http-request"), ("keepalive", "http-keep-alive")):
        if kind in profile.timeouts:
            yield f"timeout {words} {profile.timeouts[kind].seconds}s"


def _edit(edit: HeaderEdit) -> str:
    value = "" if edit.value is None or edit.action == "remove" else f" {literal(edit.value)}"
    return f"http-{edit.message} {_EDITS[edit.action]} {quote(edit.header)}{value}"


def _choice(server: VirtualServer, tiers: Tiers) -> Iterator[str]:
    """Which tier serves what: the rules by their numbers, then all the rest."""
    for rule in sorted(server.rules.values(), key=lambda r: r.number):
        yield from _through(tiers.chain(rule.server_pool), _condition(rule))
    if server.server_pool is not None:
        yield from _through(tiers.chain(server.server_pool), "")


def _through(chain: list[Tier], condition: str) -> Iterator[str]:
    for tier in chain[:-1]:
        yield f"use_backend {tier.backend} if {condition}{{ nbsrv({tier.backend}) ge {tier.minimum} }}"
    yield f"use_backend {chain[-1].backend} if {condition.rstrip()}" if condition else f"default_backend {chain[-1].backend}"


def _condition(rule: ContentRule) -> str:
    words = ""
    if rule.host is not None:
        how = (
            f"-m end -- {quote(rule.host[1:].lower())}" if rule.host.startswith("*") else f"-m str -- {quote(rule.host.lower())}"
        )
        words += f"{{ req.hdr(host),host_only,lower {how} }} "
    if rule.path is not None:
        words += f"{{ path -m beg {quote(rule.path)} }} "
    if rule.header is not None:
        words += f"{{ req.hdr({rule.header}) -m str -- {quote(rule.value or '')} }} "
    return words or "TRUE "
