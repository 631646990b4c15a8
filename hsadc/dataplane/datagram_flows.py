"""Flows that must not go on: those to real servers that are down, disabled or gone."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane.conntrack import Conntrack, Listener
from hsadc.dataplane.datagram_rules import Endpoint, Works, kept
from hsadc.intent.datagram import DatagramIntent

_log = logging.getLogger(__name__)


class KeptFlows:
    """The targets of each virtual server whose flows go on, as far as was seen to that: flows are not searched in vain."""

    def __init__(self) -> None:
        """Nothing was seen to."""
        self._kept: dict[int, frozenset[Endpoint]] = {}

    def change(
        self, number: int, old: DatagramIntent | None, new: DatagramIntent | None, works: Works
    ) -> dict[Listener, Collection[Endpoint]]:
        """Where flows may have to end after a change, and the targets whose flows go on there, for `end_flows`.

        Args:
            number: the virtual server's.
            old: it before; None when it was not in force, or that is not known.
            new: it now; None when it is no longer.
            works: says of a target whether its checks succeed.
        """
        if new is None:
            self._kept.pop(number, None)
            return {}
        alike = old is not None and (old.address, old.port, old.auto_snat) == (new.address, new.port, new.auto_snat)
        before = self._kept.get(number) if alike else None
        after = self._kept[number] = kept(new, works)
        if before is not None and before <= after:
            return {}
        # Another source of packets to real servers is for all flows: they begin anew.
        moved = old is not None and old.auto_snat != new.auto_snat
        return {(new.address, new.port): () if moved else after}


def end_flows(kept: Mapping[Listener, Collection[Endpoint]]) -> None:
    """Have the next packet of each begin a new flow.

    That some may go on is no reason to take back a change that is in force: what the system refuses is logged.

    Args:
        kept: by where clients send to, the targets whose flows go on.
    """
    try:
        with Conntrack() as conntrack:
            flows = conntrack.flows(kept)
            ending = [f for f in flows if (str(f.target), f.target_port) not in kept[f.listener, f.listener_port]]
            conntrack.forget(ending)
    except (NetlinkError, OSError):
        _log.exception("flows go on that should not")
