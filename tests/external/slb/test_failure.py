"""Failures of real servers: what clients see, and for how long."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.external.slb.client import Load
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.network import SERVERS, address

pytestmark = pytest.mark.netns

VIP = address("adc")
MONITOR = 'slb monitor "m" type http\ninterval 1\ntimeout 1\nrise 1\nfall 2\nhttp get {}\nexit\n'
THREADS = 4
BROKEN_OFF = frozenset(
    {
        "502",
        "503",
        "504",
        "RemoteDisconnected('Remote end closed connection without response')",
        "IncompleteRead(0 bytes read, 1024 more expected)",
    }
)
"""What may become of a request that a server has in its hands when it dies."""


def configure(site, *, watched: bool = True, port: int = 80) -> None:
    monitor = MONITOR.format("/files/health" if port == 80 else "/peer")
    site.device.configure(real_servers() + monitor + pool("monitor m" * watched, port=port) + virtual("http", port=80))


@contextlib.contextmanager
def black_hole(site, server: str) -> Iterator[None]:
    """Nothing reaches that server meanwhile, and nobody is told."""
    rules = "add table inet hole; add chain inet hole in { type filter hook input priority 0; policy drop; }"
    rules += "; add chain inet hole out { type filter hook output priority 0; policy drop; }"
    site.network.run(server, "nft", rules)
    try:
        yield
    finally:
        site.network.run(server, "nft", "delete table inet hole")


def uses(site, load, servers: set[str]) -> None:
    """Wait until these servers, and no other, answer."""

    def settled() -> bool:
        load.servers.clear()
        load.goes_on(120)
        return set(load.servers) == servers

    site.eventually(settled, 20)


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "not watched"])
def test_a_server_that_is_killed(site, figure, watched):
    """At most the requests that it has in its hands are lost, the others go to other servers at once.

    HAProxy answers 502, or closes the connection where the client may well send its request again on another one.
    """
    configure(site, watched=watched)
    with Load(site.client, VIP, 80, threads=THREADS) as load:
        load.goes_on()
        site.servers.stop_nginx("rs1")
        uses(site, load, {"rs2", "rs3"})
        site.servers.restart_nginx("rs1")
        uses(site, load, set(SERVERS))
    figure(f"real server killed, {'monitor each second' if watched else 'no monitor'}: {load}")
    assert load.failed.total() <= THREADS
    assert set(load.failed) <= BROKEN_OFF


def test_a_server_that_is_out_of_reach_and_watched(site, figure):
    """Requests that it has are broken off when its monitor has failed twice; those that find it silent go to another one."""
    configure(site)
    with Load(site.client, VIP, 80, threads=THREADS) as load:
        load.goes_on()
        with black_hole(site, "rs1"):
            uses(site, load, {"rs2", "rs3"})
        uses(site, load, set(SERVERS))
    figure(f"real server out of reach, monitor each second: {load}")
    assert load.failed.total() <= THREADS
    assert set(load.failed) <= BROKEN_OFF


def test_a_server_that_is_slow_hurts_only_who_asks_it_for_what_is_slow(site, figure):
    configure(site, port=8081)
    slow: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: slow.append(
                site.other.network.run(
                    "client2", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{VIP}/slow/2"
                ).stdout
                == "200"
            )
        )
        for _ in range(20)
    ]
    with Load(site.client, VIP, 80, path="/peer", threads=THREADS) as load:
        for thread in threads:
            thread.start()
        load.goes_on(200)
        for thread in threads:
            thread.join()
    figure(f"20 requests of 2 s beside: {load}")
    assert load.failed == {}
    assert slow == [True] * 20


def test_a_server_that_answers_500_is_taken_out_by_its_monitor(site, figure):
    configure(site, port=8081)
    with Load(site.client, VIP, 80, path="/peer", threads=THREADS, pause_s=0.01) as load:
        load.goes_on()
        site.network.run("rs1", "curl", "-s", "http://127.0.0.1:8081/mode/500")
        try:
            uses_after_failure(site, load)
        finally:
            site.network.run("rs1", "curl", "-s", "http://127.0.0.1:8081/mode/200")
        uses(site, load, set(SERVERS))
    figure(f"real server answers 500, monitor each second: {load}")
    assert set(load.failed) == {"500"}


def uses_after_failure(site, load) -> None:
    """Wait until nothing fails any more."""

    def sound() -> bool:
        before = load.failed.total()
        load.goes_on(120)
        return load.failed.total() == before

    site.eventually(sound, 20)


def test_all_servers_are_gone_and_come_back(site, figure):
    configure(site)
    with Load(site.client, VIP, 80, threads=THREADS, pause_s=0.01) as load:
        load.goes_on()
        for server in SERVERS:
            site.servers.stop_nginx(server)
        site.eventually(lambda: load.results["503"] > 20)
        for server in SERVERS:
            site.servers.restart_nginx(server)
        load.goes_on(200)
    figure(f"all real servers killed, and started again: {load}")
    assert set(load.failed) <= BROKEN_OFF
