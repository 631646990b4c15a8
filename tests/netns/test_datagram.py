"""Virtual servers of type udp: real datagrams through nftables, in namespaces."""

import contextlib
import errno
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hsadc.dataplane import nft, sysctl
from hsadc.dataplane.dataplane import Dataplane
from hsadc.dataplane.reconcile import Outcome
from hsadc.errors import ApplyError, Unsupported
from hsadc.intent.compile import Intent
from tests.netns.datagram_net import (
    PORT,
    SERVER,
    Adc,
    Net,
    Reals,
    adc,
    ask,
    client,
    exchange,
    names,
    probe,
    real,
    server,
    target,
    tier,
)
from tests.netns.mirror_net import until

pytestmark = pytest.mark.netns
SAID = {4: "cat /proc/sys/net/ipv4/ip_forward", 6: "cat /proc/sys/net/ipv6/conf/all/forwarding"}


@pytest.fixture(scope="module")
def net():
    with Net() as net:
        yield net


@pytest.fixture
def here(net, tmp_path):
    with adc(net, tmp_path) as here:
        yield here


def refused(net, version=4, port=PORT):
    """Whether a client gets an ICMP error, which is more than silence."""
    try:
        ask(net, version=version, port=port)
    except ConnectionRefusedError:
        return True
    return False


def serves(net, *expected):
    """Whether flows of new sockets go to these alone, and to each."""
    with contextlib.suppress(OSError):
        return set(names(ask(net, times=4 * len(expected)))) == set(expected)
    return False


def moved(sock, name):
    """Whether a flow that there was goes to another real server; until then the dead one refuses."""
    with contextlib.suppress(ConnectionRefusedError):
        return exchange(sock)[0] == name
    return False


# How flows are shared


def test_flows_go_to_each_by_its_weight(net, here):
    wanted = server(tier(target(1, weight=5), target(2, weight=3), target(3, weight=2)))
    with Reals(net, 1, 2, 3):
        assert here.bring(wanted) == Outcome(created=1)
        assert names(ask(net, times=100)) == {"rs1": 50, "rs2": 30, "rs3": 20}
        assert here.bring(wanted) == Outcome()


def test_round_robin_knows_no_weights(net, here):
    with Reals(net, 1, 2, 3):
        here.bring(server(tier(target(1, weight=5), target(2), target(3), load_balance="round-robin")))
        assert names(ask(net, times=30)) == {"rs1": 10, "rs2": 10, "rs3": 10}


def test_random_knows_them(net, here):
    with Reals(net, 1, 2):
        here.bring(server(tier(target(1, weight=3), target(2), load_balance="random")))
        assert 270 < names(ask(net, times=400))["rs1"] < 330


def test_of_a_flow_all_datagrams_go_to_one(net, here):
    with Reals(net, 1, 2), net.socket("client", client(0)) as sock:
        here.bring(server(tier(target(1), target(2))))
        sock.connect((SERVER, PORT))
        assert len({exchange(sock) for _ in range(10)}) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_a_client_is_bound_to_its_real_server_by_source_hash(net, here, version):
    targets = [target(n, version) for n in (1, 2, 3)]
    with Reals(net, 1, 2, 3, version=version):
        here.bring(server(tier(*targets, load_balance="source-hash"), version=version))
        chosen = {n: names(ask(net, n, 5, version)) for n in range(11)}
        assert all(len(choice) == 1 for choice in chosen.values())
        first = {n: next(iter(choice)) for n, choice in chosen.items()}
        assert len(set(first.values())) > 1
        # One goes: only its own clients move.
        here.bring(server(tier(*targets[:2], load_balance="source-hash"), version=version))
        second = {n: next(iter(names(ask(net, n, 1, version)))) for n in range(11)}
        assert {n: name for n, name in second.items() if first[n] != "rs3"} == {
            n: name for n, name in first.items() if name != "rs3"
        }
        # It comes back: so do they.
        here.bring(server(tier(*targets, load_balance="source-hash"), version=version))
        assert {n: next(iter(names(ask(net, n, 1, version)))) for n in range(11)} == first


# Addresses


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("auto_snat", [True, False])
def test_whom_the_real_server_sees(net, here, version, auto_snat):
    adc_side = "10.2.0.2" if version == 4 else "fd02::2"
    with Reals(net, 1, version=version):
        here.bring(server(tier(target(1, version)), version=version, auto_snat=auto_snat))
        assert ask(net, 3, 1, version) == [("rs1", adc_side if auto_snat else client(3, version))]


def test_another_port_of_the_real_server(net, here):
    with Reals(net, 1, port=9053):
        here.bring(server(tier(target(1, port=9053))))
        assert names(ask(net)) == {"rs1": 1}


def test_auto_snat_that_is_changed_is_in_force_for_flows_that_there_are(net, here):
    with Reals(net, 1), net.socket("client", client(1)) as sock:
        sock.connect((SERVER, PORT))
        seen = []
        for auto_snat in (True, False, True):
            here.bring(server(tier(target(1)), auto_snat=auto_snat))
            seen.append(exchange(sock)[1])
        assert seen == ["10.2.0.2", client(1), "10.2.0.2"]


def test_datagrams_that_are_larger_than_a_packet(net, here):
    with Reals(net, 1, 2), net.socket("client", client(0)) as sock:
        here.bring(server(tier(target(1), target(2))))
        sock.connect((SERVER, PORT))
        assert exchange(sock, bytes(1900))[0] in ("rs1", "rs2")


# States, tiers and health


def test_a_real_server_that_drains_keeps_its_flows_and_gets_no_new_ones(net, here):
    with Reals(net, 1, 2), net.socket("client", client(0)) as sock:
        here.bring(server(tier(target(1))))
        sock.connect((SERVER, PORT))
        assert exchange(sock)[0] == "rs1"
        here.bring(server(tier(target(1, state="drain"), target(2))))
        assert [exchange(sock)[0] for _ in range(5)] == ["rs1"] * 5
        assert names(ask(net, times=6)) == {"rs2": 6}


@pytest.mark.parametrize("version", [4, 6])
def test_the_flows_of_a_disabled_real_server_move(net, here, version):
    address = server(version=version).address
    with Reals(net, 1, 2, version=version), net.socket("client", client(0, version)) as sock:
        here.bring(server(tier(target(1, version)), version=version))
        sock.connect((str(address), PORT))
        assert exchange(sock)[0] == "rs1"
        here.bring(server(tier(target(1, version, state="disable"), target(2, version)), version=version))
        assert exchange(sock)[0] == "rs2"


def test_the_flows_of_one_that_left_the_pool_move_and_others_stay(net, here):
    with Reals(net, 1, 2, 3), contextlib.ExitStack() as stack:
        here.bring(server(tier(target(1), target(2))))
        socks = [stack.enter_context(net.socket("client", client(0))) for _ in range(6)]
        for sock in socks:
            sock.connect((SERVER, PORT))
        before = [exchange(sock)[0] for sock in socks]
        here.bring(server(tier(target(3), target(2))))
        after = [exchange(sock)[0] for sock in socks]
        assert before.count("rs1") == before.count("rs2") == 3
        assert all((b, a) == ("rs2", "rs2") for b, a in zip(before, after, strict=True) if b == "rs2")
        assert "rs1" not in after


def test_a_real_server_that_dies_is_left_within_its_checks_and_comes_back(net, here):
    with Reals(net, 1, 2) as reals, net.socket("client", client(0)) as sock:
        here.bring(server(tier(*(target(n, probe=probe(n)) for n in (1, 2)))))
        until(lambda: all(here.prober.state(probe(n)).known for n in (1, 2)))
        sock.connect((SERVER, PORT))
        dying = exchange(sock)[0]
        reals.kill(int(dying[-1]))
        other = "rs2" if dying == "rs1" else "rs1"
        began = time.monotonic()
        until(lambda: serves(net, other))
        # It is checked every second, and refuses at once.
        assert time.monotonic() - began < 2.5
        until(lambda: moved(sock, other))  # the flow that there was
        states = {s.target.real_server: s for s in here.statistics().real_servers}
        assert states[dying].check.words == "refused: ICMP port unreachable"
        assert (states[dying].check.up, states[dying].serving, states[other].serving) == (False, False, True)
        reals.begin(int(dying[-1]))
        until(lambda: serves(net, "rs1", "rs2"))
        assert exchange(sock)[0] == other  # and stays


@pytest.mark.parametrize("version", [4, 6])
def test_when_nobody_works_clients_are_told_so_at_once(net, here, version):
    with Reals(net, 1, 2, version=version) as reals:
        here.bring(server(tier(*(target(n, version, probe=probe(n, version)) for n in (1, 2))), version=version))
        assert not refused(net, version)
        with net.socket("client", client(0, version)) as sock:
            sock.connect((str(server(version=version).address), PORT))
            exchange(sock)
            reals.kill(1)
            reals.kill(2)
            # At first it is the real server's own error that comes; then the device's.
            until(lambda: refused(net, version) and here.statistics().clients.refused)
            before = here.statistics().clients.refused
            with pytest.raises(ConnectionRefusedError):
                exchange(sock)
            assert here.statistics().clients.refused == before + 1
            reals.begin(2)
            until(lambda: not refused(net, version))
            assert exchange(sock)[0] == "rs2"


def test_a_virtual_server_without_a_real_server_refuses(net, here):
    here.bring(server())
    assert refused(net)


def test_other_ports_are_not_touched(net, here):
    with Reals(net, 1):
        here.bring(server(tier(target(1))))
        with net.socket("adc", SERVER, PORT + 1) as service, net.socket("client", client(0)) as sock:
            sock.sendto(b"to the device itself", (SERVER, PORT + 1))
            assert service.recv(100) == b"to the device itself"


def test_a_tier_serves_when_the_one_before_has_too_few(net, here):
    tiers = [
        tier(target(1, probe=probe(1)), target(2, probe=probe(2)), minimum=2),
        tier(target(3, probe=probe(3))),
        tier(target(4)),
    ]
    with Reals(net, 1, 2, 3, 4) as reals:
        here.bring(server(*tiers))
        assert serves(net, "rs1", "rs2")
        reals.kill(1)
        until(lambda: serves(net, "rs3"))
        reals.kill(3)
        until(lambda: serves(net, "rs4"))
        reals.begin(1)
        until(lambda: serves(net, "rs1", "rs2"))


# Changes


def test_no_request_is_lost_while_everything_changes(net, here):
    """4000 requests, half of them on flows of their own, during 50 changes."""
    one, *others = targets = [target(n) for n in (1, 2, 3, 4)]
    shapes = [
        tier(*targets),
        tier(*targets, load_balance="source-hash"),
        tier(replace(one, state="drain"), *others, load_balance="random"),
        tier(*(replace(t, weight=n + 1) for n, t in enumerate(targets)), target(1, port=PORT + 1, state="drain")),
        tier(*(replace(t, state="drain") for t in others), one, load_balance="round-robin"),
    ]
    answered = Counter()

    def request(number):
        with net.socket("client", client(number)) as kept:
            kept.connect((SERVER, PORT))
            for _ in range(250):
                answered[exchange(kept)[0]] += 1
                answered[ask(net, number)[0][0]] += 1

    with Reals(net, 1, 2, 3, 4):
        here.bring(server(shapes[0]))
        threads = [threading.Thread(target=request, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        changes = 0
        while any(thread.is_alive() for thread in threads) or changes < 50:
            changes += 1
            here.bring(server(shapes[changes % 5]), *[server(tier(target(1)), number=8, port=PORT + 8)][: changes % 2])
        for thread in threads:
            thread.join()
    assert answered.total() == 4000
    assert set(answered) == {"rs1", "rs2", "rs3", "rs4"}


def test_no_request_is_lost_however_long_a_packet_takes_through_the_rules(net, here):
    """It may begin before a change and end after it: a chain that was emptied and filled again would lose some in a hundred."""
    shapes = [tier(target(1), target(2)), tier(target(1), target(2), load_balance="source-hash")]
    answered, going = Counter(), True

    def request(number):
        while going:
            answered[ask(net, number)[0][0]] += 1

    with Reals(net, 1, 2):
        here.bring(server(shapes[0]))
        delays = "insert rule inet hsadc_datagram prerouting udp dport 1 udp sport 1 accept\n" * 3000
        with net.inside("adc"):
            nft.apply(delays)
        threads = [threading.Thread(target=request, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for change in range(100):
            here.change(server(shapes[change % 2]))
        going = False
        for thread in threads:
            thread.join()
    assert here.statistics().clients.packets_in == answered.total() > 1000
    assert here.statistics().clients.refused == 0


def test_a_virtual_server_moves_to_another_port(net, here):
    with Reals(net, 1), net.socket("client", client(0)) as sock:
        here.bring(server(tier(target(1))))
        sock.connect((SERVER, PORT))
        exchange(sock)
        assert here.bring(server(tier(target(1)), port=PORT + 1)) == Outcome(changed=1)
        assert names(ask(net, port=PORT + 1)) == {"rs1": 1}
        with pytest.raises(ConnectionRefusedError):
            exchange(sock)


def test_two_virtual_servers_change_places(net, here):
    one, two = server(tier(target(1)), number=1), server(tier(target(2)), number=2, port=PORT + 1)
    with Reals(net, 1, 2):
        here.bring(one, two)
        assert here.bring(replace(one, port=PORT + 1), replace(two, port=PORT)) == Outcome(changed=2)
        assert (names(ask(net, port=PORT + 1)), names(ask(net))) == ({"rs1": 1}, {"rs2": 1})
        # Another number on the same port: the new one is there before the old one goes.
        assert here.bring(replace(one, port=PORT + 1), server(tier(target(3)), number=3)) == Outcome(created=1, deleted=1)
        assert set(here.observe()) == {1, 3}


def test_a_virtual_server_that_ends_ends_its_flows(net, here):
    with Reals(net, 1), net.socket("client", client(0)) as sock:
        here.bring(server(tier(target(1))), server(tier(target(1)), number=8, port=PORT + 1))
        sock.connect((SERVER, PORT))
        exchange(sock)
        here.bring(server(tier(target(1)), number=8, port=PORT + 1))
        with pytest.raises(ConnectionRefusedError):
            exchange(sock)
        assert names(ask(net, port=PORT + 1)) == {"rs1": 1}


def test_what_the_kernel_refuses_leaves_all_as_it_was(net, here, monkeypatch):
    with Reals(net, 1, 2):
        here.bring(server(tier(target(1))))
        before = net.run("adc", "nft -s list ruleset")
        with monkeypatch.context() as patch:
            patch.setattr("hsadc.dataplane.datagram_rules.share", lambda *_: "nonsense")
            with pytest.raises(ApplyError, match=r"change udp virtual server 10\.1\.0\.2 port 5300: .*nothing was changed"):
                here.bring(server(tier(target(2))))
        assert net.run("adc", "nft -s list ruleset") == before
        assert serves(net, "rs1")
        here.bring(server(tier(target(2))))
        assert serves(net, "rs2")


def test_forwarding_that_cannot_be_had_leaves_all_as_it_was(net, here, monkeypatch):
    six = server(tier(target(1, 6)), number=8, version=6)
    with Reals(net, 1):
        here.bring(server(tier(target(1))))
        before = net.run("adc", "nft -s list ruleset")
        write = sysctl.write

        def refuse(name, value):
            if (name, value) == ("ipv6/conf/all/forwarding", 1):
                raise PermissionError(errno.EROFS, "Read-only file system")
            write(name, value)

        with monkeypatch.context() as patch:
            patch.setattr(sysctl, "write", refuse)
            with pytest.raises(
                ApplyError, match=r"create udp virtual server fd01::2 port 5300: read-only file system; nothing was"
            ):
                here.bring(server(tier(target(1))), six)
        assert net.run("adc", "nft -s list ruleset") == before
        assert serves(net, "rs1")
        assert here.bring(server(tier(target(1))), six) == Outcome(created=1)


def test_forwarding_goes_on_when_what_needs_it_cannot_be_removed(net, here, monkeypatch):
    with Reals(net, 1, version=6):
        here.bring(server(tier(target(2))), server(tier(target(1, 6)), number=8, version=6))
        with monkeypatch.context() as patch:
            patch.setattr("hsadc.dataplane.datagram_kernel.change_script", lambda *_: "nonsense")
            with pytest.raises(ApplyError, match="syntax error"):
                here.bring(server(tier(target(2))))
        assert names(ask(net, version=6)) == {"rs1": 1}


def test_what_is_refused_when_a_real_server_goes_down_is_tried_again(net, here, monkeypatch, caplog):
    with Reals(net, 1, 2) as reals:
        here.bring(server(tier(*(target(n, probe=probe(n)) for n in (1, 2)))))
        until(lambda: all(here.prober.state(probe(n)).known for n in (1, 2)))
        with monkeypatch.context() as patch:
            patch.setattr("hsadc.dataplane.datagram_rules.share", lambda *_: "nonsense")
            reals.kill(1)
            until(lambda: "flows go to real servers as before" in caplog.text)
        until(lambda: serves(net, "rs2"))


def test_flows_that_cannot_be_ended_are_no_reason_to_take_a_change_back(net, here, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOBUFS, "No buffer space available")

    with Reals(net, 1, 2):
        here.bring(server(tier(target(1))))
        monkeypatch.setattr("hsadc.dataplane.datagram_flows.Conntrack", refuse)
        here.bring(server(tier(target(2))))
        assert "flows go on that should not" in caplog.text
        assert serves(net, "rs2")


def test_without_nft_a_virtual_server_says_what_is_missing(net, here, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert here.observe() == {}
    with pytest.raises(Unsupported, match="install the package nftables"):
        here.driver.prepare({7: server()})
    monkeypatch.undo()


# Restarts and strangers


@pytest.mark.parametrize("version", [4, 6])
def test_the_next_daemon_adopts_what_it_finds(net, tmp_path, version):
    wanted = server(tier(*(target(n, version, probe=probe(n, version)) for n in (1, 2, 3))), version=version)
    with Reals(net, 1, 2, version=version), net.socket("client", client(0, version)) as sock:
        first = Adc(net, tmp_path)
        first.bring(wanted)
        until(lambda: "rs3" not in {s.target.real_server for s in first.statistics().real_servers if s.serving})
        sock.connect((str(wanted.address), PORT))
        answers = [exchange(sock)]
        first.leave()
        before = net.run("adc", "nft list ruleset")
        answers.append(exchange(sock))
        with adc(net, tmp_path) as second:
            assert second.bring(wanted) == Outcome()
            # What was down is down: nobody has said otherwise yet.
            assert not any(s.serving for s in second.statistics().real_servers if s.target.real_server == "rs3")
            answers.append(exchange(sock))
            assert len(set(answers)) == 1
            assert net.run("adc", "nft -s list ruleset") == _stateless(net, before)
            assert second.statistics().clients.packets_in == 3
            assert second.statistics().clients.flows == 1
            until(lambda: second.prober.state(probe(3, version)).known)
            assert second.bring(wanted) == Outcome()


def _stateless(net, ruleset):
    """Loaded somewhere else and listed without counters."""
    return net.run("adc", "nft -s list ruleset") if "hsadc_datagram" in ruleset else ""


def test_the_next_daemon_brings_what_is_wanted_now(net, tmp_path):
    with Reals(net, 1, 2):
        first = Adc(net, tmp_path)
        first.bring(server(tier(target(1))), server(tier(target(1)), number=9, port=PORT + 1))
        first.leave()
        with adc(net, tmp_path) as second:
            assert second.bring(server(tier(target(2)))) == Outcome(changed=1, deleted=1)
            assert serves(net, "rs2")
            assert second.bring(server(tier(target(2)))) == Outcome()


def test_the_next_daemon_without_virtual_servers_leaves_nothing(net, tmp_path):
    first = Adc(net, tmp_path)
    first.bring(server(tier(target(1))))
    first.leave()
    net.run("adc", "nft delete table inet hsadc_datagram")
    with adc(net, tmp_path) as second:
        second.bring()
        assert net.run("adc", SAID[4]) == "0\n"
        assert second.originals.settings() == frozenset()


CHANGING = """
import itertools, sys
from pathlib import Path
from tests.netns.datagram_net import *

class Here:
    names = {}
    inside = staticmethod(lambda role: contextlib.nullcontext())

adc = Adc(Here(), Path(sys.argv[1]))
for number in itertools.count():
    others = [server(tier(target(2, v)), number=n, port=PORT + n, version=v) for n in range(8, 20) for v in (4, 6)[n % 2 :][:1]]
    adc.bring(server(tier(target(1 + number % 2, probe=probe(1 + number % 2)))), *others[: number % 12])
    print(number, flush=True)
"""


def test_a_daemon_that_is_killed_in_the_middle_of_anything(net, tmp_path):
    with Reals(net, 1, 2):
        for _ in range(8):
            program = ["ip", "netns", "exec", net.names["adc"], sys.executable, "-c", CHANGING, str(tmp_path)]
            with subprocess.Popen(program, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as daemon:
                for _ in range(random.randint(1, 10)):
                    assert daemon.stdout.readline()
                time.sleep(random.random() / 20)
                daemon.kill()
            # What was last in force serves.
            assert names(ask(net, times=5)).total() == 5
        with adc(net, tmp_path) as here:
            here.bring(server(tier(target(1), target(2))))
            assert serves(net, "rs1", "rs2")
            here.bring()
            assert net.run("adc", "nft list ruleset") == ""
            assert (net.run("adc", SAID[4]), net.run("adc", SAID[6])) == ("0\n", "0\n")


@pytest.mark.parametrize(
    "harm",
    [
        "nft delete table inet hsadc_datagram",
        "nft flush table inet hsadc_datagram",
        "nft flush ruleset",
        "nft flush chain inet hsadc_datagram vs7",
        "nft insert rule inet hsadc_datagram prerouting udp dport 5300 accept",
        "nft insert rule inet hsadc_datagram vs7 accept",
        "nft delete element inet hsadc_datagram listeners4 { 10.1.0.2 . 5300 }",
        "nft flush set inet hsadc_datagram snat4",
        "nft 'chain inet hsadc_datagram forward { policy drop; }'",
        "sysctl -qw net.ipv4.ip_forward=0",
    ],
)
def test_what_somebody_takes_apart_is_repaired(net, here, harm):
    wanted = server(tier(target(1), target(2)))
    with Reals(net, 1, 2):
        here.bring(wanted)
        right = net.run("adc", "nft -s list ruleset")
        net.run("adc", harm)
        assert here.bring(wanted) != Outcome()
        assert net.run("adc", "nft -s list ruleset") == right
        assert here.bring(wanted) == Outcome()
        assert {source for _, source in ask(net, times=4)} == {"10.2.0.2"}
        assert serves(net, "rs1", "rs2")


def test_a_change_of_what_somebody_took_apart_repairs_it(net, here):
    with Reals(net, 1, 2):
        here.bring(server(tier(target(1))), server(tier(target(2)), number=8, port=PORT + 1))
        net.run("adc", "nft delete table inet hsadc_datagram")
        here.change(server(tier(target(2))))
        assert serves(net, "rs2")
        assert names(ask(net, port=PORT + 1)) == {"rs2": 1}


# Forwarding


def test_the_device_does_not_become_a_router(net, here):
    with Reals(net, 1), net.socket("client", client(0)) as sock:
        here.bring(server(tier(target(1)), auto_snat=False))
        net.run("client", f"ip route replace {real(1)} via {SERVER}")
        sock.settimeout(0.5)
        sock.sendto(b"past the virtual server", (str(real(1)), PORT))
        with pytest.raises(TimeoutError):
            sock.recv(100)
        assert names(ask(net)) == {"rs1": 1}


def test_a_router_stays_one(net, here):
    net.run("adc", "sysctl -qw net.ipv4.ip_forward=1")
    try:
        with Reals(net, 1), net.socket("client", client(0)) as sock:
            here.bring(server(tier(target(1))))
            net.run("client", f"ip route replace {real(1)} via {SERVER}")
            sock.sendto(b"past the virtual server", (str(real(1)), PORT))
            assert sock.recv(100).startswith(b"rs1")
            here.bring()
            assert net.run("adc", SAID[4]) == "1\n"
    finally:
        net.run("adc", "sysctl -qw net.ipv4.ip_forward=0")


def test_forwarding_is_as_it_was_when_nothing_is_left(net, here):
    advice = "sh -c 'cat /proc/sys/net/ipv6/conf/{front,back}/accept_ra'".replace("{front,back}", "*")
    before = net.run("adc", advice)
    here.bring(server(tier(target(1))), server(tier(target(1, 6)), number=8, version=6))
    assert (net.run("adc", SAID[4]), net.run("adc", SAID[6])) == ("1\n", "1\n")
    assert net.run("adc", "cat /proc/sys/net/ipv6/conf/front/accept_ra") == "2\n"
    here.bring(server(tier(target(1))))
    assert (net.run("adc", SAID[4]), net.run("adc", SAID[6])) == ("1\n", "0\n")
    assert net.run("adc", advice) == before
    here.bring()
    assert (net.run("adc", SAID[4]), net.run("adc", SAID[6])) == ("0\n", "0\n")
    assert here.originals.settings() == frozenset()
    assert net.run("adc", "nft list ruleset") == ""
    assert here.bring() == Outcome()


def test_a_device_that_is_unplugged_meanwhile_is_not_missed(net, here):
    net.run("adc", "ip link add spare type veth peer name other")
    here.bring(server(tier(target(1, 6)), version=6))
    assert net.run("adc", "cat /proc/sys/net/ipv6/conf/spare/accept_ra") == "2\n"
    net.run("adc", "ip link del spare")
    net.run("adc", "ip link add spare type veth peer name other")  # another one
    net.run("adc", "sysctl -qw net.ipv6.conf.spare.accept_ra=2")
    here.bring()
    assert here.originals.settings() == frozenset()
    assert net.run("adc", "cat /proc/sys/net/ipv6/conf/spare/accept_ra") == "2\n"
    net.run("adc", "ip link del spare")


# Counters and sessions


def test_packets_and_bytes_are_counted_both_ways_and_survive_changes(net, here):
    with Reals(net, 1, 2), net.socket("client", client(0)) as sock:
        here.bring(server(tier(target(1))))
        sock.connect((SERVER, PORT))
        for _ in range(3):
            exchange(sock, b"12345")
        here.bring(server(tier(target(1), target(2, weight=3))), server(tier(target(2)), number=8, port=PORT + 1))
        exchange(sock, b"12345")
        counted = here.statistics()
        answer = 20 + 8 + len("rs1 10.2.0.2")
        assert (counted.clients.flows, counted.clients.packets_in, counted.clients.packets_out) == (1, 4, 4)
        assert (counted.clients.bytes_in, counted.clients.bytes_out) == (4 * (20 + 8 + 5), 4 * answer)
        by_name = {s.target.real_server: s.counters for s in counted.real_servers}
        assert by_name["rs1"] == counted.clients
        assert by_name["rs2"].packets_in == by_name["rs2"].flows == 0
        assert here.statistics(8).clients.packets_in == 0
        with net.inside("adc"):
            here.driver.clear_counters()
        assert here.statistics().clients.packets_in == 0


def test_a_real_server_of_two_virtual_servers_is_counted_for_each(net, here):
    with Reals(net, 1):
        here.bring(server(tier(target(1))), server(tier(target(1)), number=8, port=PORT + 1))
        ask(net, times=3)
        ask(net, times=2, port=PORT + 1)
        assert [here.statistics(n).real_servers[0].counters.flows for n in (7, 8)] == [3, 2]


def test_ipv6_is_counted_too(net, here):
    with Reals(net, 1, version=6):
        here.bring(server(tier(target(1, 6)), version=6))
        ask(net, times=3, version=6)
        clients = here.statistics().clients
        assert (clients.flows, clients.packets_in, clients.packets_out, clients.bytes_in) == (3, 3, 3, 3 * (40 + 8 + 5))


@pytest.mark.parametrize("accounting", [0, 1])
def test_the_flows_that_there_are(net, here, accounting):
    net.run("adc", f"sysctl -qw net.netfilter.nf_conntrack_acct={accounting}")
    with Reals(net, 1), Reals(net, 2, version=6), contextlib.ExitStack() as stack:
        here.bring(server(tier(target(1))), server(tier(target(2, 6)), number=8, version=6))
        socks = [stack.enter_context(net.socket("client", client(n, version))) for version in (4, 6) for n in (0, 1)]
        for sock in socks:
            sock.connect((str(server(version=4 if sock.family == socket.AF_INET else 6).address), PORT))
            exchange(sock)
        sessions = here.sessions()
        seen = {(s.virtual_server, str(s.flow.client), s.flow.client_port, s.real_server) for s in sessions}
        assert seen == {
            (
                7 if sock.family == socket.AF_INET else 8,
                *sock.getsockname()[:2],
                "rs1" if sock.family == socket.AF_INET else "rs2",
            )
            for sock in socks
        }
        assert {(s.flow.packets_in, s.flow.packets_out) for s in sessions} == {(1, 1) if accounting else (None, None)}
        assert all(0 < s.flow.expires_s <= 180 for s in sessions)
        assert {(str(s.flow.target), s.flow.target_port) for s in sessions} == {(str(real(1)), PORT), (str(real(2, 6)), PORT)}


# The dataplane as a whole


def test_the_dataplane_serves_counts_repairs_and_leaves_nothing(net, tmp_path):
    intent = Intent(datagrams=(server(tier(target(1, probe=probe(1)))),))
    with Reals(net, 1), net.inside("adc"):
        dataplane = Dataplane(tmp_path, "portable")
        try:
            assert dataplane.apply(intent) == Outcome(created=1)
            assert dataplane.apply(intent) == Outcome()
            assert names(ask(net, times=2)) == {"rs1": 2}
            assert dataplane.datagrams()[7].clients.flows == 2
            assert {s.real_server for s in dataplane.datagram_sessions()} == {"rs1"}
            dataplane.clear_server_counters()
            assert dataplane.datagrams()[7].clients.flows == 0
            nft.delete_table("hsadc_datagram")
            assert dataplane.repair() == Outcome(created=1)
            assert names(ask(net)) == {"rs1": 1}
            until(lambda: dataplane.datagrams()[7].real_servers[0].check.known)
        finally:
            dataplane.stop()
        assert nft.table("hsadc_datagram") is None
        assert net.run("adc", SAID[4]) == "0\n"
    assert not [t.name for t in threading.enumerate() if t.name in ("prober", "datagram-watch")]
