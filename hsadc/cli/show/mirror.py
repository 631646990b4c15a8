"""`show mirror counters`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING

from hsadc.cli.show.table import table

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_mirror_counters(session: Session) -> Iterable[str]:
    """What each virtual server's rule matched, and what became of the copies of each tunnel interface."""
    if (dataplane := session.device.dataplane) is None:
        return ("The dataplane is off: nothing is mirrored.",)
    counters = dataplane.mirror_counters()
    names = {v.id: v.name for v in session.device.running.virtual_server.values()}
    rules = [(names.get(number, "-"), number, *_values(c)) for number, c in sorted(counters.rules.items())]
    tunnels = [(name, *_values(c)) for name, c in sorted(counters.tunnels.items())]
    if not rules and not tunnels:
        return ("Nothing is mirrored.",)
    return [
        *table(("Virtual server", "Id", *_heads(next(iter(counters.rules.values()), None))), rules),
        "",
        *table(("Tunnel interface", *_heads(next(iter(counters.tunnels.values()), None))), tunnels),
    ]


def _heads(counters: object) -> list[str]:
    """The counters' names as column heads: `sent_packets` is `Sent packets`."""
    return [] if counters is None else [f.name.replace("_", " ").capitalize() for f in fields(counters)]  # type: ignore[arg-type]


def _values(counters: object) -> list[int]:
    return [getattr(counters, f.name) for f in fields(counters)]  # type: ignore[arg-type]
