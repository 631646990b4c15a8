"""From the words of a configuration to the copies, and through its changes: the dataplane as a whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hsadc.dataplane import namespace
from hsadc.dataplane.dataplane import Dataplane
from hsadc.dataplane.reconcile import Outcome
from hsadc.intent.compile import compile_config
from hsadc.intent.hop import DEVICE
from tests.netns.hop_lab import CLIENT, CLIENT6, PORT, SERVER, SERVER6, Copies, HopNet, Recorder, body, make_certificate
from tests.netns.mirror_net import capture, command, until
from tests.unit.intent.words import config

pytestmark = pytest.mark.netns

BASE = """
interface ethernet0/0; device front; exit
interface ethernet0/1; device back; exit
tunnel gre t; source 10.2.0.2; destination 10.3.0.2; exit
interface tunnel1; tunnel gre t; exit
pki trust-domain d; certificate file certificate.pem; key file key.pem; exit
ssl-profile web; trust-domain d; exit
slb real-server four; ip 10.2.0.1; port 80; exit
slb real-server six; ip fd00:2::1; port 80; exit
slb server-pool four; real-server four; exit
slb server-pool six; real-server six; exit
"""
FOUR = f"slb virtual-server four type https id 4; server-pool four; ip {SERVER} port {PORT}; ssl-profile web;"
SIX = f"slb virtual-server six type ssl id 6; server-pool six; ip {SERVER6} port {PORT}; ssl-profile web;"
MIRRORED = "mirror-traffic interface tunnel1"


class Adc:
    """The dataplane, told what to be in words."""

    def __init__(self, net: HopNet) -> None:
        self.dataplane = Dataplane(net.folder)

    def become(self, *words: str) -> Outcome:
        wanted = config("".join((BASE, *words)))
        compiled = compile_config(wanted, self.dataplane.inventory(wanted))
        assert compiled.refusals == ()
        outcome = self.dataplane.apply(compiled.intent)
        tunnels = self.dataplane.intent.tunnels
        until(lambda: all(self.dataplane.tunnel_state(t.interface).state == "up" for t in tunnels))
        return outcome


@pytest.fixture(scope="module")
def net() -> Iterator[HopNet]:
    with HopNet() as net:
        make_certificate(net.folder / "pki")
        with net.real_servers() as peers:
            net.peers = peers
            yield net


@pytest.fixture
def adc(net: HopNet) -> Iterator[Adc]:
    with running(net) as adc:
        yield adc


@contextmanager
def running(net: HopNet) -> Iterator[Adc]:
    adc = Adc(net)
    try:
        yield adc
    finally:
        adc.dataplane.stop()
    assert "hsadc" not in command("ip link; ip rule; ip -6 rule; nft list ruleset")
    assert not namespace.exists(net.intent.namespace)


def get(net: HopNet, server: str, size: int) -> Recorder:
    """One request; the connection is closed."""
    with Recorder(net.connect(server, PORT)) as connection:
        assert connection.request(f"GET /{size}") == body(size)
    return connection


def test_copies_and_clients_addresses(net: HopNet, adc: Adc) -> None:
    adc.become(FOUR, MIRRORED, ";exit;", SIX, MIRRORED, " port 80")
    net.peers.clear()
    with capture(net) as frames:
        four, six = get(net, SERVER, 100000), get(net, SERVER6, 100000)
    copies = Copies(frames)
    assert copies.between(CLIENT, four.port, SERVER, PORT) == (four.sent, four.received)
    assert copies.between(CLIENT6, six.port, SERVER6, 80) == (six.sent, six.received)
    assert len(copies.streams) == 4
    assert net.peers == [CLIENT, CLIENT6]


def test_a_mirror_that_is_switched_on_and_off_disturbs_no_connection(net: HopNet, adc: Adc) -> None:
    adc.become(FOUR)
    assert f"{DEVICE}:" not in command("ip link")
    with capture(net) as frames, Recorder(net.connect(SERVER, PORT)) as before:
        before.begin("GET /3000000")
        adc.become(FOUR, MIRRORED)
        with Recorder(net.connect(SERVER, PORT)) as during:
            during.begin("GET /3000001")
            adc.become(FOUR)
            after = get(net, SERVER, 3000)
            assert during.end() == body(3000001)  # over the hop, which its virtual server does not need any more
        assert before.end() == body(3000000)
    copies = Copies(frames)
    sent, received = copies.between(CLIENT, during.port, SERVER, PORT)
    assert sent == during.sent
    assert during.received.startswith(received)  # the rule is gone, so the rest was not copied
    assert {port for ends in copies.streams for _, port in ends} == {PORT, during.port}
    assert after.port not in {before.port, during.port}
    assert f"{DEVICE}@" in command("ip link")
    adc.become("")
    assert DEVICE not in command("ip link")


def test_connections_from_clients_addresses_go_on_when_new_ones_leave_from_ours(net: HopNet, adc: Adc) -> None:
    adc.become(FOUR, MIRRORED)
    net.peers.clear()
    with Recorder(net.connect(SERVER, PORT)) as before:
        before.begin("GET /20000000")
        until(lambda: net.peers)
        adc.become(FOUR, MIRRORED, "; auto-snat")
        assert get(net, SERVER, 1000)
        assert before.end() == body(20000000)
    assert net.peers == [CLIENT, "10.2.0.2"]


@pytest.mark.parametrize("removal", ["ip netns del {}", "umount -l /run/netns/{}"])
def test_a_namespace_that_lost_its_name_gets_it_again_with_haproxys_listeners(net: HopNet, adc: Adc, removal: str) -> None:
    """By hand; or it was given in another mount namespace, where a new daemon sees the file alone."""
    adc.become(FOUR, MIRRORED)
    with Recorder(net.connect(SERVER, PORT)) as connection:
        connection.begin("GET /20000000")
        command(removal.format(net.intent.namespace))
        assert adc.dataplane.repair() == Outcome(changed=1)
        assert connection.end() == body(20000000)
    assert get(net, SERVER, 1000)
    assert adc.dataplane.repair() == Outcome()


def test_a_namespace_that_lost_its_name_and_the_cable_is_found_by_who_listens_there(net: HopNet, adc: Adc) -> None:
    """HAProxy's next generations inherit the listeners: in a new namespace nobody would listen until it is started anew."""
    adc.become(FOUR, MIRRORED)
    command(f"ip netns del {net.intent.namespace}; ip link del {DEVICE}")
    assert adc.dataplane.repair() == Outcome(created=1, changed=1)  # its tap, and the hop
    assert get(net, SERVER, 1000)
    adc.become(FOUR, MIRRORED, " port 80")
    assert get(net, SERVER, 1000)
    assert adc.dataplane.repair() == Outcome()


def test_a_restarted_process_finds_it_as_it_was(net: HopNet, adc: Adc) -> None:
    words = FOUR, MIRRORED
    assert subprocess.run([sys.executable, "-c", PREDECESSOR, str(net.folder), *words], check=False).returncode == 7
    with Recorder(net.connect(SERVER, PORT)) as connection:
        connection.begin("GET /1000000")
        assert adc.become(*words) == Outcome()
        assert connection.end() == body(1000000)
    command(f"ip link del {DEVICE}")
    assert adc.dataplane.repair() == Outcome(created=1, changed=1)  # its tap, and the hop
    assert get(net, SERVER, 1000)


PREDECESSOR = """
import os, sys
from types import SimpleNamespace
from pathlib import Path
from tests.netns.test_hop_life import Adc
folder, *words = sys.argv[1:]
Adc(SimpleNamespace(folder=Path(folder))).become(*words)
os._exit(7)
"""
"""A process that ends without a word, as one that is killed."""
