"""One network with its servers and a device for each module; each test gives the device a configuration of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

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

    def mirrored(self) -> Capture:
        """A capture at the analyzer."""
        return at_analyzer(self.network)


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("slb")
    with ExitStack() as stack:
        network = Network()
        stack.callback(network.remove)
        servers = Servers(network, folder, certificates)
        stack.callback(servers.stop)
        device = Device(network, folder)
        stack.callback(device.kill)
        device.start()
        clients = [Client(network, node, folder) for node in ("client1", "client2")]
        yield Site(network, servers, device, *clients, certificates, Identities(folder), folder)
        assert device.stop() == 0, device.log.read_text()
