"""`show ip route`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Row

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_LEGEND = "Codes: C - connected, S - static of this configuration, K - made by the system; > - the kernel uses it"


def do_show_ip_route(session: Session) -> Shown:
    """The kernel's main table, and the static routes that are not in force."""
    routes = list(_routes(session))
    kept_only = session.device.dataplane is None
    return Shown({"routes": routes}, (_LEGEND, *(_line(r, kept_only) for r in routes)))


def _routes(session: Session) -> Iterator[Row]:
    """`in_force` is null where there is no dataplane."""
    running, dataplane = session.device.running, session.device.dataplane
    links, _, routes = dataplane.network() if dataplane else ((), (), ())
    names = {link.index: link.name for link in links}
    for r in sorted(routes, key=lambda r: (r.destination, r.metric)):
        origin = "static" if r.ours else "connected" if r.gateway is None and r.metric == 0 else "system"
        yield _row(r.destination, r.metric, r.gateway, names.get(r.index or 0), origin, True)
    in_force = {(r.destination, r.metric) for r in routes if r.ours}
    for s in running.routes.values():
        if (s.destination, s.distance) not in in_force:
            by_name = isinstance(s.next_hop, str)
            gateway, interface = (None, s.next_hop) if by_name else (s.next_hop, None)
            yield _row(s.destination, s.distance, gateway, interface, "static", None if dataplane is None else False)


def _row(destination: object, distance: int, gateway: object, device: object, origin: str, in_force: bool | None) -> Row:
    return {
        "destination": destination,
        "distance": distance,
        "gateway": gateway,
        "interface": device,
        "origin": origin,
        "in_force": in_force,
    }


def _line(route: Row, kept_only: bool) -> str:
    code = {"static": "S", "connected": "C", "system": "K"}[route["origin"]]
    head = f"{code}{'>' if route['in_force'] else ' '} {route['destination']} [{route['distance']}]"
    if route["in_force"]:
        how = f"via {route['gateway']}" if route["gateway"] else "is directly connected"
        return f"{head} {how}, {route['interface'] or '-'}"
    return f"{head} via {route['gateway'] or route['interface']}" + ("" if kept_only else ", not in force")
