"""The health of real servers: kept over reloads and restarts, and told by probes of ours."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_socket import ask
from hsadc.intent.haproxy import HaproxyIntent
from hsadc.intent.haproxy_pool import ServerProbe
from hsadc.intent.probe import Probe
from tests.netns.haproxy_lab import Site, new_address, request, site, until
from tests.netns.test_haproxy_runtime import pool, stand

pytestmark = pytest.mark.netns

CHECK = " check inter 100ms fall 2 rise 1000000"  # what is down stays down: a server that is up again did not know it
ICMP = Probe("icmp", IPv4Address("192.0.2.1"))
UDP = Probe("udp", IPv4Address("192.0.2.1"), 53)


@dataclass
class State:
    up: bool
    known: bool
    words: str


class Prober:
    """Says what the test says."""

    def __init__(self) -> None:
        self.wanted: set[Probe] = set()
        self.works: dict[Probe, bool] = {}
        self.listener: Callable[[Probe], None] = lambda probe: None

    def want(self, owner: str, probes: Iterable[Probe]) -> None:
        assert owner == "haproxy"
        self.wanted = set(probes)

    def state(self, probe: Probe) -> State:
        return State(self.works.get(probe, True), probe in self.works, f"{probe.type} is so")

    def listen(self, owner: str, listener: Callable[[Probe], None]) -> None:
        assert owner == "haproxy"
        self.listener = listener


@pytest.fixture
def prober() -> Prober:
    return Prober()


@pytest.fixture
def lab(tmp_path: Path, prober: Prober) -> Iterator[tuple[Site, HaproxyDriver]]:
    with site(tmp_path, prober) as it:
        yield it


def half_dead(here: Site, *settings: str, balance: str = "roundrobin", check: str = CHECK) -> HaproxyIntent:
    """Server `a` lives, `b` is dead: nobody is at its address."""
    both = pool(here, *(settings or ("", "")), balance=balance, check=check)
    return HaproxyIntent(both.services.replace(f"server b {here.real.ip}", f"server b {DEAD}"))


DEAD = new_address()


def states(here: Site) -> dict[str, str]:
    return {name: status for name, (status, _, _) in stand(here).items()}


def answers(here: Site, number: int = 20) -> Counter[str]:
    """What clients get; `retries` would hide a dead server."""
    found: Counter[str] = Counter()
    for _ in range(number):
        try:
            request(here.address, here.port)
            found["ok"] += 1
        except ConnectionError:
            found["failed"] += 1
    return found


def connect_errors(driver: HaproxyDriver) -> int:
    return driver.statistics()[1].pool.connect_errors


def test_a_dead_server_gets_no_traffic_after_a_reload(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intents = [half_dead(here, balance=balance) for balance in ("roundrobin", "leastconn")]
    driver.create(intents[0])
    until(lambda: states(here)["b"] == "DOWN")
    for n in range(4):
        driver.change(intents[n % 2], intents[(n + 1) % 2])
        assert states(here) == {"a": "UP", "b": "DOWN"}
    before = connect_errors(driver)
    assert answers(here) == {"ok": 20}
    assert connect_errors(driver) == before
    assert driver.work.reloads == 4


def test_a_dead_server_gets_no_traffic_after_a_crash(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intent = half_dead(here)
    driver.create(intent)
    until(lambda: states(here)["b"] == "DOWN")
    driver.observe({})
    os.kill(here.masters[0], signal.SIGKILL)
    until(lambda: not here.processes())
    until(driver.restart)
    assert states(here) == {"a": "UP", "b": "DOWN"}


def test_what_the_text_says_is_not_overruled(lab: tuple[Site, HaproxyDriver]) -> None:
    """HAProxy would take port, weight and state from the old worker."""
    here, driver = lab
    old = half_dead(here, " weight 10", " weight 10")
    driver.create(old)
    until(lambda: states(here)["b"] == "DOWN")
    changed = half_dead(here, " weight 77 disabled", " weight 99")
    driver.change(old, changed)
    assert stand(here) == {"a": ("MAINT", 77, 0), "b": ("DOWN", 99, 0)}
    # Back to what the worker started from, in another one, with another port for b.
    last = half_dead(here, " weight 10", " weight 10", balance="leastconn")
    last = replace(
        last, services=last.services.replace(f"server b {DEAD}:{here.real.port}", f"server b {here.real.ip}:{here.real.port}")
    )
    driver.change(changed, last)
    assert {name: (status[:2], *rest) for name, (status, *rest) in stand(here).items()} == {
        "a": ("UP", 10, 0),
        "b": ("UP", 10, 0),
    }
    assert answers(here) == {"ok": 20}
    assert driver.statistics()[1].servers[1].counters.sessions_total > 0
    assert driver.work.reloads == 1


def test_tls_to_a_server_is_not_overruled(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    plain, tls = (pool(here, "", check=f"{words}{CHECK}") for words in ("", " ssl verify none no-check-ssl"))
    driver.create(plain)
    driver.change(plain, tls)
    assert states(here) == {"a": "UP"}
    with pytest.raises(ConnectionError):
        request(here.address, here.port)  # the real server speaks no TLS
    driver.change(tls, plain)
    assert answers(here, 3) == {"ok": 3}


def test_a_server_that_is_checked_no_more_is_not_dead_for_ever(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    checked, unchecked = half_dead(here), half_dead(here, check="")
    driver.create(checked)
    until(lambda: states(here)["b"] == "DOWN")
    driver.change(checked, unchecked)
    assert states(here) == {"a": "no check", "b": "no check"}


def probed(here: Site, balance: str = "roundrobin") -> HaproxyIntent:
    servers = ServerProbe("pool1.1_p", "a", ICMP), ServerProbe("pool1.1_p", "b", ICMP), ServerProbe("pool1.1_p", "c", UDP)
    return replace(pool(here, "", "", "", "", balance=balance), probes=servers)


def test_probes_decide(lab: tuple[Site, HaproxyDriver], prober: Prober) -> None:
    here, driver = lab
    intent, other = probed(here), probed(here, "leastconn")
    driver.create(intent)
    assert prober.wanted == {ICMP, UDP}
    assert set(states(here).values()) == {"no check"}
    prober.works = {ICMP: False, UDP: True}
    prober.listener(ICMP)
    dead = {"a": "DOWN", "b": "DOWN", "c": "no check", "d": "no check"}
    until(lambda: states(here) == dead)
    servers = {s.real_server: s.health for s in driver.statistics()[1].servers}
    assert {name: (h.state, h.checked, h.check) for name, h in servers.items()} == {
        "a": ("down", True, "icmp is so"),
        "b": ("down", True, "icmp is so"),
        "c": ("up", True, "udp is so"),
        "d": ("up", False, None),
    }
    assert driver.observe({}) == {intent.key: intent}
    driver.change(intent, other)
    assert states(here) == dead
    os.kill(here.masters[0], signal.SIGKILL)
    until(lambda: not here.processes())
    prober.works[UDP] = False
    prober.listener(UDP)  # nobody is there to be told
    until(driver.restart)
    assert states(here) == dead | {"c": "DOWN"}
    prober.works = {ICMP: True, UDP: True}
    prober.listener(ICMP)
    until(lambda: states(here) == {"a": "no check", "b": "no check", "c": "DOWN", "d": "no check"})
    driver.delete(other)
    assert prober.wanted == set()


def test_probes_alone_need_no_other_worker(lab: tuple[Site, HaproxyDriver], prober: Prober) -> None:
    here, driver = lab
    intent = probed(here)
    bare = replace(intent, probes=())
    driver.create(bare)
    workers = here.workers
    prober.works = {ICMP: False}
    driver.change(bare, intent)
    assert states(here)["a"] == "DOWN"
    second = HaproxyDriver(here.state_dir)
    assert second.observe({}) == {bare.key: bare}  # what is probed is known to the daemon alone
    driver.change(intent, bare)
    assert here.workers == workers
    assert states(here)["a"] == "no check"


def test_a_server_that_is_dead_when_it_is_probed_no_more(lab: tuple[Site, HaproxyDriver], prober: Prober) -> None:
    here, driver = lab
    intent, bare = probed(here), replace(probed(here, "leastconn"), probes=())
    prober.works = {ICMP: False}
    driver.create(intent)
    driver.change(intent, bare)
    assert set(states(here).values()) == {"no check"}


def test_clients_that_stay_with_a_server_do_so_over_reloads(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab

    def sticky(balance: str) -> HaproxyIntent:
        words = f"balance {balance}\n  stick-table type ip size 1k expire 5m peers hsadc\n  stick on src"
        return HaproxyIntent(pool(here, "", "", "", balance=balance).services.replace(f"balance {balance}", words))

    def table() -> str:
        return ask(here.state_dir / "haproxy" / "stats.sock", "show table pool1.1_p")

    driver.create(sticky("roundrobin"))
    assert answers(here, 1) == {"ok": 1}
    assert "used:1" in table()
    # A worker that started from nothing looks for an older one for five seconds.
    until(lambda: "resync_timeout=<PAST>" in ask(here.state_dir / "haproxy" / "stats.sock", "show peers"))
    for old, new in (("roundrobin", "leastconn"), ("leastconn", "roundrobin")):
        driver.change(sticky(old), sticky(new))
        until(lambda: "used:1" in table())
    assert answers(here, 5) == {"ok": 5}
    assert sorted(s.counters.sessions_total for s in driver.statistics()[1].servers) == [0, 0, 6]
