"""The demonstration's tables: plain text that fits 100 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hsadc.lab.compare import Comparison
from hsadc.lab.decode import describe
from hsadc.lab.record import ServerReport
from hsadc.lab.scenario import Scenario
from hsadc.lab.topology import ANALYZER, CLIENT
from hsadc.lab.verdict import Findings, Phase


def render(findings: Findings, examples: Iterable[bytes]) -> tuple[str, ...]:
    """The whole report, one string a line.

    Args:
        findings: what was seen.
        examples: frames of the capture to show decoded.
    """
    verdict = [f"  {problem}" for problem in findings.problems]
    return (
        "",
        *_requests(findings.scenario, findings.phases),
        "",
        *_servers(findings.servers),
        "",
        *_mirror(findings.comparison, findings.totals.dropped),
        "",
        *_bytes(findings.scenario, findings.comparison),
        "",
        *_examples(examples),
        *(("WRONG:", *verdict) if verdict else ("Everything is right: the analyzer got every byte, once, and nothing else.",)),
    )


def _requests(scenario: Scenario, phases: Sequence[Phase]) -> list[str]:
    rows = []
    for phase in phases:
        failed = phase.failures.total()
        rows.append((phase.name, len(phase.connections), phase.requests, phase.requests - failed, failed))
    return [
        f"Requests from {CLIENT} to {scenario.url}",
        *_table(("how", "connections", "sent", "answered", "failed"), rows),
    ]


def _servers(servers: Sequence[ServerReport]) -> list[str]:
    rows = [(s.name, count, address) for s in servers for address, count in s.requests.items() or [("-", 0)]]
    return ["Real servers", *_table(("server", "requests", "from address"), rows)]


def _mirror(found: Comparison, dropped: int) -> list[str]:
    rows = [(f"{source} > {destination}", ttl, count) for (source, destination, ttl), count in found.arrivals.items()]
    repeated = found.to_server.repeated + found.to_client.repeated
    again = found.to_server.retransmitted + found.to_client.retransmitted
    return [
        f"GRE packets at the analyzer {ANALYZER}",
        *_table(("outer addresses", "ttl", "packets"), rows),
        f"  inside: {found.segments:,} TCP packets; wrong checksums: {found.bad_ip:,} IP, {found.bad_tcp:,} TCP",
        f"  copied twice: {repeated:,}; retransmitted by TCP: {again:,}; dropped by the capture: {dropped:,}",
    ]


def _bytes(scenario: Scenario, found: Comparison) -> list[str]:
    rows = [
        (name, tally.recorded, tally.mirrored, tally.missing, tally.different, tally.surplus)
        for name, tally in (("client > ADC", found.to_server), ("ADC > client", found.to_client))
    ]
    inside = ", inside TLS where the client is" if scenario.client_tls else ""
    return [
        f"Bytes of the TCP streams{inside}",
        *_table(("direction", "client", "mirror", "missing", "different", "surplus"), rows),
    ]


def _examples(frames: Iterable[bytes]) -> list[str]:
    lines = []
    for number, frame in enumerate(frames, 1):
        lines += [f"Mirrored packet {number}, as Scapy reads it", *(f"  {line}"[:100] for line in describe(frame)), ""]
    return lines


def _table(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> list[str]:
    """A header and rows, indented; numbers to the right, words to the left."""
    body = list(rows)
    cells = [list(header), *([f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in body)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(row[i], int) for row in body) for i in range(len(header))]
    return [
        "  " + "  ".join(f"{cell:>{w}}" if r else f"{cell:<{w}}" for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]
