"""`show mirror counters`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Row, table

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.bpf.records import TunnelCounters

_RULE = {
    "Virtual server": "name",
    "Id": "id",
    "Matched": "matched_packets",
    "Matched bytes": "matched_bytes",
    "Copied": "copied_packets",
    "Failed": "failed_packets",
    "Fragments": "fragmented_packets",
}
_TUNNEL = {
    "Interface": "interface",
    "Sent": "sent_packets",
    "Sent bytes": "sent_bytes",
    "Split": "split_packets",
    "No route": "no_route_packets",
    "No neighbour": "no_neighbour_packets",
    "Oversize": "oversize_packets",
    "Not IP": "not_ip_packets",
    "Analyzer": "analyzer_packets",
    "Refused": "refused_packets",
}


def do_show_mirror_counters(session: Session) -> Shown:
    """In packets, unless bytes are said: what each virtual server's rule matched, and what became of the copies.

    A copy is counted once: as sent, or under the reason why it was dropped (all columns from `No route` on). Copies that were
    split count as sent, each piece once.
    """
    if (dataplane := session.device.dataplane) is None:
        return Shown({"virtual_servers": [], "tunnels": []}, ("The dataplane is off: nothing is mirrored.",))
    counters = dataplane.mirror_counters()
    names = {v.id: v.name for v in session.device.running.virtual_server.values()}
    rules = [
        {
            "name": names.get(number),
            "id": number,
            "matched_packets": r.matched_packets,
            "matched_bytes": r.matched_bytes,
            "copied_packets": r.cloned,
            "failed_packets": r.clone_failed,
            "fragmented_packets": r.fragmented,
        }
        for number, r in sorted(counters.rules.items())
    ]
    tunnels = [{"interface": name, **tunnel_counters(t)} for name, t in sorted(counters.tunnels.items())]
    data = {"virtual_servers": rules, "tunnels": tunnels}
    if not rules and not tunnels:
        return Shown(data, ("Nothing is mirrored.",))
    return Shown(data, [*table(_RULE, rules), "", *table(_TUNNEL, tunnels)])


def tunnel_counters(counters: TunnelCounters) -> Row:
    """What became of the copies for one tunnel interface."""
    return {
        "sent_packets": counters.sent_packets,
        "sent_bytes": counters.sent_bytes,
        "split_packets": counters.split,
        "no_route_packets": counters.no_route,
        "no_neighbour_packets": counters.no_neighbour,
        "oversize_packets": counters.oversize,
        "not_ip_packets": counters.not_ip,
        "analyzer_packets": counters.analyzer,
        "refused_packets": counters.encapsulation,
    }
