"""What TLS hides reaches the analyzer as real TCP between the client and the virtual server; nothing else does."""

from __future__ import annotations

import hashlib
import http.client
import threading
from ipaddress import ip_address

import pytest

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
    HttpsConnection,
    Recorder,
    body,
)
from tests.netns.mirror_net import PROFILE, TAP, TUNNEL, bring, capture, command, mirror_in

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
def mirrored(net):
    """The virtual servers are served, and their clear text is mirrored."""
    with mirror_in(net, rules=RULES, taps=TAPS) as mirror, net.real_servers(), net.haproxy(LAYOUT):
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
