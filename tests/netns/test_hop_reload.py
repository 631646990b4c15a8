"""Reloads of HAProxy under load: no request fails, and connection tracking takes the hop for nothing that it knows."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hsadc.dataplane import nft
from hsadc.intent.hop import DEVICE
from tests.netns.hop_lab import LAYOUT, PORT, PORT80, SERVER, SERVER6, HopNet, HttpsConnection, body
from tests.netns.mirror_net import command

pytestmark = pytest.mark.netns

RELOADS = 20


@pytest.fixture
def net() -> Iterator[HopNet]:
    with HopNet() as net:
        net.hop.create(net.intent)
        yield net


class Load(threading.Thread):
    """A client that sends one request after another until it is told to stop, and never repeats one."""

    def __init__(self, net: HopNet, address: str, port: int, close: bool, stop: threading.Event) -> None:
        super().__init__()
        self.answered = 0
        self.failures: list[str] = []
        self._connection = HttpsConnection(net, address, port)
        self._stop_event = stop
        self._headers = {"Connection": "close"} if close else {}

    def run(self) -> None:
        while not self._stop_event.is_set():
            try:
                self._connection.request("GET", "/1000", headers=self._headers)
                response = self._connection.getresponse()
                assert (response.status, response.read()) == (200, body(1000))
                self.answered += 1
            except (AssertionError, OSError, http.client.HTTPException) as e:
                self.failures.append(repr(e))
                self._connection.close()
        self._connection.close()


@contextmanager
def tracking() -> Iterator[Callable[[], tuple[int, int]]]:
    """Connections are tracked; how many packets belong to none that could be, and how many on the hop are tracked."""
    rules = "ct state invalid counter", f"meta iifname {DEVICE} ct state != untracked counter"
    for hook in ("input", "output"):
        nft.apply(f"add table inet tracked\nadd chain inet tracked {hook} {{ type filter hook {hook} priority 0; }}\n")
        for rule in rules:
            nft.apply(f"add rule inet tracked {hook} {rule}\n")
    try:
        yield lambda: (_packets("invalid"), _packets(DEVICE))
    finally:
        nft.delete_table("tracked")


def _packets(word: str) -> int:
    found = re.findall(rf"{word}.* counter packets (\d+)", command("nft list table inet tracked"))
    return sum(int(n) for n in found)


@contextmanager
def load(net: HopNet) -> Iterator[list[Load]]:
    """Clients of all virtual servers, with one connection for each request and with one for all; no request fails."""
    stop = threading.Event()
    ways = [(address, port, close) for address in (SERVER, SERVER6) for port in (PORT, PORT80) for close in (False, True)]
    clients = [Load(net, *way, stop) for way in ways]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert [c.failures for c in clients] == [[] for _ in clients]


def wait_for_answers(clients: list[Load], number: int) -> None:
    """Until each client has got so many more, or one has failed."""
    answered = [c.answered for c in clients]
    while any(c.answered < a + number and not c.failures for c, a in zip(clients, answered, strict=True)):
        threading.Event().wait(0.01)


def test_no_request_fails_in_reloads(net: HopNet) -> None:
    with tracking() as counted, net.real_servers(), net.haproxy(LAYOUT) as proxy:
        with load(net) as clients:
            for _ in range(RELOADS):
                proxy.reload()
                wait_for_answers(clients, 2)  # each generation serves each client
        assert counted() == (0, 0)


def test_without_the_exemption_the_hop_would_be_tracked(net: HopNet) -> None:
    nft.delete_table("hsadc_hop")
    with tracking() as counted, net.real_servers(), net.haproxy(LAYOUT):
        with load(net) as clients:
            wait_for_answers(clients, 5)
        assert counted()[1] > 0
