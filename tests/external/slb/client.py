"""Clients: curl, openssl, sockets, and a load that counts what fails; each on a node of the network."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.external.slb.network import Network


@dataclass(frozen=True)
class Answer:
    """What curl got.

    Attributes:
        status: of HTTP; 0 when no answer came.
        body: as it came, decompressed with `--compressed` alone.
        headers: of the last answer, names in small letters, in order.
        facts: what curl's `-w %{json}` says: `http_version`, `time_total`, `local_port` and so on.
        exit: curl's exit status.
        error: its message when that is not 0.
    """

    status: int
    body: bytes
    headers: list[tuple[str, str]]
    facts: dict[str, Any]
    exit: int
    error: str

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> dict[str, str]:
        """The body of a real server that says what it saw."""
        return dict(json.loads(self.body))

    @property
    def server(self) -> str | None:
        """The real server that answered."""
        return self.header("x-server")


class Client:
    """A node that sends requests."""

    def __init__(self, network: Network, node: str, folder: Path) -> None:
        self.network, self.node, self._folder = network, node, folder

    def curl(self, url: str, *options: object, timeout_s: float = 20) -> Answer:
        """One request, or more with curl's own patterns: then the answer is the last one, its body all bodies."""
        heads, body = self._folder / f"{self.node}.head", self._folder / f"{self.node}.body"
        for file in (heads, body):
            file.unlink(missing_ok=True)
        # -g is not given: patterns such as [1-9] are wanted, and IPv6 addresses come through.
        command = ["curl", "-sS", "-D", heads, "-w", "%{json}\n", "--max-time", timeout_s, *options, url]
        done = self.network.run(self.node, *self._to_file(command, body), timeout_s=timeout_s + 5, check=False)
        facts = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
        text = heads.read_bytes().decode("latin-1") if heads.exists() else ""
        lines = text.rstrip().rpartition("\r\n\r\n")[2].split("\r\n") if text else []
        headers = [(k.lower(), v) for line in lines[1:] for k, _, v in (line.partition(": "),)]
        content = body.read_bytes() if body.exists() else b""
        return Answer(facts.get("http_code", 0), content, headers, facts, done.returncode, done.stderr.strip())

    @staticmethod
    def _to_file(command: list[object], file: Path) -> list[object]:
        return [*command[:-1], "-o", file, command[-1]]

    def get(self, url: str, *options: object) -> Answer:
        """An answer with status 200."""
        answer = self.curl(url, *options)
        assert answer.status == 200, (url, answer.status, answer.error, answer.body[:200])
        return answer

    def spread(self, url: str, requests: int, *options: object) -> Counter[str]:
        """How many of these requests, each on a connection of its own, were answered by which real server."""
        joint = "&" if "?" in url else "?"
        heads = self._folder / f"{self.node}.heads"
        command = ["curl", "-sS", "-D", heads, "-o", "/dev/null", "-H", "Connection: close", *options]
        done = self.network.run(self.node, *command, f"{url}{joint}[1-{requests}]", check=False)
        lines = heads.read_bytes().decode("latin-1").split("\r\n")
        found = Counter(line.partition(": ")[2] for line in lines if line.lower().startswith("x-server: "))
        found.update({"no server": requests - found.total()} if found.total() < requests else {})
        assert done.returncode == 0 or "no server" in found, done.stderr
        return found

    def connect(self, address: str, port: int, tls: ssl.SSLContext | None = None, name: str = "", *, source_port: int = 0) -> Any:
        """A TCP connection, with TLS where a context is given; the caller closes it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = self.network.inside(self.node, lambda: socket.socket(family))
        try:
            raw.settimeout(15)
            if source_port:
                raw.bind(("", source_port))
            raw.connect((address, port))
            raw.getpeername()  # of a connection that was reset meanwhile Python's TLS would lose the socket
            return raw if tls is None else tls.wrap_socket(raw, server_hostname=name or address)
        except BaseException:
            raw.close()
            raise

    def datagram(self, address: str, port: int, data: bytes, timeout_s: float = 2, source_port: int = 0) -> bytes:
        """What is answered to a datagram.

        Raises:
            OSError: nothing comes, or an ICMP error.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.network.inside(self.node, lambda: socket.socket(family, socket.SOCK_DGRAM)) as s:
            s.settimeout(timeout_s)
            s.bind(("", source_port))
            s.connect((address, port))
            s.send(data)
            return bytes(s.recv(65535))

    def openssl(self, target: str, *options: object, send: str = "") -> str:
        """What `openssl s_client` says."""
        done = subprocess.run(
            self.network.command(self.node, "openssl", "s_client", "-connect", target, *options),
            input=send,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
        return done.stdout + done.stderr


def trust(*authorities: str, certificate: Path | None = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client's TLS that believes these authorities (PEM); with none it believes anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authorities:
        context.load_verify_locations(cadata="".join(authorities))
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Load:
    """Threads that send requests, each on connections of 20 requests, until they are told to stop; nothing is tried again."""

    def __init__(
        self,
        client: Client,
        address: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        path: str = "/files/1k",
        threads: int = 4,
        name: str = "",
        pause_s: float = 0.0,
    ) -> None:
        """It begins when the block is entered; `name` is what TLS asks for."""
        self._client, self._peer, self._tls, self._path, self._name = client, (address, port), tls, path, name
        self.results: Counter[str] = Counter()
        self.servers: Counter[str] = Counter()
        self.slowest_s = self.longest_gap_s = 0.0
        self._answered_at = 0.0
        self._pause_s = pause_s
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        """For the record: how many requests failed, how long the slowest took, and for how long nobody had an answer."""
        failed = ", ".join(f"{n} x {what}" for what, n in self.failed.items()) or "none"
        return (
            f"{self.results.total()} requests, failed: {failed}; slowest {self.slowest_s:.2f} s, "
            f"without any answer for {self.longest_gap_s:.2f} s"
        )

    @property
    def answered(self) -> int:
        """Requests with a right answer."""
        return self.results["200"]

    def goes_on(self, answers: int = 100, seconds: float = 15) -> None:
        """Wait for so many more right answers."""
        wanted, deadline = self.answered + answers, time.monotonic() + seconds
        while self.answered < wanted:
            assert time.monotonic() < deadline, f"{self.answered} answers, failed: {dict(self.failed)}"
            time.sleep(0.02)

    @property
    def failed(self) -> Counter[str]:
        """Requests without one, by what came instead."""
        return Counter({what: n for what, n in self.results.items() if what != "200"})

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                link = self._client.connect(*self._peer, self._tls, self._name)
            except OSError as e:
                self._note(f"connect: {e!r}")
                self._stop.wait(0.02)
                continue
            with contextlib.closing(http.client.HTTPConnection(self._peer[0], self._peer[1])) as connection:
                connection.sock = link
                for _ in range(20):
                    if self._stop.is_set() or not self._request(connection):
                        break
                    self._stop.wait(self._pause_s)

    def _request(self, connection: http.client.HTTPConnection) -> bool:
        begin, server = time.monotonic(), None
        try:
            connection.request("GET", self._path)
            answer = connection.getresponse()
            data, length = answer.read(), answer.headers.get("Content-Length")
            server = answer.headers.get("X-Server")
            what = str(answer.status) if length is None or len(data) == int(length) else "short"
        except (OSError, http.client.HTTPException) as e:
            what = repr(e)
        self._note(what, server, time.monotonic() - begin)
        return what == "200" and connection.sock is not None

    def _note(self, what: str, server: str | None = None, seconds: float = 0.0) -> None:
        with self._lock:
            self.results[what] += 1
            self.slowest_s = max(self.slowest_s, seconds)
            if what == "200":
                now = time.monotonic()
                self.longest_gap_s = max(self.longest_gap_s, now - (self._answered_at or now))
                self._answered_at = now
            if server is not None:
                self.servers[server] += 1


@contextlib.contextmanager
def closing_all(links: list[Any]) -> Iterator[list[Any]]:
    """Connections that are closed at the end."""
    try:
        yield links
    finally:
        for link in links:
            link.close()
