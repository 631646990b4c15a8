"""Real servers and clients around a real HAProxy, on loopback addresses of this test run's own."""

from __future__ import annotations

import http.client
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_health import Prober
from hsadc.dataplane.haproxy_log import LogReceiver
from hsadc.dataplane.haproxy_log_file import newest_first
from hsadc.intent.haproxy import HaproxyIntent, compile_services
from hsadc.intent.inventory import Inventory
from hsadc.model.app_profile import AppProfile
from hsadc.model.config import Config
from hsadc.model.real_server import RealServer
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.virtual_server import Listener, VirtualServer

_PID = os.getpid()
_NUMBERS = itertools.count(1)


def new_address() -> IPv4Address:
    """Loopback's 127.0.0.0/8 has room for every run to have addresses of its own: no port is ever taken."""
    return IPv4Address(f"127.{64 + next(_NUMBERS)}.{_PID >> 8 & 255}.{_PID & 255}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = f"{self.headers.get('X-Forwarded-For')} {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *args: object) -> None:
        """Quiet: a HAProxy that is killed resets its connections."""


@contextmanager
def real_server() -> Iterator[RealServer]:
    """A web server that answers with the X-Forwarded-For header and the peer's address that it saw."""
    address = new_address()
    with _Server((str(address), 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield RealServer("r 1", ip=address, port=server.server_port)
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Site:
    """A virtual server's surroundings."""

    real: RealServer
    state_dir: Path
    receiver: LogReceiver
    address: IPv4Address = field(default_factory=new_address)
    port: int = 8087

    def intent(
        self, weight: int = 1, address: IPv4Address | None = None, mss: int | None = 1400, **settings: object
    ) -> HaproxyIntent:
        """The services of virtual server `l7 网`; two weights make two intents, two of `mss` need two workers."""
        config = Config(
            app_profile={"xff": AppProfile("xff", x_forwarded_for=True)},
            real_server={self.real.name: self.real},
            server_pool={"web": ServerPool("web", members={self.real.name: PoolMember(self.real.name, weight=weight)})},
        )
        listener = Listener(address or self.address, self.port)
        server = VirtualServer("l7 网", id=7, server_pool="web", ip=listener, auto_snat=True, **settings)  # type: ignore[arg-type]
        (intent,) = compile_services(config, Inventory(), [server], {} if mss is None else {server.name: mss})
        return intent

    def get(self) -> str:
        """One request on a connection of its own; its answer's body."""
        return request(self.address, self.port)

    def processes(self) -> dict[int, int]:
        """HAProxy's processes of this state directory, zombies left out: parent by number."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str(self.state_dir / "haproxy").encode() in (entry / "cmdline").read_bytes().split(
                    b"\0"
                ):
                    found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        return found

    @property
    def masters(self) -> list[int]:
        """Those that are nobody's worker."""
        processes = self.processes()
        return [pid for pid, parent in processes.items() if parent not in processes]

    @property
    def workers(self) -> list[int]:
        """Those that a master started."""
        processes = self.processes()
        return [pid for pid, parent in processes.items() if parent in processes]

    @property
    def notices(self) -> str:
        """What HAProxy said of itself."""
        return (self.state_dir / "log" / "haproxy.log").read_text()

    @property
    def log(self) -> list[str]:
        """What was logged of virtual servers."""
        return list(newest_first(self.state_dir / "log" / "slb.log"))[::-1]


def until(true: Callable[[], bool], limit_s: float = 20) -> None:
    """Wait until something is so."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def request(address: IPv4Address, port: int) -> str:
    connection = http.client.HTTPConnection(str(address), port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise ConnectionError(f"status {response.status}")
        return body
    finally:
        connection.close()


@contextmanager
def site(state_dir: Path, prober: Prober | None = None) -> Iterator[tuple[Site, HaproxyDriver]]:
    """A real server, a driver whose HAProxy is stopped in the end whatever happened, and somebody who receives its log."""
    with real_server() as real:
        driver = HaproxyDriver(state_dir, prober)
        receiver = LogReceiver(state_dir)
        here = Site(real, state_dir, receiver)
        receiver.start()
        try:
            yield here, driver
        finally:
            driver.delete(here.intent())
            receiver.stop()
