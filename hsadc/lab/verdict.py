"""Everything that a demonstration found, and whether all of it is right; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hsadc.lab.capture import CaptureTotals
from hsadc.lab.compare import Comparison
from hsadc.lab.record import Connection, ServerReport
from hsadc.lab.scenario import Scenario
from hsadc.lab.topology import ADC


@dataclass(frozen=True, slots=True)
class Phase:
    """Some of the requests.

    Attributes:
        name: how they were sent, for people.
        connections: what the client recorded.
    """

    name: str
    connections: tuple[Connection, ...]

    @property
    def requests(self) -> int:
        """How many were to be sent."""
        return sum(len(c.exchanges) for c in self.connections)

    @property
    def failures(self) -> Counter[str]:
        """How many failed, by why."""
        return Counter(e.error for c in self.connections for e in c.exchanges if e.error is not None)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was seen at the client, at the real servers and at the analyzer.

    Attributes:
        scenario: what was shown.
        phases: the client's side.
        servers: the real servers' side.
        totals: what the capture says of itself.
        comparison: the analyzer's side against the client's.
        device_status: the exit status of hsadc when it was asked to end.
    """

    scenario: Scenario
    phases: tuple[Phase, ...]
    servers: tuple[ServerReport, ...]
    totals: CaptureTotals
    comparison: Comparison
    device_status: int

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each thing that is not as it must be."""
        return (*self._client_problems(), *self._server_problems(), *self._capture_problems(), *self.comparison.problems)

    def _client_problems(self) -> Iterator[str]:
        for phase in self.phases:
            for why, count in phase.failures.items():
                yield f"{count} requests failed ({phase.name}): {why}"
        ports = Counter(c.port for p in self.phases for c in p.connections if c.port)
        if reused := [port for port, count in ports.items() if count > 1]:
            yield f"the client used these ports more than once, so its connections cannot be told apart: {reused}"

    def _server_problems(self) -> Iterator[str]:
        answered = sum(p.requests - p.failures.total() for p in self.phases)
        served = sum(sum(s.requests.values()) for s in self.servers)
        if served != answered:
            yield f"the client has {answered} answers, the real servers gave {served}"
        for server in self.servers:
            if not server.requests:
                yield f"real server {server.name} got no request"
            for address, count in server.requests.items():
                if address != str(ADC):
                    yield f"real server {server.name} got {count} requests from {address}, not from {ADC}"

    def _capture_problems(self) -> Iterator[str]:
        if self.totals.dropped:
            yield f"the capture at the analyzer dropped {self.totals.dropped} packets: nothing can be proved"
        if self.device_status:
            yield f"hsadc ended with status {self.device_status}"
