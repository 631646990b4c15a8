"""Does the mirror show what happened? What the client recorded against what the analyzer got, byte by byte; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from hsadc.errors import WireError
from hsadc.lab.copied import Segment, decapsulate, segment
from hsadc.lab.record import Connection
from hsadc.lab.tally import Tally, tally

Endpoint = tuple[IPv4Address, int]
Arrival = tuple[IPv4Address, IPv4Address, int]


@dataclass(frozen=True, slots=True)
class Route:
    """The way that copies must have taken, and whose traffic they must be.

    Attributes:
        source: outer source, the ADC.
        destination: outer destination, the analyzer.
        ttl: outer time to live on arrival.
        client: the client's address.
        server: the virtual server's address and port.
    """

    source: IPv4Address
    destination: IPv4Address
    ttl: int
    client: IPv4Address
    server: Endpoint


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the analyzer got.

    Attributes:
        arrivals: GRE packets by outer source, outer destination and time to live.
        segments: TCP segments that were in them.
        bad_ip: copied packets whose IP checksum is wrong.
        bad_tcp: copied packets whose TCP checksum is wrong.
        to_server: what the client sent.
        to_client: what the client received.
        problems: a line for each thing that is not as it must be; empty when the mirror is faithful.
    """

    arrivals: Mapping[Arrival, int]
    segments: int
    bad_ip: int
    bad_tcp: int
    to_server: Tally
    to_client: Tally
    problems: tuple[str, ...]


def compare(frames: Iterable[bytes], connections: Sequence[Connection], route: Route) -> Comparison:
    """Compare a capture at the analyzer with what the client recorded.

    Args:
        frames: Ethernet frames in the order of arrival.
        connections: all connections of the client while the capture ran, each with another port.
        route: the way that copies must have taken.
    """
    seen = _open(frames)
    ups, downs, strangers = _sort(seen.segments, connections, route)
    to_server = sum((tally(c.sent, ups[c.port]) for c in connections if c.port), Tally())
    to_client = sum((tally(c.received, downs[c.port]) for c in connections if c.port), Tally())
    bad_ip, bad_tcp = sum(not s.ip_sound for s in seen.segments), sum(not s.tcp_sound for s in seen.segments)
    problems = [
        *_route_problems(seen.arrivals, route),
        *(f"{n} packets that are no copies of TCP: {why}" for why, n in seen.undecodable.items()),
        *([f"{bad_ip} copied packets with a wrong IP checksum"] if bad_ip else []),
        *([f"{bad_tcp} copied packets with a wrong TCP checksum"] if bad_tcp else []),
        *(f"{n} segments of no recorded connection: {who}" for who, n in strangers.items()),
        *_tally_problems("client to ADC", to_server),
        *_tally_problems("ADC to client", to_client),
    ]
    return Comparison(seen.arrivals, len(seen.segments), bad_ip, bad_tcp, to_server, to_client, tuple(problems))


@dataclass(slots=True)
class _Opened:
    """A capture, unpacked."""

    arrivals: Counter[Arrival] = field(default_factory=Counter)
    undecodable: Counter[str] = field(default_factory=Counter)
    segments: list[Segment] = field(default_factory=list)


def _open(frames: Iterable[bytes]) -> _Opened:
    opened = _Opened()
    for frame in frames:
        try:
            copy = decapsulate(frame)
            opened.arrivals[copy.source, copy.destination, copy.ttl] += 1
            opened.segments.append(segment(copy.packet))
        except WireError as e:
            opened.undecodable[str(e)] += 1
    return opened


def _sort(
    segments: Iterable[Segment], connections: Sequence[Connection], route: Route
) -> tuple[Mapping[int, list[Segment]], Mapping[int, list[Segment]], Counter[str]]:
    """The segments to the virtual server and from it, by the client's port; and how many are of no recorded connection."""
    ups: defaultdict[int, list[Segment]] = defaultdict(list)
    downs: defaultdict[int, list[Segment]] = defaultdict(list)
    strangers: Counter[str] = Counter()
    known = {(route.client, c.port) for c in connections}
    for s in segments:
        if s.destination == route.server and s.source in known:
            ups[s.source[1]].append(s)
        elif s.source == route.server and s.destination in known:
            downs[s.destination[1]].append(s)
        else:
            strangers[f"{s.source[0]}:{s.source[1]} > {s.destination[0]}:{s.destination[1]}"] += 1
    return ups, downs, strangers


def _route_problems(arrivals: Mapping[Arrival, int], route: Route) -> Iterable[str]:
    if not arrivals:
        yield "no GRE packet reached the analyzer"
    for (source, destination, ttl), n in arrivals.items():
        if (source, destination) != (route.source, route.destination):
            yield f"{n} GRE packets from {source} to {destination}, not from {route.source} to {route.destination}"
        if ttl != route.ttl:
            yield f"{n} GRE packets arrived with TTL {ttl}, not {route.ttl}"


def _tally_problems(direction: str, found: Tally) -> Iterable[str]:
    wrong = {
        "bytes missing": found.missing,
        "bytes not as they were": found.different,
        "bytes too many": found.surplus,
        "segments copied more than once": found.repeated,
        "streams without their SYN": found.unopened,
        "streams without their FIN": found.unclosed,
    }
    return [f"{direction}: {n} {what}" for what, n in wrong.items() if n]
