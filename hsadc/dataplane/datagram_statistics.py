"""What was counted of virtual servers of type udp, and the flows that they have now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hsadc.dataplane.conntrack import Flow
from hsadc.dataplane.datagram_rules import Endpoint, endpoint, server_counter, target_counter, targets
from hsadc.dataplane.prober import ProbeState
from hsadc.intent.datagram import DatagramIntent, DatagramTarget
from hsadc.intent.probe import Probe


@dataclass(frozen=True, slots=True)
class DatagramCounters:
    """What was counted since the virtual server came into force or the counters were cleared; bytes are those of IP packets.

    Attributes:
        flows: begun in all.
        packets_in: from clients.
        bytes_in: from clients.
        packets_out: to clients.
        bytes_out: to clients.
        refused: datagrams that were answered by an ICMP error, because no real server works; 0 of a real server.
    """

    flows: int
    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int
    refused: int = 0


@dataclass(frozen=True, slots=True)
class DatagramTargetStatistics:
    """A real server of a virtual server.

    Attributes:
        target: the real server, with its address and port.
        tier: from 0, the first one in whose place the others stand.
        serving: whether it gets new flows now.
        check: how its checks are; None when it is not checked.
        counters: its own; those of real servers of one address and port are the same.
    """

    target: DatagramTarget
    tier: int
    serving: bool
    check: ProbeState | None
    counters: DatagramCounters


@dataclass(frozen=True, slots=True)
class DatagramStatistics:
    """A virtual server's counters.

    Attributes:
        id: the virtual server's number.
        clients: of all its traffic.
        real_servers: each real server's, tier by tier; one that is in several tiers is there in each.
    """

    id: int
    clients: DatagramCounters
    real_servers: tuple[DatagramTargetStatistics, ...]


@dataclass(frozen=True, slots=True)
class DatagramSession:
    """A flow that goes on.

    Attributes:
        virtual_server: the virtual server's number.
        real_server: name; None when what answers is none of the virtual server's any more.
        flow: its client, the addresses and ports, what was counted of it, and when it expires.
    """

    virtual_server: int
    real_server: str | None
    flow: Flow


def statistics_of(
    server: DatagramIntent,
    counted: Mapping[str, tuple[int, int]],
    taking: Collection[Endpoint],
    state: Callable[[Probe], ProbeState],
) -> DatagramStatistics:
    """A virtual server's counters.

    Args:
        server: the virtual server.
        counted: packets and bytes by the counter's name.
        taking: the targets that get new flows.
        state: how a probe is.
    """

    def counters(name: Callable[[str], str]) -> DatagramCounters:
        into, out, flows, refused = (counted.get(name(what), (0, 0)) for what in ("in", "out", "flows", "refused"))
        return DatagramCounters(flows[0], *into, *out, refused[0])

    def real_server(number: int, target: DatagramTarget) -> DatagramTargetStatistics:
        check = None if target.probe is None or target.state == "disable" else state(target.probe)
        own = counters(lambda what: target_counter(server.id, target, what))
        return DatagramTargetStatistics(target, number, endpoint(target) in taking, check, own)

    return DatagramStatistics(
        server.id,
        counters(lambda what: server_counter(server.id, what)),
        tuple(real_server(number, target) for number, tier in enumerate(server.tiers) for target in tier.targets),
    )


def sessions_of(servers: Iterable[DatagramIntent], flows: Iterable[Flow]) -> Iterator[DatagramSession]:
    """The flows of virtual servers, with the names of the real servers."""
    known = {(server.address, server.port): (server.id, _names(server)) for server in servers}
    for flow in flows:
        number, names = known[flow.listener, flow.listener_port]
        yield DatagramSession(number, names.get((str(flow.target), flow.target_port)), flow)


def _names(server: DatagramIntent) -> dict[Endpoint, str]:
    return {endpoint(t): t.real_server for t in reversed(list(targets(server)))}
