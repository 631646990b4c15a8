"""Real servers see the clients' own addresses, and their answers come back through HAProxy."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Iterator

import pytest

from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.dataplane.transparent import TransparentDriver, transparent_families
from hsadc.errors import Unsupported
from hsadc.intent.transparent import TransparentIntent
from tests.netns.conftest import Net
from tests.netns.hop_lab import CLIENT, CLIENT6, LAYOUT, PLAIN, PORT, SERVER, SERVER6, HopNet, Recorder, body, family_of

pytestmark = pytest.mark.netns

FOUR, SIX, BOTH = TransparentIntent((4,)), TransparentIntent((6,)), TransparentIntent((4, 6))
ENDS = [(CLIENT, SERVER), (CLIENT6, SERVER6)]
ALL = {CLIENT, CLIENT6}


@pytest.fixture(scope="module")
def lab() -> Iterator[HopNet]:
    with HopNet() as lab:
        yield lab


@pytest.fixture
def driver(net: Net) -> Iterator[TransparentDriver]:
    with Netlink() as netlink:
        driver = TransparentDriver(netlink)
        try:
            yield driver
        finally:
            driver.delete(BOTH)


def run(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def state() -> list[str]:
    commands = ["ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all", "nft list ruleset"]
    return [run(command) for command in commands]


def fetch(lab: HopNet, server: str, source: str, size: int = 100000) -> bytes:
    """What a client gets from a virtual server that is plain HTTP."""
    connection = http.client.HTTPConnection(server, 8080, timeout=2)
    connection.sock = lab.client_socket(family_of(server))
    connection.sock.settimeout(2)
    try:
        connection.sock.connect((server, 8080))
        assert connection.sock.getsockname()[0] == source
        connection.request("GET", f"/{size}", headers={"Connection": "close"})
        return connection.getresponse().read()
    finally:
        connection.close()


def served(lab: HopNet) -> set[str]:
    """The clients that are served, of those with an address of each family."""
    found = set()
    for client, server in ENDS:
        try:
            if fetch(lab, server, client) == body(100000):
                found.add(client)
        except (OSError, http.client.HTTPException):
            continue
    return found


def test_real_servers_see_the_clients_addresses(lab):
    with lab.real_servers() as peers, lab.haproxy(PLAIN):
        assert served(lab) == set()  # the answers are nobody's
        peers.clear()
        for intent, clients in ((BOTH, ALL), (FOUR, {CLIENT}), (SIX, {CLIENT6}), (BOTH, ALL)):
            reconcile([(lab.transparent, [intent])])
            assert served(lab) == clients
        assert set(peers) == ALL
        reconcile([(lab.transparent, [])])
        assert served(lab) == set()


def test_with_source_checks_and_beside_the_hop(lab):
    """The clear leg connects from the client's address; what comes over the hop is none of its answers."""
    text = LAYOUT.replace("backend pool from http\n", "backend pool from http\n  source 0.0.0.0 usesrc clientip\n")
    run("sysctl -w net.ipv4.conf.all.rp_filter=1")
    try:
        reconcile([(lab.hop, [lab.intent]), (lab.transparent, [FOUR])])
        with lab.real_servers() as peers, lab.haproxy(text), Recorder(lab.connect(SERVER, PORT)) as connection:
            assert connection.request("GET /1000000") == body(1000000)
        assert peers == [CLIENT]
    finally:
        reconcile([(lab.hop, []), (lab.transparent, [])])
        run("sysctl -w net.ipv4.conf.all.rp_filter=0")


def test_it_is_made_changed_found_again_and_removed_without_a_trace(driver):
    before = state()
    assert reconcile([(driver, [])]) == Outcome()
    assert reconcile([(driver, [FOUR])]) == Outcome(created=1)
    one = state()
    assert transparent_families(driver._netlink) == (4,)
    assert reconcile([(driver, [BOTH])]) == Outcome(changed=1)
    assert reconcile([(driver, [BOTH])]) == Outcome()
    assert reconcile([(driver, [FOUR])]) == Outcome(changed=1)
    assert state() == one
    assert reconcile([(driver, [])]) == Outcome(deleted=1)
    assert state() == before
    assert transparent_families(driver._netlink) == ()


@pytest.mark.parametrize(
    "command",
    [
        "ip rule del pref 74",
        "ip -6 rule del pref 74",
        "ip route flush table 7274",
        "ip -6 route flush table 7274",
        "nft delete table inet hsadc_transparent",
        "nft flush chain inet hsadc_transparent received",
        "nft add rule inet hsadc_transparent received accept",
    ],
)
def test_a_piece_that_is_removed_by_hand_is_made_again(driver, command):
    before = state()
    reconcile([(driver, [BOTH])])
    whole = state()
    run(command)
    assert reconcile([(driver, [BOTH])]) == Outcome(changed=1)
    assert reconcile([(driver, [BOTH])]) == Outcome()
    assert state() == whole
    run(command)
    assert reconcile([(driver, [])]) == Outcome(deleted=1)
    assert state() == before


def test_rules_and_routes_of_others_stay(driver):
    run("ip rule add pref 74 fwmark 1 lookup 100")
    run("ip route add local 192.0.2.0/24 dev lo table 7274")
    before = state()
    reconcile([(driver, [BOTH])])
    assert reconcile([(driver, [])]) == Outcome(deleted=1)
    assert state() == before


def test_without_nft_nothing_is_made(driver, monkeypatch):
    before = state()
    with monkeypatch.context() as without:
        without.setenv("PATH", "/nowhere")
        with pytest.raises(Unsupported, match="the program nft is missing"):
            driver.create(BOTH)
    assert state() == before
