"""One network with its servers, a device for each module, and a configuration of its own for each test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hsadc.lab import namespace
from tests.external.slb.capture import Capture, at_analyzer
from tests.external.slb.client import Client
from tests.external.slb.device import Device
from tests.external.slb.identity import Identities
from tests.external.slb.network import Network
from tests.external.slb.servers import Certificates, Servers, make_certificates


@dataclass(frozen=True)
class Site:
    """All that a test needs.

    Attributes:
        network: the nodes.
        servers: the real servers.
        device: hsadc.
        client: a client.
        other: another one.
        certificates: those of the real servers.
        identities: the ADC's.
        folder: for files of the test's own.
    """

    network: Network
    servers: Servers
    device: Device
    client: Client
    other: Client
    certificates: Certificates
    identities: Identities
    folder: Path

    def eventually(self, condition: Callable[[], object], seconds: float = 15) -> None:
        """Wait until that holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.1)

    def mirrored(self, *, patience_s: float = 4) -> Capture:
        """A capture at the analyzer, which waits for the last copies, but not for long: under load there is no last one."""
        return at_analyzer(self.network, patience_s)


_FIGURES: list[str] = []


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Takes a line of what clients saw, which is printed when all tests have run."""
    return _FIGURES.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES:
        terminalreporter.section("what clients saw")
        for line in _FIGURES:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return make_certificates()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Servers]:
    network = Network()
    try:
        servers = Servers(network, tmp_path_factory.mktemp("servers"), certificates)
        yield servers
        servers.stop()
    finally:
        network.remove()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Site]:
    folder, network = tmp_path_factory.mktemp("slb"), servers.network
    device = Device(network, folder)
    try:
        device.start()
        clients = [Client(network, node, folder) for node in ("client1", "client2")]
        yield Site(network, servers, device, *clients, servers.certificates, Identities(folder), folder)
        assert device.stop() == 0, device.log.read_text()
    finally:
        device.kill()
        namespace.empty(network.name("adc"))  # what a device leaves behind that could not clean up
