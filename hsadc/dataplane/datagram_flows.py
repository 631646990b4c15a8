"""Flows that must not go on: those to real servers that are down, disabled or gone."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane.conntrack import Conntrack, Listener
from hsadc.dataplane.datagram_rules import Endpoint

_log = logging.getLogger(__name__)


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
