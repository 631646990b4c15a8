"""Routes: one way to a network at a distance."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.config.change import Change
from hsadc.config.validate.found import Found
from hsadc.errors import Conflict
from hsadc.model.route import Route


def routes(change: Change) -> Iterator[Found]:
    """No two routes to one network have one distance."""
    first: dict[tuple[int, int, int], Route] = {}
    for route in change.after.routes.values() if change.touches("routes") else ():
        # Numbers, because the hash of a network takes longer than all the rest.
        key = int(route.destination.network_address), route.destination.prefixlen, route.distance
        other = first.setdefault(key, route)
        if other is not route:
            why = f"{other.next_hop} leads there at distance {route.distance} already, give another distance"
            yield "routes", "", Conflict(f"ip route {route}", why)
