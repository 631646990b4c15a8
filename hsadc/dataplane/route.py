"""Static routes of the main table."""

from __future__ import annotations

import errno
from collections.abc import Hashable, Iterable, Mapping, Sequence

from pyroute2 import NetlinkError

from hsadc.dataplane.netlink import Netlink, Route
from hsadc.errors import ApplyError
from hsadc.intent.route import RouteIntent


class RouteDriver:
    """The driver of `RouteIntent`, for one transaction. It does not own the socket."""

    kind = "route"

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._rows: Sequence[tuple[Route, RouteIntent]] = ()

    def observe(self, wanted: Mapping[Hashable, RouteIntent]) -> Mapping[Hashable, RouteIntent]:
        """Our routes, and those of others that are exactly what is wanted."""
        self._rows = self._read()
        return _present(self._rows, wanted)

    def prepare(self, wanted: Mapping[Hashable, RouteIntent]) -> None:
        """See that none of the observed routes is one of others and would have to give way.

        Raises:
            ApplyError: one has the destination and the metric of a wanted route, but leads elsewhere.
        """
        present = _present(self._rows, wanted)
        for route, intent in self._rows:
            new = None if route.ours else wanted.get(intent.key)
            if new is not None and present.get(intent.key) != new:
                cause = f"the system has a route {intent} of its own with this metric; choose another distance"
                raise ApplyError(f"create route {new}", cause)

    def create(self, new: RouteIntent) -> None:
        """Add the route; refused when there is any of its destination and metric."""
        self._netlink.add_route(new.destination, new.metric, new.gateway, self._index(new))

    def change(self, old: RouteIntent, new: RouteIntent) -> None:  # noqa: ARG002  one key, so the kernel finds the old one
        """Put the new next hop in the old one's place: no packet finds neither."""
        self._netlink.replace_route(new.destination, new.metric, new.gateway, self._index(new))

    def delete(self, old: RouteIntent) -> None:
        """Remove the route if it is ours."""
        try:
            self._netlink.delete_route(old.destination, old.metric)
        except NetlinkError as e:
            if e.code != errno.ESRCH:  # the kernel removes routes by itself, with their device or its last address
                raise

    def _read(self) -> Sequence[tuple[Route, RouteIntent]]:
        names = {link.index: link.name for link in self._netlink.links()}
        routes = self._netlink.routes()
        direct = [r for r in routes if r.gateway is None and r.index is not None]
        return [(r, _intent(r, names, direct)) for r in routes]

    def _index(self, intent: RouteIntent) -> int | None:
        return None if intent.device is None else self._netlink.link(intent.device).index


def _present(rows: Iterable[tuple[Route, RouteIntent]], wanted: Mapping[Hashable, RouteIntent]) -> dict[Hashable, RouteIntent]:
    found: dict[Hashable, RouteIntent] = {}
    for route, intent in rows:
        if route.ours or (intent == wanted.get(intent.key) and intent.key not in found):
            found[intent.key] = intent
    return found


def _intent(route: Route, names: Mapping[int, str], direct: Iterable[Route]) -> RouteIntent:
    """As it would have been configured.

    A route to a gateway stays on its device when the gateway's subnet has moved to another device. It is shown with both, thus
    different from any that is wanted, and putting the wanted one in its place makes the kernel look for the device again.
    """
    device = None if route.index is None else names.get(route.index)
    shown = device if route.gateway is None or _moved(route, route.gateway, direct) else None
    return RouteIntent(route.destination, route.gateway, shown, route.metric)


def _moved(route: Route, gateway: object, direct: Iterable[Route]) -> bool:
    around = [r for r in direct if gateway in r.destination]
    longest = max((r.destination.prefixlen for r in around), default=0)
    nearest = {r.index for r in around if r.destination.prefixlen == longest}
    return bool(nearest) and route.index not in nearest
