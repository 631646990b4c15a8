"""What TLS hides reaches the analyzer as real TCP between the client and the virtual server; nothing else does."""

from __future__ import annotations

import hashlib
import socket
import struct
from ipaddress import ip_address

import pytest

from hsadc.dataplane.portable.mirror import PortableMirror
from hsadc.intent.hop import DEVICE
from hsadc.intent.mirror import RuleIntent, TapIntent
from tests.netns.hop_lab import (
    CLIENT,
    CLIENT6,
    LAYOUT,
    PORT,
    PORT80,
    PORT_H2,
    SERVER,
    SERVER6,
    Copies,
    HopNet,
    Recorder,
    body,
)
from tests.netns.mirror_net import PROFILE, TAP, TUNNEL, bring, capture, mirror_in, remove, until

pytestmark = pytest.mark.netns

LARGE = 20 << 20
TAPS = (TAP, TapIntent(DEVICE))
RULES = tuple(
    RuleIntent(n, ip_address(address), port, 6, PROFILE.number, hop=True)
    for n, (address, port) in enumerate([(SERVER, PORT), (SERVER6, PORT), (SERVER, 80), (SERVER6, 80), (SERVER, PORT_H2)], 1)
)


@pytest.fixture(scope="module")
def net():
    with HopNet() as net:
        net.hop.create(net.intent)
        yield net


@pytest.fixture(scope="module")
def served(net):
    """The virtual servers are served."""
    with net.real_servers(), net.haproxy(LAYOUT) as proxy:
        yield proxy


@pytest.fixture
def mirrored(net, served):
    """And their clear text is mirrored."""
    with mirror_in(net, rules=RULES, taps=TAPS) as mirror:
        yield mirror


@pytest.mark.parametrize(
    ("client", "server", "port", "copied_port"),
    [(CLIENT, SERVER, PORT, PORT), (CLIENT6, SERVER6, PORT, PORT), (CLIENT, SERVER, PORT80, 80), (CLIENT6, SERVER6, PORT80, 80)],
)
def test_the_copies_are_the_clear_text(net, mirrored, client, server, port, copied_port):
    up = body(LARGE + 1)
    with capture(net) as frames, Recorder(net.connect(server, port)) as connection:
        assert connection.request(f"GET /{LARGE}") == body(LARGE)
        assert connection.request("POST /", up) == hashlib.sha256(up).hexdigest().encode()
        assert connection.request("GET /5") == body(5)
    copies = Copies(frames)
    forward, backward = copies.between(client, connection.port, server, copied_port)
    assert connection.address == client
    assert hashlib.sha256(forward).digest() == hashlib.sha256(connection.sent).digest()
    assert hashlib.sha256(backward).digest() == hashlib.sha256(connection.received).digest()
    assert len(copies.streams) == 2  # and nothing was copied but these
    assert max(map(len, copies.packets)) <= 1452
    assert mirrored.counters().tunnel(TUNNEL.interface).dropped == 0


def test_http2_is_copied_as_http_1_1_where_it_is_normalised(net, mirrored):
    url = f"https://{SERVER}:{PORT_H2}"
    fetch = f"curl -sk --http2 --parallel --max-time 20 -o /dev/null {url}/1000 -o /dev/null {url}/2000 -w '%{{http_version}} '"
    with capture(net) as frames:
        assert net.run("client", fetch).split() == ["2", "2"]
    requests = [stream for (_, server), stream in Copies(frames).streams.items() if server == (ip_address(SERVER), PORT_H2)]
    answers = [stream for (server, client), stream in Copies(frames).streams.items() if client[0] == ip_address(CLIENT)]
    assert sorted(line for r in requests for line in r.splitlines() if line.startswith(b"GET")) == [
        b"GET /1000 HTTP/1.1",
        b"GET /2000 HTTP/1.1",
    ]
    assert {body(size) for size in (1000, 2000)} <= {part for a in answers for part in a.split(b"\r\n\r\n")}


def test_what_is_on_the_wire_is_copied_where_that_is_wanted(net, mirrored):
    bring(mirrored, rules=(RuleIntent(1, ip_address(SERVER), PORT, 6, PROFILE.number),), taps=TAPS)
    with capture(net) as frames, Recorder(net.connect(SERVER, PORT)) as connection:
        connection.request("GET /50000")
    forward, backward = Copies(frames).between(CLIENT, connection.port, SERVER, PORT)
    assert (forward[:2], backward[:2]) == (b"\x16\x03", b"\x16\x03")  # TLS handshake records (RFC 8446, section 5.1)
    assert len(backward) > 50000
    assert b"GET" not in forward


def test_without_a_rule_for_the_hop_nothing_is_copied(net, mirrored):
    bring(mirrored, rules=(), taps=TAPS)
    with capture(net) as frames, Recorder(net.connect(SERVER, PORT)) as connection:
        connection.request("GET /5000")
    assert frames == []


def test_the_mirror_without_bpf_copies_the_same(net, served):
    mirror = PortableMirror()
    mirror.start_watching()
    try:
        bring(mirror, rules=RULES, taps=TAPS)
        until(lambda: mirror.tunnel_state(TUNNEL.interface).state == "up")
        with capture(net) as frames, Recorder(net.connect(SERVER, PORT)) as four, Recorder(net.connect(SERVER6, PORT80)) as six:
            for connection in (four, six):
                connection.request("GET /200000")
                connection.request("POST /", body(100000))
        copies = Copies(frames)
        assert copies.between(CLIENT, four.port, SERVER, PORT) == (four.sent, four.received)
        assert copies.between(CLIENT6, six.port, SERVER6, 80) == (six.sent, six.received)
        assert len(copies.streams) == 4
    finally:
        remove(mirror)
        mirror.stop()


def test_a_clients_port_may_come_again_at_once(net, mirrored):
    """The hop's connections have the clients' ports."""
    with net.client_socket() as probe:
        probe.bind((CLIENT, 0))
        port = probe.getsockname()[1]
    for _ in range(100):
        s = net.client_socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset: the client may use the port again
        s.bind((CLIENT, port))
        with Recorder(net.connect(SERVER, PORT, s)) as connection:
            assert connection.request("GET /100") == body(100)
