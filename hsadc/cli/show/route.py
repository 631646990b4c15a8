"""`show ip route`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_LEGEND = "Codes: C - connected, S - static of this configuration, K - made by the system; > - the kernel uses it"


def do_show_ip_route(session: Session) -> Iterable[str]:
    """The kernel's main table, and the static routes that are not in force."""
    running, dataplane = session.device.running, session.device.dataplane
    yield _LEGEND
    if dataplane is None:
        for route in running.routes.values():
            yield f"S  {route.destination} [{route.distance}] via {route.next_hop}"
        return
    links, _, routes = dataplane.network()
    names = {link.index: link.name for link in links}
    for kernel_route in sorted(routes, key=lambda r: (r.destination, r.metric)):
        code = "S" if kernel_route.ours else "C" if kernel_route.gateway is None and kernel_route.metric == 0 else "K"
        how = f"via {kernel_route.gateway}" if kernel_route.gateway else "is directly connected"
        yield f"{code}> {kernel_route.destination} [{kernel_route.metric}] {how}, {names.get(kernel_route.index or 0, '-')}"
    in_force = {(r.destination, r.metric) for r in routes if r.ours}
    for route in running.routes.values():
        if (route.destination, route.distance) not in in_force:
            yield f"S  {route.destination} [{route.distance}] via {route.next_hop}, not in force"
