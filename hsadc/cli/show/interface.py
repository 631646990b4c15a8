"""`show interface`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.shown import Shown, shown_table
from hsadc.cli.show.table import Columns, Row
from hsadc.errors import ConfigError
from hsadc.intent.ports import Port, resolve_ports
from hsadc.model.interface import TunnelInterface
from hsadc.model.title import title

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_interface(session: Session, name: str | None = None) -> Shown:
    """Ethernet interfaces with what the kernel says of them, and tunnel interfaces."""
    running = session.device.running
    rows = [*_ports(session), *(_tunnel(session, t) for t in running.tunnel_interface.values())]
    shown = [r for r in rows if name in (None, r["name"])]
    if name is not None and not shown:
        section = "tunnel_interface" if name.startswith("tunnel") else "ethernet"
        raise ConfigError(title(section, name), "there is no such interface")
    return shown_table("interfaces", _COLUMNS, shown, session.width)


def _behind(row: Row) -> object:
    """What carries its packets: a Linux device, or a tunnel."""
    return row["device"] or (f'{row["tunnel_kind"]} "{row["tunnel"]}"' if row["tunnel"] else None)


def _addressed(row: Row) -> object:
    """What others reach it by; link-local addresses, which every device has, would only make the table wide."""
    return [*row["addresses"], *(a for a in row["ipv6_addresses"] if not a.ip.is_link_local)]


def _mirror(row: Row) -> object:
    """What its traffic is copied to."""
    return f'profile "{row["mirror_profile"]}"' if row["mirror_profile"] else row["mirror_interface"]


_COLUMNS: Columns = {
    "Interface": "name",
    "Device": _behind,
    "Admin": "admin",
    "Link": "link",
    "MTU": "mtu_bytes",
    "IP address": _addressed,
    "Mirror": _mirror,
    "Description": "description",
}


def _ports(session: Session) -> Iterator[Row]:
    dataplane = session.device.dataplane
    if dataplane is None:
        for e in session.device.running.ethernet.values():
            yield _row(e, device=e.device, mtu_bytes=e.mtu, addresses=e.addresses, ipv6_addresses=tuple(e.ipv6_addresses))
        return
    links, addresses, _ = dataplane.network()
    by_name = {link.name: link for link in links}
    for port in sorted(resolve_ports(session.device.running, dataplane.machine()), key=_order):
        link = by_name.get(port.device.name)
        state = "absent" if link is None else "up" if link.up else "down"
        held = [a.interface for a in addresses if link is not None and a.index == link.index]
        ipv4, ipv6 = ([a for a in held if a.version == version] for version in (4, 6))
        mtu = link.mtu_bytes if link is not None else None
        yield _row(port.ethernet, device=port.device.name, link=state, mtu_bytes=mtu, addresses=ipv4, ipv6_addresses=ipv6)


def _order(port: Port) -> list[int]:
    return [int(n) for n in port.ethernet.name.removeprefix("ethernet").split("/")]


def _tunnel(session: Session, interface: TunnelInterface) -> Row:
    dataplane, link, mtu = session.device.dataplane, None, None
    for tunnel in dataplane.intent.tunnels if dataplane else ():
        if dataplane and tunnel.interface == interface.name:
            link, mtu = dataplane.tunnel_state(interface.name).state, tunnel.inner_mtu_bytes
    kind, name = (interface.tunnel.kind, interface.tunnel.name) if interface.tunnel else (None, None)
    return _row(interface, tunnel_kind=kind, tunnel=name, link=link, mtu_bytes=mtu)


def _row(interface: Any, **known: object) -> Row:
    unknown = {"device": None, "tunnel_kind": None, "tunnel": None, "link": None, "mtu_bytes": None}
    addresses = {"addresses": (), "ipv6_addresses": ()}
    target = getattr(interface, "mirror_traffic", None)
    mirror = {
        "mirror_interface": target.name if target and target.kind == "interface" else None,
        "mirror_profile": target.name if target and target.kind == "profile" else None,
        "mirror_access_list": target.access_list if target else None,
        "mirror_direction": target.direction if target else None,
    }
    admin = "down" if interface.shutdown else "up"
    head = {"name": interface.name, "admin": admin}
    return {**head, **unknown, **addresses, **known, **mirror, "description": interface.description}
