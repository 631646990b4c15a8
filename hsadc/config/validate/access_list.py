"""Access lists: entries that can match something, and not too many."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict
from hsadc.model.access_list import AccessEntry

MOST_ENTRIES = 64
_WITH_PORTS = ("tcp", "udp", 6, 17)


def access_lists(change: Change) -> Iterator[Found]:
    """Each list by itself."""
    for name, access_list in change.changed("access_list").items():
        if (number := len(access_list.entries)) > MOST_ENTRIES:
            yield conflict("access_list", name, f"it has {number} entries, at most {MOST_ENTRIES} are possible")
        for entry in access_list.entries:
            if why := _contradiction(entry):
                yield conflict("access_list", name, f"{entry}: {why}")


def _contradiction(entry: AccessEntry) -> str | None:
    ends = entry.source, entry.destination
    if len({end.version for end in ends if end is not None}) > 1:
        return "one end is IPv4 and the other IPv6, they must be of one family"
    if (entry.source_ports or entry.destination_ports) and entry.protocol not in _WITH_PORTS:
        return f"{entry.protocol} has no ports, say tcp or udp"
    return None
