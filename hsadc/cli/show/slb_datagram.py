"""Virtual servers of type udp, told like the others: their flows are sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hsadc.cli.show.table import Row
from hsadc.intent.datagram import pools_of_tiers
from hsadc.model.config import Config

if TYPE_CHECKING:
    from hsadc.dataplane.datagram_statistics import (
        DatagramCounters,
        DatagramSession,
        DatagramStatistics,
        DatagramTargetStatistics,
    )
    from hsadc.dataplane.haproxy_statistics import Counters, ServerStatistics, VirtualServerStatistics
    from hsadc.dataplane.haproxy_words import ServerHealth


def of_datagrams(config: Config, seen: Mapping[int, DatagramStatistics]) -> Mapping[int, VirtualServerStatistics]:
    """What was counted of virtual servers of type udp, in the form of the others, by number."""
    from hsadc.dataplane.haproxy_statistics import Counters, VirtualServerStatistics

    pools = {v.id: pools_of_tiers(config, v) for v in config.virtual_server.values() if v.id in seen}
    return {
        number: VirtualServerStatistics(
            number,
            _counters(found.clients),
            None,
            Counters(),
            tuple(_server(pools.get(number, ()), target) for target in found.real_servers),
        )
        for number, found in seen.items()
    }


def _server(pools: tuple[str, ...], seen: DatagramTargetStatistics) -> ServerStatistics:
    from hsadc.dataplane.haproxy_statistics import ServerStatistics

    pool = pools[seen.tier] if seen.tier < len(pools) else ""
    return ServerStatistics("", seen.tier + 1, pool, seen.target.real_server, _health(seen), _counters(seen.counters))


def _health(seen: DatagramTargetStatistics) -> ServerHealth:
    from hsadc.dataplane.haproxy_words import ServerHealth

    check, target = seen.check, seen.target
    working = check is None or check.up
    state = "disabled" if target.state == "disable" else "up" if working else "down"
    since_s = int((datetime.now(UTC) - check.since).total_seconds()) if check is not None else None
    weight = target.weight if target.state == "enable" else 0
    return ServerHealth(state, check is not None, None, since_s, check.words if check is not None else None, None, weight)


def _counters(seen: DatagramCounters) -> Counters:
    from hsadc.dataplane.haproxy_statistics import Counters

    return Counters(sessions_total=seen.flows, bytes_in=seen.bytes_in, bytes_out=seen.bytes_out, requests_denied=seen.refused)


def flow_row(session: DatagramSession, names: Mapping[int, str]) -> Row:
    """A flow as `show slb session` has it."""
    flow = session.flow
    client = f"[{flow.client}]" if flow.client.version == 6 else str(flow.client)
    return {
        "client": f"{client}:{flow.client_port}",
        "virtual_server": names.get(session.virtual_server),
        "server_pool": None,
        "real_server": session.real_server,
        "age_s": None,
        "in_bytes": flow.bytes_in,
        "out_bytes": flow.bytes_out,
    }
