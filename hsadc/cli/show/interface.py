"""`show interface`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from hsadc.cli.show.table import table
from hsadc.errors import ConfigError
from hsadc.intent.ports import Port, resolve_ports
from hsadc.model.interface import TunnelInterface
from hsadc.model.title import title

if TYPE_CHECKING:
    from hsadc.cli.session import Session

HEAD = ("Interface", "Device", "Admin", "Link", "MTU", "IP address", "Description")


def do_show_interface(session: Session, name: str | None = None) -> Iterable[str]:
    """Ethernet interfaces with what the kernel says of them, and tunnel interfaces."""
    running = session.device.running
    rows = [*_ports(session), *(_tunnel(session, t) for t in running.tunnel_interface.values())]
    shown = [r for r in rows if name in (None, r[0])]
    if name is not None and not shown:
        section = "tunnel_interface" if name.startswith("tunnel") else "ethernet"
        raise ConfigError(title(section, name), "there is no such interface")
    return table(HEAD, shown)


def _ports(session: Session) -> Iterator[Sequence[object]]:
    dataplane = session.device.dataplane
    if dataplane is None:
        for e in session.device.running.ethernet.values():
            yield e.name, e.device, "down" if e.shutdown else "up", None, e.mtu, " ".join(map(str, e.addresses)), e.description
        return
    links, addresses, _ = dataplane.network()
    by_name = {link.name: link for link in links}
    for port in sorted(resolve_ports(session.device.running, dataplane.inventory()), key=_order):
        link = by_name.get(port.device.name)
        state = "absent" if link is None else "up" if link.up else "down"
        held = [str(a.interface) for a in addresses if link is not None and a.index == link.index]
        admin = "down" if port.ethernet.shutdown else "up"
        mtu = link.mtu_bytes if link is not None else None
        yield port.ethernet.name, port.device.name, admin, state, mtu, " ".join(held) or None, port.ethernet.description


def _order(port: Port) -> list[int]:
    return [int(n) for n in port.ethernet.name.removeprefix("ethernet").split("/")]


def _tunnel(session: Session, interface: TunnelInterface) -> Sequence[object]:
    admin = "down" if interface.shutdown else "up"
    dataplane, link, mtu = session.device.dataplane, None, None
    for tunnel in dataplane.intent.tunnels if dataplane else ():
        if dataplane and tunnel.interface == interface.name:
            link, mtu = dataplane.tunnel_state(interface.name).state, tunnel.inner_mtu_bytes
    device = f'gre "{interface.tunnel}"' if interface.tunnel else None
    return interface.name, device, admin, link, mtu, None, interface.description
