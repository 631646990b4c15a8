"""HAProxy's log on its way to the disk."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_log import LogReceiver
from hsadc.dataplane.haproxy_log_line import LogLine, parse_line
from hsadc.dataplane.haproxy_socket import ask
from hsadc.intent.haproxy import HaproxyIntent
from tests.netns.certificates import authority
from tests.netns.haproxy_lab import Site, request, site, until
from tests.netns.test_haproxy_runtime import pool, tls

pytestmark = pytest.mark.netns


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Site, HaproxyDriver]]:
    with site(tmp_path) as it:
        yield it


def logged(intent: HaproxyIntent, option: str = "httplog") -> HaproxyIntent:
    services = intent.services.replace("  default_backend", f"  log global\n  option {option}\n  default_backend")
    return HaproxyIntent(services, intent.files)


def lines(here: Site) -> list[LogLine]:
    found = [parse_line(line) for line in here.log]
    assert None not in found, here.log
    return [line for line in found if line is not None]


def test_a_request(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(logged(pool(here, "")))
    request(here.address, here.port)
    until(lambda: len(here.log) == 1)
    (line,) = lines(here)
    assert (line.virtual_server, line.server_pool, line.real_server) == ("v", "p", "a")
    assert (line.status, line.ended, line.request, line.error) == (200, "----", "GET / HTTP/1.1", None)
    assert line.client.startswith("127.0.0.1:")
    assert line.sent_bytes is not None
    assert line.sent_bytes > 0


def test_a_connection(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intent = logged(pool(here, ""), "tcplog")
    driver.create(HaproxyIntent(intent.services.replace("from http", "from tcp")))
    request(here.address, here.port)
    until(lambda: len(here.log) == 1)
    (line,) = lines(here)
    assert (line.virtual_server, line.real_server, line.ended, line.status) == ("v", "a", "--", None)


def test_a_handshake_that_fails(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    ours = authority("ours")
    driver.create(logged(tls(here, ours.issue("www.test"))))
    with socket.create_connection((str(here.address), here.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 3)
        client.recv(100)
    context = ssl.create_default_context()
    with (
        socket.create_connection((str(here.address), here.port), timeout=10) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(plain, server_hostname="www.test")
    until(lambda: len(here.log) >= 2)
    first, second = lines(here)[:2]
    assert first.virtual_server == second.virtual_server == "v"
    assert first.error == '"SSL handshake failure" "http request" sni=""'
    # Where the client's reset comes right after its alert, the alert may be gone.
    assert re.fullmatch(r'"SSL handshake failure" "(tlsv1 alert unknown ca)?" sni="www.test"', second.error or "")
    assert driver.statistics()[1].clients.handshake_failures == 2


def test_nothing_is_lost_while_nobody_listens(tmp_path: Path) -> None:
    with site(tmp_path / "state") as (here, driver):
        driver.create(logged(pool(here, "")))
        request(here.address, here.port)
        until(lambda: len(here.log) == 1)
        # As when the daemon is killed.
        here.receiver.stop()
        for _ in range(50):
            request(here.address, here.port)
        second = LogReceiver(here.state_dir)
        second.start()
        try:
            until(lambda: len(here.log) == 51)
        finally:
            second.stop()


def test_an_old_worker_logs_what_it_finishes(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    first, second = (logged(pool(here, "", balance=balance), "tcplog") for balance in ("roundrobin", "leastconn"))
    first, second = (HaproxyIntent(i.services.replace("from http", "from tcp")) for i in (first, second))
    driver.create(first)
    with socket.create_connection((str(here.address), here.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100)
        driver.change(first, second)
        assert here.log == []
    until(lambda: len(here.log) == 1)
    (line,) = lines(here)
    assert line.real_server == "a"


def test_a_pipe_that_is_full_stops_nothing(tmp_path: Path) -> None:
    """Nobody reads for so long that HAProxy has to drop lines."""
    with site(tmp_path / "state") as (here, driver):
        here.receiver.stop()
        answer = "http-request return status 200"
        services = logged(pool(here, "")).services.replace("  default_backend", f"  {answer}\n  default_backend")
        driver.create(HaproxyIntent(services))
        connection = http.client.HTTPConnection(str(here.address), here.port, timeout=10)
        for _ in range(1500):
            connection.request("GET", "/" + "x" * 1000)
            assert connection.getresponse().read() == b""
        connection.close()
        info = ask(here.state_dir / "haproxy" / "stats.sock", "show info")
        dropped = int(re.search(r"^DroppedLogs: (\d+)$", info, re.MULTILINE)[1])
        assert dropped > 100
        second = LogReceiver(here.state_dir)
        second.start()
        try:
            until(lambda: len(here.log) == 1500 - dropped)
            request(here.address, here.port)
            until(lambda: len(here.log) == 1501 - dropped)
        finally:
            second.stop()
        assert None not in [parse_line(line) for line in here.log]


def test_haproxy_starts_while_nobody_listens(tmp_path: Path) -> None:
    with site(tmp_path / "state") as (here, driver):
        here.receiver.stop()
        driver.create(logged(pool(here, "")))
        request(here.address, here.port)
        second = LogReceiver(here.state_dir)
        second.start()
        try:
            until(lambda: len(here.log) == 1)
        finally:
            second.stop()


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as f:
        while True:
            f.write(bytes(512))


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    small = tmp_path / "state"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(small)], check=True)
    try:
        with site(small) as (here, driver):
            driver.create(logged(pool(here, "")))
            request(here.address, here.port)
            until(lambda: len(here.log) == 1)
            ballast = small / "ballast"
            with pytest.raises(OSError, match="No space"):
                fill(ballast)
            for _ in range(60):  # the file's last page has room for some
                request(here.address, here.port)
            until(lambda: here.receiver.lost > 0)
            until(lambda: len(here.log) + here.receiver.lost == 61)
            ballast.unlink()
            request(here.address, here.port)
            until(lambda: len(here.log) + here.receiver.lost == 62)
            assert all(parse_line(line) is not None for line in here.log)
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
