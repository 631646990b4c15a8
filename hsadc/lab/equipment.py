"""What runs in the network: the real servers, the device, the client."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hsadc.errors import ApplyError
from hsadc.lab.certificates import CLIENTS_AUTHORITY, ORIGIN_IDENTITY
from hsadc.lab.interrupt import Interrupt
from hsadc.lab.process import Process
from hsadc.lab.record import Connection, ServerReport, load_connections, load_report
from hsadc.lab.runtime import Runtime
from hsadc.lab.scenario import ARTICLE, Scenario
from hsadc.lab.server import READY
from hsadc.lab.topology import REAL_SERVERS, namespace_of

_PYTHON = (sys.executable, "-m")
_CLIENT_S = 120
_SSH = "127.0.0.1:2222"


class Servers:
    """The real servers; they take connections once this is made. Whoever made it stops it."""

    def __init__(self, runtime: Runtime, interrupt: Interrupt, scenario: Scenario = ARTICLE) -> None:
        self._runtime = runtime
        self._processes: list[Process] = []
        try:
            for name, address in REAL_SERVERS.items():
                command = [*_PYTHON, "hsadc.lab.server", name, str(address), str(scenario.real_port), str(self._report(name))]
                command += [str(runtime.files / ORIGIN_IDENTITY)] if scenario.server_tls else []
                log = runtime.files / f"{name}.log"
                place = namespace_of(runtime.prefix, name)
                self._processes.append(Process(f"server {name}", command, log=log, namespace=place))
            for server in self._processes:
                server.expect(partial(_says, server.log, READY), interrupt)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End them; also right when they have ended."""
        for server in self._processes:
            server.stop()

    def reports(self) -> tuple[ServerReport, ...]:
        """What each saw; they must have been stopped."""
        return tuple(load_report(self._report(name)) for name in REAL_SERVERS)

    def _report(self, name: str) -> Path:
        return self._runtime.files / f"{name}.json"


def start_device(
    runtime: Runtime,
    interrupt: Interrupt,
    scenario: Scenario = ARTICLE,
    *,
    options: Sequence[str] = (),
    launcher: Sequence[str] = (),
) -> Process:
    """Start hsadc in the ADC's namespace and wait until it takes commands; whoever calls stops it.

    Args:
        runtime: the lab's files.
        interrupt: what ends the wait.
        scenario: what it is configured for.
        options: of `hsadc daemon`, in addition to those that the lab needs.
        launcher: a command and its arguments that runs another one, such as `setpriv`.

    Raises:
        ApplyError: it does not come up.
        Interrupted: the operator asked to stop.
    """
    startup = runtime.state / "startup.cfg"
    if not startup.exists():  # a copy: who tries `save` in the lab must not change the sample
        startup.write_text(sample(scenario.sample).read_text("utf-8"), "utf-8")
    command = [*launcher, *_PYTHON, "hsadc", "daemon", "--state-dir", str(runtime.state), "--ssh", _SSH, *options]
    device = Process("hsadc daemon", command, log=runtime.files / "daemon.log", namespace=namespace_of(runtime.prefix, "adc"))
    try:
        device.expect(lambda: _accepts(runtime.control_socket), interrupt)
    except BaseException:
        device.stop()
        raise
    return device


def run_client(
    runtime: Runtime, interrupt: Interrupt, scenario: Scenario = ARTICLE, *, requests: int, concurrency: int
) -> Sequence[Connection]:
    """Send requests to the virtual server from the client's namespace; returns the connections as the client saw them.

    Raises:
        ApplyError: the client itself failed; that of a request is part of what is returned.
        Interrupted: the operator asked to stop.
    """
    record = runtime.files / "client.json"
    command = [*_PYTHON, "hsadc.lab.client", scenario.url, str(requests), str(concurrency), str(record)]
    command += [str(runtime.files / CLIENTS_AUTHORITY)] if scenario.client_tls else []
    client = Process("client", command, log=runtime.files / "client.log", namespace=namespace_of(runtime.prefix, "client"))
    try:
        client.finish(interrupt, _CLIENT_S)
    finally:
        client.stop()
    return load_connections(record)


def sample(name: str) -> Path:
    """A sample configuration: installed with the package, or beside it in a checkout.

    Raises:
        ApplyError: it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "samples", package.parent / "samples"):
        if (folder / name).is_file():
            return folder / name
    raise ApplyError(f"find the sample {name}", "it is not installed")


def _says(log: Path, words: str) -> bool:
    return words in log.read_text()


def _accepts(path: Path) -> bool:
    """True when somebody accepts connections on that UNIX socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
