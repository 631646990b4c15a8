"""`hsadc lab`: the article's experiment from the first packet to the verdict, or kept running for a person."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from hsadc.dataplane.run import attach
from hsadc.errors import ApplyError, Conflict
from hsadc.lab import network
from hsadc.lab.capture import Capture, check_tcpdump
from hsadc.lab.certificates import CLIENTS_AUTHORITY, make_files
from hsadc.lab.compare import compare
from hsadc.lab.decode import pick
from hsadc.lab.equipment import Servers, run_client, start_device
from hsadc.lab.interrupt import Interrupt, Interrupted
from hsadc.lab.pcap import frames
from hsadc.lab.report import render
from hsadc.lab.runtime import Runtime, check_root, claim
from hsadc.lab.scenario import ARTICLE, Scenario
from hsadc.lab.topology import NODES, PREFIX, namespace_of
from hsadc.lab.verdict import Findings, Phase

Write = Callable[[str], object]

REQUESTS = 200
CONCURRENCY = 20
_STOPPED = 130
"""Exit status of a shell for a command that Ctrl-C ended."""


def run_demo(scenario: Scenario = ARTICLE, *, keep_pcap: Path | None = None, write: Write) -> int:
    """Make the network, send real requests through a real hsadc, compare the mirror with what happened, remove everything.

    Args:
        scenario: what is shown.
        keep_pcap: where to leave a copy of the analyzer's capture.
        write: takes each line of text for the operator, such as `print`.

    Returns:
        The exit status: 0 only when everything was right, 130 when the operator stopped it.

    Raises:
        Unsupported: not root, or no tcpdump.
        Conflict: a lab is up, or another command is at work on it.
        ApplyError: a part of the lab could not be made or ended by itself.
    """
    check_tcpdump()
    with claim(PREFIX) as runtime:
        _expect_down(runtime)
        try:
            with Interrupt() as interrupt:
                _begin(runtime)
                try:
                    findings, capture = _experiment(scenario, runtime, interrupt, write)
                finally:
                    _remove(runtime)
            if keep_pcap is not None:
                _keep(keep_pcap, capture)
            for line in render(findings, pick(frames(capture))):
                write(line)
        except Interrupted:
            write("stopped; the lab is removed")
            return _STOPPED
    return 1 if findings.problems else 0


def up(scenario: Scenario = ARTICLE, *, write: Write) -> int:
    """Make the network, the servers and the device, and leave them running; raises as `run_demo` does."""
    with claim(PREFIX) as runtime:
        _expect_down(runtime)
        try:
            with Interrupt() as interrupt:
                _begin(runtime)
                try:
                    network.create(PREFIX)
                    make_files(runtime.imported, runtime.files)
                    Servers(runtime, interrupt, scenario)
                    start_device(runtime, interrupt, scenario)
                    runtime.up.touch()
                except BaseException:
                    _remove(runtime)
                    raise
        except Interrupted:
            write("stopped; the lab is removed")
            return _STOPPED
    write(f"the lab is up: {', '.join(namespace_of(PREFIX, node) for node in NODES)}")
    authority = f"--cacert {runtime.files / CLIENTS_AUTHORITY} " if scenario.client_tls else ""
    write(f"requests: nsenter --net=/run/netns/{namespace_of(PREFIX, 'client')} curl {authority}{scenario.url}bytes/1400")
    write(f"mirror:   nsenter --net=/run/netns/{namespace_of(PREFIX, 'analyzer')} tcpdump -ni eth0 proto gre")
    write("shell of the ADC: hsadc lab shell; the end: hsadc lab down")
    return 0


def shell(*, write: Write) -> int:
    """The shell of the lab's ADC on this terminal; returns its exit status.

    Raises:
        Unsupported: not root.
        Conflict: no lab is up.
    """
    check_root()
    runtime = Runtime(PREFIX)
    if not runtime.up.exists():
        raise Conflict("lab", "it is not up: `hsadc lab up` first")
    write(f"the shell of {namespace_of(PREFIX, 'adc')}; the lab stays up when you leave it")
    return attach([sys.executable, "-m", "hsadc", "--state-dir", str(runtime.state)])


def down(*, write: Write) -> int:
    """Remove the lab, whole or in pieces; raises Unsupported and Conflict as `run_demo` does."""
    with claim(PREFIX) as runtime, Interrupt():
        _remove(runtime)
    write("the lab is removed")
    return 0


def _experiment(scenario: Scenario, runtime: Runtime, interrupt: Interrupt, write: Write) -> tuple[Findings, bytes]:
    """What the article did; returns what was found and the bytes of the capture file."""
    write("network: client, ADC, three real servers, router, analyzer")
    network.create(runtime.prefix)
    make_files(runtime.imported, runtime.files)
    with ExitStack() as running:
        write("real servers: rs33, rs34, rs35")
        servers = Servers(runtime, interrupt, scenario)
        running.callback(servers.stop)
        write(f"ADC: hsadc with samples/{scenario.sample}")
        device = start_device(runtime, interrupt, scenario)
        running.callback(device.stop)
        analyzer = namespace_of(runtime.prefix, "analyzer")
        capture = Capture(runtime.files / "mirror.pcap", namespace=analyzer, interrupt=interrupt)
        running.callback(capture.stop)
        phases = []
        for name, concurrency in (("one after another", 1), (f"{CONCURRENCY} at a time", CONCURRENCY)):
            write(f"client: {REQUESTS} requests, {name}")
            phases.append(
                Phase(name, tuple(run_client(runtime, interrupt, scenario, requests=REQUESTS, concurrency=concurrency)))
            )
        write("analyzer: waiting for the last packets")
        totals = capture.finish()
        status = device.stop()
        servers.stop()
        captured = capture.file.read_bytes()
        comparison = compare(frames(captured), [c for phase in phases for c in phase.connections], scenario.route)
        return Findings(scenario, tuple(phases), servers.reports(), totals, comparison, status), captured


def _keep(file: Path, capture: bytes) -> None:
    try:
        file.write_bytes(capture)
    except OSError as e:
        raise ApplyError(f"keep the capture in {file}", e.strerror or str(e)) from e


def _begin(runtime: Runtime) -> None:
    """Begin with nothing, whatever a killed run left behind."""
    _remove(runtime)
    runtime.make()


def _remove(runtime: Runtime) -> None:
    network.remove(runtime.prefix)
    runtime.clear()


def _expect_down(runtime: Runtime) -> None:
    if runtime.up.exists():
        raise Conflict("lab", "it is up: `hsadc lab down` first")
