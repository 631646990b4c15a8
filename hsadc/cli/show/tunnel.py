"""`show tunnel gre`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hsadc.errors import DanglingReference
from hsadc.model.title import title
from hsadc.model.tunnel import GreTunnel

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_tunnel_gre(session: Session, name: str | None = None) -> Iterable[str]:
    """GRE tunnels: what is configured, and for each interface bound to one how it stands."""
    running = session.device.running
    if name is not None and name not in running.gre_tunnel:
        raise DanglingReference(title("gre_tunnel", name), "there is no such object")
    for tunnel in running.gre_tunnel.values():
        if name in (None, tunnel.name):
            yield title("gre_tunnel", tunnel.name)
            yield from (f"  {line}" for line in _configured(tunnel))
            bound = [i for i in running.tunnel_interface.values() if i.tunnel == tunnel.name]
            yield from (f"  {line}" for i in bound for line in _state(session, i.name))
            if not bound:
                yield "  no interface is bound to it"


def _configured(tunnel: GreTunnel) -> Iterable[str]:
    yield f"source {tunnel.source or 'not set'}, destination {tunnel.destination or 'not set'}"
    egress = f"by {tunnel.interface}" if tunnel.interface else "as the routing table says"
    yield f"leaves {egress}, {'no key' if tunnel.key is None else f'key {tunnel.key}'}"
    if tunnel.description:
        yield f"description {tunnel.description}"


def _state(session: Session, interface: str) -> Iterable[str]:
    dataplane = session.device.dataplane
    intent = next((t for t in dataplane.intent.tunnels if t.interface == interface), None) if dataplane else None
    if dataplane is None or intent is None:
        yield f"interface {interface}: not in force"
        return
    state = dataplane.tunnel_state(interface)
    yield f"interface {interface}: {state.state}{f' ({state.reason})' if state.reason else ''}"
    yield f"  outer addresses {intent.source} > {intent.destination}, at most {state.mtu_bytes} bytes"
    if state.egress is not None:
        yield f"  next hop {state.next_hop or intent.destination} ({state.mac or 'hardware address not known'}) by {state.egress}"
    counters = dataplane.mirror_counters().tunnels.get(interface)
    if counters is not None:
        dropped = ("no_route", "no_neighbour", "oversize", "not_ip", "analyzer", "encapsulation")
        lost = ", ".join(f"{getattr(counters, d)} {d.replace('_', ' ')}" for d in dropped if getattr(counters, d))
        yield f"  {counters.sent_packets} packets, {counters.sent_bytes} bytes sent; dropped: {lost or 'none'}"
