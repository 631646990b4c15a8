"""A bounded load of HTTP requests from the client of the lab, run inside its namespace."""

from __future__ import annotations

import http.client
import threading
from collections import Counter

from hsadc.lab.namespace import within
from hsadc.lab.scenario import ARTICLE
from hsadc.lab.topology import ADC


class Load:
    """Threads that send requests, each on connections of 20 requests, until they are told to stop; nothing is tried again."""

    def __init__(self, namespace: str, threads: int = 4, size: int = 3000) -> None:
        """It begins when the block is entered; an answer has `size` bytes."""
        self._size = size
        self.results: Counter[str] = Counter()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=within, args=(namespace, self._work)) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish the requests that are under way, and send no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        return self.results["200"]

    @property
    def failed(self) -> Counter[str]:
        return Counter({what: n for what, n in self.results.items() if what != "200"})

    def _work(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection(str(ADC), ARTICLE.port, timeout=10)
            for _ in range(20):
                if not self._request(connection) or self._stop.is_set():
                    break
            connection.close()

    def _request(self, connection: http.client.HTTPConnection) -> bool:
        try:
            connection.request("GET", f"/bytes/{self._size}")
            answer = connection.getresponse()
            what = str(answer.status) if len(answer.read()) == self._size else "short"
        except (OSError, http.client.HTTPException) as e:
            what = repr(e)
        with self._lock:
            self.results[what] += 1
        return what == "200"
