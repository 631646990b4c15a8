"""`show tunnel gre`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hsadc.cli.show.mirror import tunnel_counters
from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Row
from hsadc.errors import DanglingReference
from hsadc.model.title import title
from hsadc.model.tunnel import GreTunnel

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_DROPS = ("no_route", "no_neighbour", "oversize", "not_ip", "analyzer", "refused")


def do_show_tunnel_gre(session: Session, name: str | None = None) -> Shown:
    """GRE tunnels: what is configured, and for each interface bound to one how it stands."""
    tunnels = session.device.running.gre_tunnel
    if name is not None and name not in tunnels:
        raise DanglingReference(title("gre_tunnel", name), "there is no such object")
    rows = [_tunnel(session, t) for t in tunnels.values() if name in (None, t.name)]
    return Shown({"tunnels": rows}, (line for row in rows for line in _lines(row)))


def _tunnel(session: Session, tunnel: GreTunnel) -> Row:
    bound = [i.name for i in session.device.running.tunnel_interface.values() if i.tunnel == tunnel.name]
    return {
        "name": tunnel.name,
        "type": "gre",
        "source": tunnel.source,
        "destination": tunnel.destination,
        "egress": tunnel.interface,
        "key": tunnel.key,
        "description": tunnel.description,
        "interfaces": [_interface(session, name) for name in bound],
    }


def _interface(session: Session, name: str) -> Row:
    """Its values are null while it is not in force."""
    dataplane = session.device.dataplane
    intent = next((t for t in dataplane.intent.tunnels if t.interface == name), None) if dataplane else None
    state = dataplane.tunnel_state(name) if dataplane and intent else None
    counters = dataplane.mirror_counters().tunnels.get(name) if dataplane and intent else None
    return {
        "name": name,
        "state": state.state if state else None,
        "reason": state.reason or None if state else None,
        "outer_source": intent.source if intent else None,
        "outer_destination": intent.destination if intent else None,
        "mtu_bytes": state.mtu_bytes if state else None,
        "device": state.egress if state else None,
        "next_hop": (state.next_hop or (state.egress and intent.destination)) if state and intent else None,
        "mac": state.mac if state else None,
        "counters": tunnel_counters(counters) if counters else None,
    }


def _lines(tunnel: Row) -> Iterator[str]:
    yield title("gre_tunnel", tunnel["name"])
    yield f"  source {tunnel['source'] or 'not set'}, destination {tunnel['destination'] or 'not set'}"
    egress = f"by {tunnel['egress']}" if tunnel["egress"] else "as the routing table says"
    key = "no key" if tunnel["key"] is None else f"key {tunnel['key']}"
    yield f"  leaves {egress}, {key}"
    if tunnel["description"]:
        yield f"  description {tunnel['description']}"
    if not tunnel["interfaces"]:
        yield "  no interface is bound to it"
    yield from (f"  {line}" for interface in tunnel["interfaces"] for line in _state(interface))


def _state(interface: Row) -> Iterable[str]:
    if interface["state"] is None:
        yield f"interface {interface['name']}: not in force"
        return
    yield f"interface {interface['name']}: {interface['state']}" + (f" ({interface['reason']})" if interface["reason"] else "")
    ends = f"{interface['outer_source']} > {interface['outer_destination']}"
    yield f"  outer addresses {ends}, at most {interface['mtu_bytes']} bytes"
    if interface["device"] is not None:
        yield f"  next hop {interface['next_hop']} ({interface['mac'] or 'hardware address not known'}) by {interface['device']}"
    if (counters := interface["counters"]) is not None:
        drops = {reason: counters[f"{reason}_packets"] for reason in _DROPS}
        lost = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in drops.items() if n)
        yield f"  {counters['sent_packets']} packets, {counters['sent_bytes']} bytes sent; dropped: {lost or 'none'}"
