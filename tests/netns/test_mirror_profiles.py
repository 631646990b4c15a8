"""Profiles, access lists and interface mirrors in force: adopted, changed under traffic, repaired, removed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from hsadc.dataplane.bpf import loader
from hsadc.dataplane.bpf.records import Profile, encode_index
from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.reconcile import Outcome
from hsadc.intent.mirror import (
    ANY_PORT,
    ANY_PROTOCOL,
    AccessListIntent,
    AccessRule,
    PortMirrorIntent,
    ProfileIntent,
    TapIntent,
)
from hsadc.wire.encapsulation import Encapsulation
from tests.netns.mirror_net import (
    CLIENT,
    PORT,
    PROFILE,
    RULE,
    SERVER,
    TUNNEL,
    Mirrored,
    Net,
    bring,
    capture,
    encapsulated,
    mirror_in,
    remove,
    transfer,
    until,
)

pytestmark = pytest.mark.netns

SECOND = replace(encapsulated(key=2), interface="tunnel2")
"""The same analyzer, told apart by the key."""
BOTH = replace(PROFILE, number=70_000, destinations=("tunnel1", "tunnel2"))
BY_BOTH = replace(RULE, profile=BOTH.number)
WEB = AccessListIntent(5, (AccessRule(True, 6, None, ANY_PORT, None, (PORT, PORT)),))
NOTHING = AccessListIntent(6, ())
FRONT = PortMirrorIntent(65_536, "front", 70_001, WEB.number, "forward")
CUT = ProfileIntent(70_001, ("tunnel2",), truncate_bytes=128)
FULL = {"tunnels": [TUNNEL, SECOND], "lists": [WEB], "profiles": [BOTH, CUT], "rules": [BY_BOTH], "ports": [FRONT]}
"""An object of each kind; the second tunnel's copies are cut, and so go through a bridge."""


@pytest.fixture
def net():
    with Net() as made:
        yield made


def ours(net):
    """The devices of the mirror, by index."""
    fields = (line.split(": ") for line in net.run("adc", "ip -o link").splitlines())
    return {index: name for index, name, *_ in fields if name.startswith("hsadc")}


def sent(mirror, interface, profile=BOTH):
    return mirror.counters().destinations[profile.number, interface].sent_packets


@contextmanager
def traffic(net):
    """UDP packets that a rule of protocol 17 takes, all the time; yields the count so far, complete when the block is left."""
    with net.inside("client"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    count, ended = [0], threading.Event()

    def send():
        while not ended.is_set():
            sender.sendto(b"x" * 100, (SERVER, PORT))
            count[0] += 1
            time.sleep(0.0001)

    thread = threading.Thread(target=send)
    with sender:
        thread.start()
        try:
            until(lambda: count[0] > 100)
            yield count
            before = count[0]
            until(lambda: count[0] > before + 100)
        finally:
            ended.set()
            thread.join()


UDP = replace(BY_BOTH, protocol=17)


def leave(net):
    """A process makes it all and is killed without a chance to clean up."""
    script = """
import os, signal
from tests.netns.test_mirror_profiles import FULL, bring
from hsadc.dataplane.mirror import Mirror
bring(Mirror(), **FULL)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(loader.__file__).parents[3])}
    command = ["ip", "netns", "exec", net.names["adc"], sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_all_of_it_is_adopted_by_a_new_process_without_a_change(net):
    leave(net)
    devices = ours(net)
    with net.inside("adc"):
        mirror = Mirror()
        assert bring(mirror, **FULL) == Outcome()
        assert ours(net) == devices
        assert set(devices.values()) == {"hsadc-tun1", "hsadc-tun2", "hsadc-brt2"}
        until(lambda: mirror.refresh() and mirror.tunnel_state("tunnel2").state == "up")
        mirror.refresh()
        transfer(net, b"x")
        assert sent(mirror, "tunnel1") > 0
        assert sent(mirror, "tunnel2") > 0
        assert sent(mirror, "tunnel2", CUT) > 0
        assert remove(mirror) == Outcome(deleted=7 + 1)
        mirror.stop()
    assert "hsadc" not in net.run("adc", "ip link")
    assert "clsact" not in net.run("adc", "tc qdisc")


def test_what_was_made_needs_no_change_and_leaves_nothing(net):
    with mirror_in(net, **FULL) as mirror:
        assert bring(mirror, **FULL) == Outcome()
        maps = [m.fd for m in mirror._objects.maps.values()]
        assert maps
        assert remove(mirror) == Outcome(deleted=8)
        assert not mirror._objects.maps  # given back: nothing of ours is in the kernel
        assert bring(mirror, **FULL) == Outcome(created=8)
        assert mirror.counters().sources[BY_BOTH.id].seen == 0
    for command in ("ip link", "tc qdisc", "tc filter show dev front ingress", "tc filter show dev front egress"):
        assert "hsadc" not in net.run("adc", command)
        assert "clsact" not in net.run("adc", command)


def test_a_bridge_whose_helper_device_is_gone_goes_with_the_tunnel(net):
    with mirror_in(net, tunnels=[encapsulated(sequence=True)]) as mirror:
        net.run("adc", "ip link del hsadc-tun1")
        assert "hsadc-brt1" in net.run("adc", "ip link")
        remove(mirror)
        assert "hsadc" not in net.run("adc", "ip link")


@pytest.mark.parametrize(
    ("device", "outcome"),
    [
        ("hsadc-tun1", Outcome(created=1, changed=1)),  # the tunnel, and the profile that leads to it
        ("hsadc-tun2", Outcome(created=1, changed=2)),
        ("hsadc-brt2", Outcome(changed=1)),
    ],
)
def test_a_device_that_somebody_removed_is_made_again(net, device, outcome):
    with mirror_in(net, **FULL) as mirror:
        net.run("adc", f"ip link del {device}")
        assert bring(mirror, **FULL) == outcome
        assert bring(mirror, **FULL) == Outcome()
        until(lambda: all(mirror.tunnel_state(name).state == "up" for name in ("tunnel1", "tunnel2")))
        mirror.refresh()
        mirror.clear_counters()
        transfer(net, os.urandom(50_000))
        source = mirror.counters().sources[BY_BOTH.id]
        assert (source.failed, source.copied) == (0, 2 * source.matched_packets)
        assert sent(mirror, "tunnel2", CUT) > 10


def test_a_bridge_that_lost_its_port_is_put_right(net):
    with mirror_in(net, **FULL) as mirror:
        net.run("adc", "ip link set hsadc-tun2 nomaster")
        assert bring(mirror, **FULL) == Outcome(changed=1)
        assert "master hsadc-brt2" in net.run("adc", "ip link show hsadc-tun2")
        assert bring(mirror, **FULL) == Outcome()


@pytest.mark.parametrize(
    "changed",
    [
        encapsulated(sequence=True),
        encapsulated(checksum=True),
        replace(TUNNEL, oversize="fragment"),
        replace(TUNNEL, encapsulation=replace(TUNNEL.encapsulation, kind="erspan", payload="ethernet", session_id=7)),
        replace(TUNNEL, encapsulation=replace(TUNNEL.encapsulation, kind="vxlan", payload="ethernet", vni=7)),
    ],
    ids=["sequence", "checksum", "fragment", "erspan", "vxlan"],
)
def test_a_tunnel_that_changes_takes_its_profiles_along(net, changed):
    """Numbered and checksummed copies go through a bridge, those of VXLAN need the flow's hash: at once, not with a repair."""
    with mirror_in(net) as mirror:
        assert bring(mirror, [changed]) == Outcome(changed=1)
        assert bring(mirror, [changed]) == Outcome()
        assert bring(mirror) == Outcome(changed=1)
        assert bring(mirror) == Outcome()


def test_numbers_stay_unique_while_a_tunnel_begins_to_number(net):
    numbered = encapsulated(sequence=True)
    with mirror_in(net) as mirror:
        assert bring(mirror, [numbered]) == Outcome(changed=1)
        with capture(net) as frames:
            transfer(net, os.urandom(300_000), os.urandom(300_000))
        numbers = [int.from_bytes(frame[38:42]) for frame in frames]
        assert sorted(numbers) == list(range(min(numbers), min(numbers) + len(numbers)))
        assert mirror.counters().tunnel("tunnel1").encapsulation == 0


@pytest.mark.parametrize(
    "change",
    [
        {"distribute": "failover"},
        {"distribute": "flow-hash"},
        {"destinations": ("tunnel2", "tunnel1")},
        {"rate_pps": 10_000_000},
        {"truncate_bytes": 9000},
    ],
    ids=str,
)
def test_a_profile_is_replaced_under_traffic_without_a_copy_lost(net, change):
    profiles = BOTH, replace(BOTH, **change)
    with mirror_in(net, [TUNNEL, SECOND], [BOTH], [UDP]) as mirror:
        with traffic(net) as count:
            for i in range(50):
                assert bring(mirror, [TUNNEL, SECOND], [profiles[(i + 1) % 2]], [UDP]) == Outcome(changed=1)
        source, counters = mirror.counters().sources[UDP.id], mirror.counters()
        copies = [c for (number, _), c in counters.destinations.items() if number == BOTH.number]
        assert source.matched_packets == count[0]
        assert (source.failed, source.filtered) == (0, 0)
        assert source.copied == sum(c.copies for c in copies) == sum(c.sent_packets for c in copies)
        assert source.copied > count[0] if "distribute" in change else source.copied == 2 * count[0]


def test_a_destination_that_is_removed_and_added_under_traffic(net):
    with mirror_in(net, [TUNNEL, SECOND], [BOTH], [UDP]) as mirror:
        with traffic(net) as count:
            for _ in range(20):
                for names in (("tunnel1",), ("tunnel1", "tunnel2")):
                    assert bring(mirror, [TUNNEL, SECOND], [replace(BOTH, destinations=names)], [UDP]) == Outcome(changed=1)
        assert sent(mirror, "tunnel1") == mirror.counters().sources[UDP.id].matched_packets == count[0]
        assert 0 < sent(mirror, "tunnel2") < count[0]
        bring(mirror, [TUNNEL], [replace(BOTH, destinations=("tunnel1",))], [UDP])
        assert mirror.counters().destinations.keys() == {(0, "tunnel1"), (BOTH.number, "tunnel1")}
        assert bring(mirror, [TUNNEL], [replace(BOTH, destinations=("tunnel1",))], [UDP]) == Outcome()


def test_an_access_list_is_changed_under_traffic_without_a_copy_lost(net):
    """A list of other rules is another list: it is there before the profile refers to it, and the old one as long as it does."""
    lists = [
        AccessListIntent(n, (*[AccessRule(False, 47)] * n, AccessRule(True, 17, IPv4Network("10.1.0.0/24")))) for n in (1, 2)
    ]
    with mirror_in(
        net, lists=lists[:1], profiles=[replace(PROFILE, access_list=1)], rules=[replace(RULE, protocol=17)]
    ) as mirror:
        with traffic(net) as count:
            for i in range(40):
                new = lists[(i + 1) % 2]
                made = bring(
                    mirror, lists=[new], profiles=[replace(PROFILE, access_list=new.number)], rules=[replace(RULE, protocol=17)]
                )
                assert made == Outcome(created=1, changed=1, deleted=1)
        source = mirror.counters().sources[RULE.id]
        assert (source.filtered, source.matched_packets) == (0, count[0])
        assert mirror.counters().tunnel("tunnel1").sent_packets == count[0]


def test_an_access_list_says_what_is_copied(net):
    deny = AccessListIntent(8, (AccessRule(False, ANY_PROTOCOL, IPv4Network(CLIENT)), AccessRule(True, ANY_PROTOCOL)))
    for access_list, copied in ((WEB, True), (NOTHING, False), (deny, False)):
        with mirror_in(net, lists=[access_list], profiles=[replace(PROFILE, access_list=access_list.number)]) as mirror:
            transfer(net, b"x")
            source = mirror.counters().sources[RULE.id]
            assert (source.matched_packets > 0, source.filtered > 0) == (copied, not copied)
            wanted = {"lists": [access_list], "profiles": [replace(PROFILE, access_list=access_list.number)]}
            assert bring(mirror, **wanted) == Outcome()


def test_an_access_list_of_another_process_comes_back_when_its_removal_is_undone(net):
    with mirror_in(net, **FULL) as mirror:
        names = ("access_lists", "access_networks", "access_ports", "access_protos")
        before = {name: dict(mirror._objects.maps[name].items()) for name in names}
        assert before["access_ports"]
        another = Mirror()
        (found,) = another.access_lists.observe({}).values()
        another.access_lists.delete(found)
        assert not any(list(mirror._objects.maps[name].keys()) for name in names)
        another.access_lists.create(found)
        assert {name: dict(mirror._objects.maps[name].items()) for name in names} == before
        another.stop()


def test_an_interrupted_access_list_is_removed(net):
    with mirror_in(net, lists=[WEB], profiles=[replace(PROFILE, access_list=WEB.number)]) as mirror:
        maps = mirror._objects.maps
        maps["access_lists"].delete(encode_index(WEB.number))  # as if its maker had died before the last step
        assert bring(mirror, lists=[WEB], profiles=[replace(PROFILE, access_list=WEB.number)]) == Outcome(created=1)
        assert bring(mirror) == Outcome(changed=1, deleted=1)
        assert not any(list(maps[name].keys()) for name in ("access_lists", "access_networks", "access_ports", "access_protos"))


def live(mirror, profile):
    return Profile.decode(profile.number, mirror._objects.maps["profiles"].get(encode_index(profile.number))).live


def test_failover_when_the_next_hop_of_the_first_destination_dies_and_comes_back(net):
    net._cable("adc", "other", "10.4.0.2/24", "router", "other", "10.4.0.1/24")
    net.run("adc", "ip route add 10.3.0.99 via 10.4.0.1")
    net.run("router", "ip route add 10.3.0.99 via 10.3.0.2")
    gre = Encapsulation("gre", IPv4Address("10.4.0.2"), IPv4Address("10.3.0.99"))
    first = replace(TUNNEL, interface="tunnel2", egress="other", encapsulation=gre)
    failover = replace(BOTH, destinations=("tunnel2", "tunnel1"), distribute="failover")
    with mirror_in(net, [TUNNEL, first], [failover], [BY_BOTH]) as mirror:
        assert live(mirror, failover) == (True, True)
        transfer(net, b"x")
        assert (sent(mirror, "tunnel2") > 0, sent(mirror, "tunnel1")) == (True, 0)
        net.run("router", "ip link set other arp off")
        net.run("adc", "ip neigh replace 10.4.0.1 dev other nud failed")
        until(lambda: live(mirror, failover) == (False, True))
        before = mirror.counters().destinations[failover.number, "tunnel2"]
        transfer(net, b"x")
        assert mirror.counters().destinations[failover.number, "tunnel2"] == before
        assert sent(mirror, "tunnel1") > 0
        net.run("router", "ip link set other arp on")
        until(lambda: live(mirror, failover) == (True, True))
        before = sent(mirror, "tunnel1")
        transfer(net, b"x")
        assert (sent(mirror, "tunnel2") > 0, sent(mirror, "tunnel1")) == (True, before)


def test_when_no_destination_is_up_copies_are_dropped_where_they_would_go(net):
    net.run("adc", "ip route del 10.3.0.0/24")
    failover = replace(BOTH, distribute="failover")
    with mirror_in(net, [TUNNEL, SECOND], [failover], [BY_BOTH], wait=False) as mirror:
        assert live(mirror, failover) == (False, False)
        transfer(net, b"x")
        destinations = mirror.counters().destinations
        assert destinations[failover.number, "tunnel1"].no_route > 0
        assert destinations[failover.number, "tunnel2"].copies == 0
        net.run("adc", "ip route add 10.3.0.0/24 via 10.2.0.1")
        until(lambda: live(mirror, failover) == (True, True))


def test_an_interface_is_mirrored_whole_and_its_copies_are_its_own(net):
    tcp = AccessListIntent(9, (AccessRule(True, 6),))  # the kernel says something of its own now and then
    ports = [replace(FRONT, access_list=tcp.number, direction="bidirection", profile=PROFILE.number)]
    with mirror_in(net, rules=[], ports=ports, lists=[tcp]) as mirror:
        assert bring(mirror, rules=[], ports=ports, lists=[tcp]) == Outcome()
        with capture(net) as frames:
            transfer(net, b"up", b"down", port=9999)
        seen = Mirrored(frames)
        assert (seen.stream(CLIENT), seen.stream(SERVER)) == (b"up", b"down")
        source = mirror.counters().sources[FRONT.id]
        assert source.matched_packets == len(seen.inner) > 0
        assert bring(mirror, rules=[], ports=[replace(ports[0], direction="backward")], lists=[tcp]) == Outcome(changed=1)
        with capture(net) as frames:
            transfer(net, b"up", b"down", port=9998)
        assert {packet[12:16] for packet in Mirrored(frames).inner} == {IPv4Address(SERVER).packed}
        assert bring(mirror, rules=[], ports=[], lists=[tcp]) == Outcome(deleted=1)
        assert mirror.counters().sources == {}


def test_a_mirrored_interface_that_is_removed_is_forgotten(net):
    net.run("adc", "ip link add gone type bridge")
    ports = [replace(FRONT, device="gone", access_list=0, profile=PROFILE.number)]
    with mirror_in(net, rules=[], ports=ports) as mirror:
        net.run("adc", "ip link del gone")
        assert bring(mirror, rules=[]) == Outcome()
        assert mirror.counters().sources == {}
        assert not list(mirror._objects.maps["port_mirrors"].keys())


def test_frames_leave_by_an_ethernet_interface_as_they_are(net):
    cable = replace(TUNNEL, interface="ethernet0/2", encapsulation=Encapsulation("none", payload="ethernet"))
    profile = replace(PROFILE, destinations=("ethernet0/2",))
    with mirror_in(net, [cable], [profile], taps=[TapIntent("front")]) as mirror:
        assert bring(mirror, [cable], [profile]) == Outcome()
        with capture(net, "router", "lan", f"tcp port {PORT}") as frames:
            transfer(net, b"up", b"down")
        tunnel = mirror.counters().tunnel("ethernet0/2")
        assert tunnel.sent_packets == len(frames) == mirror.counters().sources[RULE.id].matched_packets > 5
        assert "hsadc-eth0.2" in net.run("adc", "ip link")
    assert "hsadc" not in net.run("adc", "ip link")


def test_ten_thousand_rules(net):
    rules = [RULE, *(replace(RULE, id=8 + i % 60_000, port=10_000 + i) for i in range(10_000))]
    with mirror_in(net, rules=rules) as mirror:
        start = time.monotonic()
        assert bring(mirror, rules=rules) == Outcome()
        assert time.monotonic() - start < 10
        transfer(net, b"x")
        transfer(net, b"x", port=19_999)
        counters = mirror.counters().sources
        assert (len(counters), sum(c.matched_packets > 0 for c in counters.values())) == (10_001, 2)
        other = [*rules[:-1], replace(rules[-1], id=9)]
        assert bring(mirror, rules=other) == Outcome(changed=1)
        assert remove(mirror) == Outcome(deleted=3 + 10_001)
