"""Reloads under load lose no request."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path

import pytest

from tests.netns.haproxy_lab import Site, site

pytestmark = pytest.mark.netns

RELOADS = 25
CLIENTS = 4


class Client(threading.Thread):
    """Sends one request after another until it is told to stop; counts and never repeats one."""

    def __init__(self, here: Site, stop: threading.Event, close: bool) -> None:
        super().__init__()
        self.answered = 0
        self.failures: list[str] = []
        self._here = here
        self._stop_event = stop
        self._headers = {"Connection": "close"} if close else {}

    def run(self) -> None:
        connection = http.client.HTTPConnection(str(self._here.address), self._here.port, timeout=20)
        while not self._stop_event.is_set():
            try:
                connection.request("GET", "/", headers=self._headers)
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.answered += 1
                else:
                    self.failures.append(f"status {response.status}")
            except (OSError, http.client.HTTPException) as e:
                self.failures.append(repr(e))
                connection.close()
        connection.close()


def test_no_request_fails_in_reloads(tmp_path: Path) -> None:
    with site(tmp_path) as (here, driver):
        driver.create(here.intent(mss=1300))
        stop = threading.Event()
        clients = [Client(here, stop, close) for close in (False, True) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for n in range(RELOADS):
                answered = [c.answered for c in clients]
                driver.change(here.intent(mss=1300 + n), here.intent(mss=1301 + n))
                # Each generation serves each client.
                while any(c.answered < a + 2 and not c.failures for c, a in zip(clients, answered, strict=True)):
                    stop.wait(0.01)
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert [c.failures for c in clients] == [[] for _ in clients]
        assert here.notices.count("Reloading HAProxy") == RELOADS
        assert len(here.masters) == 1
