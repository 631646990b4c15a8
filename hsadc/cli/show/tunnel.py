"""`show tunnel gre`, `erspan`, `vxlan`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from hsadc.cli.show.destination import encapsulated, in_force, outer_line, standing, state_text, way_lines
from hsadc.cli.show.mirror import destination_counters, drops
from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Row
from hsadc.errors import DanglingReference
from hsadc.model.title import title
from hsadc.model.tunnel import TUNNELS, Tunnel

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_RENAMED = {"interface": "egress"}
_SHOWN_APART = ("name", "description", "source", "destination", "interface")


def do_show_tunnel_gre(session: Session, name: str | None = None) -> Shown:
    """GRE tunnels: what is configured, and for each interface bound to one how it stands."""
    return _show(session, "gre", name)


def do_show_tunnel_erspan(session: Session, name: str | None = None) -> Shown:
    """ERSPAN tunnels, as GRE tunnels."""
    return _show(session, "erspan", name)


def do_show_tunnel_vxlan(session: Session, name: str | None = None) -> Shown:
    """VXLAN tunnels, as GRE tunnels."""
    return _show(session, "vxlan", name)


def _show(session: Session, kind: str, name: str | None) -> Shown:
    section = TUNNELS[kind]
    tunnels: Mapping[str, Tunnel] = getattr(session.device.running, section)
    if name is not None and name not in tunnels:
        raise DanglingReference(title(section, name), "there is no such object")
    rows = [_tunnel(session, kind, t) for t in tunnels.values() if name in (None, t.name)]
    return Shown({"tunnels": rows}, (line for row in rows for line in _lines(section, row)))


def _tunnel(session: Session, kind: str, tunnel: Tunnel) -> Row:
    bound = [
        i.name
        for i in session.device.running.tunnel_interface.values()
        if i.tunnel and (i.tunnel.kind, i.tunnel.name) == (kind, tunnel.name)
    ]
    settings = {_RENAMED.get(f.name, f.name): getattr(tunnel, f.name) for f in fields(tunnel)}
    return {"type": kind, **settings, "interfaces": [_interface(session, name) for name in bound]}


def _interface(session: Session, name: str) -> Row:
    """Its values are null while it is not in force."""
    dataplane, intent = session.device.dataplane, in_force(session, name)
    counters = destination_counters(dataplane.mirror_counters().tunnel(name)) if dataplane and intent else None
    return {"name": name, **encapsulated(intent), **standing(session, name), "counters": counters}


def _lines(section: str, tunnel: Row) -> Iterator[str]:
    yield title(section, tunnel["name"])
    yield f"  source {tunnel['source'] or 'not set'}, destination {tunnel['destination'] or 'not set'}"
    egress = f"by {tunnel['egress']}" if tunnel["egress"] else "as the routing table says"
    settings = ", ".join(_setting(key, value) for key, value in tunnel.items() if _is_setting(key))
    yield f"  leaves {egress}"
    yield f"  {settings}"
    if tunnel["description"]:
        yield f"  description {tunnel['description']}"
    if not tunnel["interfaces"]:
        yield "  no interface is bound to it"
    yield from (f"  {line}" for interface in tunnel["interfaces"] for line in _state(interface))


def _is_setting(key: str) -> bool:
    return key not in ("type", "interfaces", "egress", *_SHOWN_APART)


def _setting(key: str, value: object) -> str:
    """As it is typed; what is off with `no` before it."""
    words = key.replace("_", "-")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return f"no {words}" if value is None else f"{words} {value}"


def _state(interface: Row) -> Iterator[str]:
    yield f"interface {interface['name']}: {state_text(interface)}"
    if interface["kind"] is not None:
        yield f"  {outer_line(interface)}"
    yield from (f"  {line}" for line in way_lines(interface))
    if (counters := interface["counters"]) is not None:
        lost = ", ".join(f"{number} {reason}" for reason, number in drops(counters))
        sent = f"{counters['sent_packets']} packets, {counters['sent_bytes']} bytes sent"
        yield f"  {counters['copies']} copies, {sent}; dropped: {lost or 'none'}"
    if interface["last_error"]["time"]:
        yield f"  last error {interface['last_error']['time']}: {interface['last_error']['reason']}"
