"""Virtual servers: told apart, on an address of this device, and with settings that fit their type."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict, wrong
from hsadc.config.validate.interface import may_be_ours
from hsadc.intent.mirror_profile import copied_port
from hsadc.model.title import title
from hsadc.model.virtual_server import HTTP_TYPES, TLS_TYPES, VirtualServer


def servers_told_apart(change: Change) -> Iterator[Found]:
    """No two have one id, or one address and port; nor one address and port where their decrypted traffic is copied."""
    taken: dict[Hashable, str] = {}
    for name, server in _that_may_clash(change):
        for key, words in _claims(server):
            if (other := taken.setdefault(key, name)) != name:
                yield conflict("virtual_server", name, f"{words} {title('virtual_server', other)} already")


def _claims(server: VirtualServer) -> Iterator[tuple[Hashable, str]]:
    """What no other virtual server may have, and how an error begins that says who has it."""
    yield server.id, f"id {server.id} is"
    if server.ip is None:
        return
    # Numbers, because the hash of an address takes longer than all the rest.
    address, transport = (server.ip.address.version, int(server.ip.address)), "udp" if server.type == "udp" else "tcp"
    yield (address, server.ip.port, transport), f"{server.ip.address} port {server.ip.port} is"
    if (port := copied_port(server)) is not None:
        yield (address, port, "copied"), f"in decrypted copies {server.ip.address} port {port} is"


def _that_may_clash(change: Change) -> list[tuple[str, VirtualServer]]:
    """The virtual servers with an id or a port that is new to one of them, and that one itself."""
    before, changed = change.before.virtual_server, change.changed("virtual_server").items()
    ids = {s.id for name, s in changed if name not in before or before[name].id != s.id}
    moved = [s for name, s in changed if name not in before or (before[name].ip, _ports(before[name])) != (s.ip, _ports(s))]
    ports = {port for s in moved for port in _ports(s)}
    servers = change.after.virtual_server.items() if ids or ports else ()
    return [(name, s) for name, s in servers if s.id in ids or not ports.isdisjoint(_ports(s))]


def _ports(server: VirtualServer) -> tuple[int, ...]:
    """By which it may clash with another one: its own, and the one that its copies show."""
    return () if server.ip is None else (server.ip.port, copied_port(server) or server.ip.port)


ALL_BUT_UDP = frozenset({"tcp", "http", "https", "ssl"})
_FITS: Sequence[tuple[Callable[[VirtualServer], object], frozenset[str], str]] = (
    (lambda v: v.app_profile, HTTP_TYPES, "app-profile"),
    (lambda v: v.rules, HTTP_TYPES, "rule"),
    (lambda v: v.redirect_https, frozenset({"http"}), "redirect https"),
    (lambda v: v.ssl_profile, TLS_TYPES, "ssl-profile"),
    (lambda v: v.server_ssl_profile, ALL_BUT_UDP, "server-ssl-profile"),
    (lambda v: v.log_enable, ALL_BUT_UDP, "log enable"),
    (lambda v: v.max_connection, ALL_BUT_UDP, "max-connection"),
    (lambda v: v.rate_limit, ALL_BUT_UDP, "rate-limit"),
    (lambda v: v.client_max_connection, ALL_BUT_UDP, "client-max-connection"),
    (lambda v: v.client_rate_limit, ALL_BUT_UDP, "client-rate-limit"),
    (lambda v: v.mirror_traffic and v.mirror_traffic.port, TLS_TYPES, "mirror-traffic with a port"),
    (lambda v: v.mirror_traffic and v.mirror_traffic.view == "encrypted", TLS_TYPES, "mirror-traffic view encrypted"),
    (lambda v: v.mirror_traffic and v.mirror_traffic.http2, frozenset({"https"}), "mirror-traffic with http2"),
)
"""What is set, the types that it is for, and what it is called."""


def servers(change: Change) -> Iterator[Found]:
    """Each has what its type can do, and an address of this device."""
    config = change.after
    for name, server in change.users("virtual_server", "ethernet").items():
        if why := next((w for w in _misfits(server)), None):
            yield conflict("virtual_server", name, why)
        if server.ip and not may_be_ours(config, server.ip.address):
            yield wrong("virtual_server", name, f"{server.ip.address} is not an address of this device")


def _misfits(server: VirtualServer) -> Iterator[str]:
    for is_set, types, words in _FITS:
        if is_set(server) and server.type not in types:
            yield f"{words} is for type {listed(types)}, and this one is of type {server.type}"
    mirror = server.mirror_traffic
    if mirror is not None and mirror.view == "encrypted" and (mirror.port or mirror.http2):
        what = "a port" if mirror.port else "http2"
        yield f"mirror-traffic with {what} is for decrypted copies, and view encrypted copies what is on the wire"
    for rule in server.rules.values():
        if rule.value == "}":  # which ends what HAProxy compares
            yield f"{rule}: a header cannot be compared with }} alone"


def listed(types: frozenset[str]) -> str:
    """Types as a sentence has them."""
    *others, last = sorted(types)
    return f"{', '.join(others)} or {last}" if others else last
