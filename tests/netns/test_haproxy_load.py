"""Changes and reloads under load: no request fails, and the counters have them all.

`HSADC_STRESS=1` does as much as a release wants.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_supervisor import Supervisor
from tests.netns.haproxy_lab import Site, site, until
from tests.netns.test_haproxy_hitless import Client
from tests.netns.test_haproxy_runtime import pool

pytestmark = [pytest.mark.netns, pytest.mark.timeout(600)]

STRESS = os.environ.get("HSADC_STRESS") == "1"
CHANGES, RELOADS, CLIENTS = (1000, 50, 6) if STRESS else (150, 8, 3)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Site, HaproxyDriver]]:
    with site(tmp_path) as it:
        yield it


@contextmanager
def load(here: Site) -> Iterator[list[Client]]:
    """Clients that send one request after another; half of them on connections of their own."""
    import threading

    stop = threading.Event()
    clients = [Client(here, stop, close) for close in (False, True) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()
        for client in clients:
            client.join()


def answered(clients: list[Client]) -> int:
    return sum(client.answered for client in clients)


def test_no_request_fails_in_changes_and_reloads(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    chance = random.Random(7)

    def settings(n: int) -> str:
        # One server always serves.
        off = " disabled" if n and chance.random() < 0.2 else ""
        weight = chance.randint(0 if n else 1, 256)
        most = f" maxconn {chance.randint(50, 100)}" if chance.random() < 0.5 else ""
        return f" weight {weight}{most}{off}"

    current = pool(here, *(settings(n) for n in range(8)))
    driver.create(current)
    before = driver.work
    began = time.monotonic()
    with load(here) as clients:
        for n in range(CHANGES):
            new = pool(here, *(settings(m) for m in range(8)), balance=("leastconn", "roundrobin")[n * RELOADS // CHANGES % 2])
            driver.change(current, new)
            current = new
        until(lambda: answered(clients) > 100)
    took = time.monotonic() - began
    assert [failure for client in clients for failure in client.failures] == []
    assert driver.work.reloads - before.reloads in (RELOADS - 1, RELOADS)
    assert driver.work.changed > 3 * (CHANGES - RELOADS)
    assert driver.observe({}) == {current.key: current}
    assert len(here.masters) == 1
    counted = driver.statistics()[1].clients.requests_total
    print(f"{answered(clients)} requests, {counted} counted, {driver.work} in {took:.1f} s")
    assert answered(clients) * 0.5 < counted <= answered(clients)


def test_counters_never_fall(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intents = [pool(here, "", balance=balance) for balance in ("roundrobin", "leastconn")]
    driver.create(intents[0])
    last = 0
    with load(here) as clients:
        until(lambda: answered(clients) > 20)
        for n in range(6):
            for _ in range(3):
                now = driver.statistics()[1].clients.requests_total
                assert now >= last
                last = now
            driver.change(intents[n % 2], intents[(n + 1) % 2])
    assert last > 0


def test_it_heals(lab: tuple[Site, HaproxyDriver]) -> None:
    """How long nobody is served after a worker, or the master, was killed."""
    here, driver = lab
    driver.create(pool(here, " weight 3"))
    supervisor = Supervisor(driver)
    supervisor.start()
    took = {"workers": [], "masters": []}
    try:
        for n in range(6):
            whom = ("workers", "masters")[n % 2]
            until(lambda: len(here.processes()) == 2)
            counted = driver.statistics()[1].clients.requests_total
            began = time.monotonic()
            os.kill(getattr(here, whom)[0], signal.SIGKILL)
            driver.statistics()  # whatever it is asked meanwhile
            until(lambda n=n: supervisor.state().restarts == n + 1)
            until(lambda: works(here))
            took[whom].append(time.monotonic() - began)
            assert driver.statistics()[1].clients.requests_total >= counted
            # One that runs for a while is started again at once, one that ends again and again is given time.
            supervisor._last_start = -1e9
    finally:
        supervisor.stop()
    print({whom: [f"{1000 * s:.0f} ms" for s in times] for whom, times in took.items()})
    assert max(max(times) for times in took.values()) < 10


def works(here: Site) -> bool:
    try:
        return bool(here.get())
    except OSError:
        return False
