"""`show mirror counters`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hsadc.cli.show.table import table

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_RULE = ("Matched", "Matched bytes", "Copied", "Failed", "Fragments")
_TUNNEL = ("Sent", "Sent bytes", "Split", "No route", "No neighbour", "Oversize", "Not IP", "Analyzer", "Refused")


def do_show_mirror_counters(session: Session) -> Iterable[str]:
    """In packets, unless bytes are said: what each virtual server's rule matched, and what became of the copies.

    A copy is counted once: as sent, or under the reason why it was dropped (all columns from `No route` on). Copies that were
    split count as sent, each piece once.
    """
    if (dataplane := session.device.dataplane) is None:
        return ("The dataplane is off: nothing is mirrored.",)
    counters = dataplane.mirror_counters()
    names = {v.id: v.name for v in session.device.running.virtual_server.values()}
    rules = [
        (names.get(number), number, r.matched_packets, r.matched_bytes, r.cloned, r.clone_failed, r.fragmented)
        for number, r in sorted(counters.rules.items())
    ]
    tunnels = [
        (
            name,
            t.sent_packets,
            t.sent_bytes,
            t.split,
            t.no_route,
            t.no_neighbour,
            t.oversize,
            t.not_ip,
            t.analyzer,
            t.encapsulation,
        )
        for name, t in sorted(counters.tunnels.items())
    ]
    if not rules and not tunnels:
        return ("Nothing is mirrored.",)
    return [*table(("Virtual server", "Id", *_RULE), rules), "", *table(("Interface", *_TUNNEL), tunnels)]
