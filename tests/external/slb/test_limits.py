"""Limits and time-outs: what a client, or a real server, that asks for too much or is too slow gets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from tests.external.slb.client import closing_all
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.network import SERVERS, address

pytestmark = pytest.mark.netns

VIP = address("adc")
URL = f"http://{VIP}"
ASK = b"GET /status/200 HTTP/1.1\r\nHost: x\r\n\r\n"


def configure(
    site, *settings: str, timeouts: str = "", real: str = "", servers: tuple[str, ...] = tuple(SERVERS), port: int = 8081
):
    profile = f'app-profile "p" type http\n{timeouts}\nexit\n'
    section = virtual("http", "\n".join(("auto-snat", "app-profile p", *settings)), port=80)
    site.device.configure(real_servers(extra=real) + profile + pool(port=port, servers=servers) + section)


def ask(link) -> str:
    """The status of a request on this connection; `closed` when it was."""
    try:
        link.sendall(ASK)
        heard = b""
        while b"\r\n\r\n" not in heard:
            if not (part := link.recv(4096)):
                return "closed"
            heard += part
    except ConnectionError:
        return "closed"
    return heard[9:12].decode()


def is_silent(link, seconds: float) -> bool:
    """Whether nothing comes for so long."""
    link.settimeout(seconds)
    try:
        link.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        link.settimeout(15)
    return False


def test_max_connection_lets_others_wait_until_one_leaves(site):
    configure(site, "max-connection 2")
    with closing_all([site.client.connect(VIP, 80) for _ in range(3)]) as (first, second, third):
        assert [ask(first), ask(second)] == ["200", "200"]
        third.sendall(ASK)
        assert is_silent(third, 1)
        first.close()
        assert third.recv(4096)[9:12] == b"200"


def test_rate_limit_lets_some_in_and_the_others_wait(site):
    configure(site, "rate-limit 5")
    with closing_all([site.client.connect(VIP, 80) for _ in range(20)]) as links:
        begin = time.monotonic()
        for link in links:
            link.sendall(ASK)
        assert all(link.recv(4096)[9:12] == b"200" for link in links)
        assert time.monotonic() - begin > 1  # a stall of the machine can only make it longer


def test_client_max_connection_refuses_one_client_and_no_other(site):
    configure(site, "client-max-connection 2")
    with closing_all([site.client.connect(VIP, 80) for _ in range(2)]) as links:
        assert [ask(link) for link in links] == ["200", "200"]
        with contextlib.suppress(ConnectionError), site.client.connect(VIP, 80) as third:
            assert ask(third) == "closed"
        with site.other.connect(VIP, 80) as other:
            assert ask(other) == "200"
    site.eventually(lambda: site.client.curl(f"{URL}/status/200").status == 200)


def test_client_rate_limit_answers_429_to_one_client_and_to_no_other(site):
    configure(site, "client-rate-limit 5")
    with site.client.connect(VIP, 80) as link:
        answers = [ask(link) for _ in range(12)]
    assert answers[:5] == ["200"] * 5
    assert "429" in answers
    assert site.other.get(f"{URL}/status/200").status == 200
    time.sleep(2.5)  # those that are refused count, too: who does not let up stays out
    assert site.client.get(f"{URL}/status/200").status == 200


def test_client_rate_limit_of_tcp_counts_connections(site):
    site.device.configure(real_servers() + pool(port=7) + virtual("tcp", "auto-snat\nclient-rate-limit 3", port=7))

    def greeted(client) -> bool:
        try:
            with client.connect(VIP, 7) as link:
                return link.recv(10).startswith(b"rs")
        except ConnectionError:
            return False

    answers = [greeted(site.client) for _ in range(8)]
    assert answers[:3] == [True] * 3
    assert False in answers
    assert greeted(site.other)


def test_a_real_server_gets_no_more_connections_than_it_may(site):
    """The request that finds it full waits, and is served when there is room."""
    configure(site, real="max-connection 1", servers=("rs1",))
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(site.client.connect(VIP, 80)) for _ in range(2))
        first.sendall(b"GET /slow/1.5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert is_silent(first, 0.3)
        second.sendall(ASK)
        assert is_silent(second, 0.5)
        assert first.recv(4096)[9:12] == b"200"
        assert second.recv(4096)[9:12] == b"200"


def test_timeout_queue_answers_503_when_real_servers_stay_full(site):
    configure(site, real="max-connection 1", servers=("rs1",), timeouts="timeout queue 1")
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(site.client.connect(VIP, 80)) for _ in range(2))
        first.sendall(b"GET /slow/3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert is_silent(first, 0.3)
        assert ask(second) == "503"
        assert first.recv(4096)[9:12] == b"200"


def test_timeout_server_answers_504(site):
    configure(site, timeouts="timeout server 1")
    assert site.client.curl(f"{URL}/slow/3").status == 504
    assert site.client.get(f"{URL}/slow/0.3").status == 200


def test_timeout_connect_answers_503(site):
    configure(site, timeouts="timeout connect 1", servers=("rs1",))
    site.network.run(
        "rs1", "nft", "add table inet hole; add chain inet hole in { type filter hook input priority 0; policy drop; }"
    )
    try:
        assert site.client.curl(f"{URL}/status/200").status == 503
    finally:
        site.network.run("rs1", "nft", "delete table inet hole")


def test_timeout_http_request_answers_408(site):
    configure(site, timeouts="timeout http-request 1")
    with site.client.connect(VIP, 80) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ")
        assert link.recv(4096)[9:12] == b"408"


def test_timeout_client_ends_a_request_whose_body_stops(site):
    configure(site, timeouts="timeout client 1")
    with site.client.connect(VIP, 80) as link:
        link.sendall(b"POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun")
        assert link.recv(4096)[9:12] in (b"400", b"408")
        while link.recv(4096):
            pass


def test_timeout_keepalive_closes_a_connection_without_requests(site):
    configure(site, timeouts="timeout keepalive 1")
    with site.client.connect(VIP, 80) as link:
        assert ask(link) == "200"
        while part := link.recv(4096):
            assert part == b"ok\n"


def test_slow_clients_starve_nobody(site):
    """Slowloris: hundreds of clients that send a byte of a request now and then; others are answered as ever."""
    configure(site, timeouts="timeout http-request 3", port=80)
    with closing_all([site.other.connect(VIP, 80) for _ in range(500)]) as links:
        stop = threading.Event()

        def drip():
            while not stop.wait(0.2):
                for link in links:
                    with contextlib.suppress(OSError):
                        link.send(b"X-a: b\r\n")

        for link in links:
            link.send(b"GET / HTTP/1.1\r\n")
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert site.client.spread(f"{URL}/", 300).total() == 300
            assert "no server" not in site.client.spread(f"{URL}/", 300)
            assert all(not is_silent(link, 10) for link in links[::50])  # they were thrown out
        finally:
            stop.set()
            thread.join()
