import socket
from threading import Thread

import pytest

from hsadc.lab.client import SIZES, Request, converse, plan
from hsadc.lab.server import RealServer


@pytest.fixture
def server():
    with RealServer("rs33", "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_plan_has_every_size_in_both_directions():
    requests = plan(200)
    assert len(requests) == 200
    assert {int(r.path.removeprefix("/bytes/")) for r in requests if r.method == "GET"} == set(SIZES)
    assert {r.body_bytes for r in requests if r.method == "POST"} == set(SIZES)


def test_a_conversation_is_recorded_byte_by_byte(server):
    peer = server.server_address
    heard = converse(peer, (Request("GET", "/bytes/20", 0), Request("POST", "/bytes/0", 3)))
    assert [(e.server, e.error) for e in heard.exchanges] == [("rs33", None), ("rs33", None)]
    host = f"Host: 127.0.0.1:{peer[1]}\r\nUser-Agent: hsadc-lab\r\n"
    assert heard.sent.decode() == (
        f"GET /bytes/20 HTTP/1.1\r\n{host}\r\nPOST /bytes/0 HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\ncln"
    )
    assert heard.received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"\r\n\r\nrs33 0000000000\nrs33HTTP/1.1" in heard.received
    assert server.report().requests == {"127.0.0.1": 2}


def test_a_failed_request_is_recorded_and_so_are_those_after_it(server):
    heard = converse(
        server.server_address, (Request("GET", "/bytes/1", 0), Request("GET", "/nothing", 0), Request("GET", "/bytes/1", 0))
    )
    assert [e.error for e in heard.exchanges] == [None, "HTTP/1.1 404 Not Found", "HTTP/1.1 404 Not Found"]
    assert server.report().requests == {"127.0.0.1": 1}


def test_a_body_of_another_server_is_a_failure(server, monkeypatch):
    monkeypatch.setattr("hsadc.lab.server.body", lambda _, size: b"x" * size)
    heard = converse(server.server_address, (Request("GET", "/bytes/9", 0),))
    assert [e.error for e in heard.exchanges] == ["the body is not the one that was asked for"]


def test_nobody_there_is_a_failure_of_every_request():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        heard = converse(closed.getsockname(), (Request("GET", "/bytes/1", 0),) * 2)
    assert heard.port == 0
    assert [e.error for e in heard.exchanges] == ["[Errno 111] Connection refused"] * 2
