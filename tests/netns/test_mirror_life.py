"""The mirror's life: what a new process finds, what is repaired, what is left behind."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane.bpf import clsact, loader, syscall
from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.mirror_counters import MirrorCounters
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.reconcile import Outcome
from hsadc.errors import ApplyError
from tests.netns.mirror_net import (
    CLIENT,
    PROFILE,
    RULE,
    TAP,
    TUNNEL,
    Mirrored,
    Net,
    bring,
    capture,
    mirror_in,
    remove,
    transfer,
    until,
)

pytestmark = pytest.mark.netns

WANTED = ({TUNNEL.key: TUNNEL}, {PROFILE.key: PROFILE}, {RULE.key: RULE}, {TAP.key: TAP})
NOTHING = ({}, {}, {}, {})


@pytest.fixture
def net():
    with Net() as made:
        yield made


def drivers(mirror):
    return mirror.tunnels, mirror.profiles, mirror.rules, mirror.taps


def observed(mirror, wanted=NOTHING):
    return tuple(dict(driver.observe(objects)) for driver, objects in zip(drivers(mirror), wanted, strict=True))


def copied(mirror, number=RULE.id):
    return mirror.counters().sources[number].copied


def leave_a_mirror(net, patch=""):
    """A process makes a mirror and is killed without a chance to clean up."""
    script = f"""
import os, signal
from tests.netns.mirror_net import bring
from hsadc.dataplane.bpf import loader
from hsadc.dataplane.mirror import Mirror
{patch}
mirror = Mirror()
mirror.start_watching()
bring(mirror)
while mirror.tunnel_state("tunnel1").state != "up":
    pass
mirror.refresh()
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_in_adc(net, [sys.executable, "-c", script], -signal.SIGKILL)


def run_in_adc(net, command, status):
    """Run a process of its own in the ADC's namespace; returns what it complains of."""
    environment = os.environ | {"PYTHONPATH": f"{Path(loader.__file__).parents[3]}:{Path(__file__).parent}"}
    command = ["ip", "netns", "exec", net.names["adc"], *command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    return done.stderr


def assert_nothing_left(net, programs):
    assert "hsadc" not in net.run("adc", "ip link")
    assert "clsact" not in net.run("adc", "tc qdisc")
    for program in programs:
        until(lambda program=program: not exists(program))  # the kernel frees a filter after a grace period


def exists(program):
    try:
        syscall.program_info(program)
    except FileNotFoundError:
        return False
    return True


def attached(net):
    with net.inside("adc"), Netlink() as netlink:
        return {a.program_id for a in clsact.attachments(netlink)}


def test_a_next_hop_that_dies_under_load_is_noticed(net):
    """A copy of what a local socket sends vouches for that socket's own peer, which is not the copy's next hop."""
    with mirror_in(net) as mirror:
        net.run("router", "sysctl -qw net.ipv4.conf.lan.arp_ignore=8")  # it answers nobody any more

        def state():
            transfer(net, download=bytes(100_000))
            return mirror.tunnel_state("tunnel1")

        until(lambda: state().reason == "next hop 10.2.0.1 on back does not answer")
        mirror.refresh()  # the state is the kernel's of this moment; the map may not know it yet
        before = mirror.counters().tunnel("tunnel1")
        transfer(net, download=bytes(100_000))
        after = mirror.counters().tunnel("tunnel1")
        assert after.sent_packets == before.sent_packets
        assert after.no_neighbour > before.no_neighbour
        net.run("router", "sysctl -qw net.ipv4.conf.lan.arp_ignore=0")
        net.run("router", "ip link set lan address 02:00:00:00:00:07")
        until(lambda: state().mac == "02:00:00:00:00:07")


def test_what_an_administrator_wrote_down_is_not_asked_for(net):
    with mirror_in(net) as mirror:
        net.run("adc", "ip neigh replace 10.2.0.1 dev back lladdr 02:00:00:00:00:08 nud permanent")
        for _ in range(2):
            mirror.tunnels.refresh()
        assert net.run("adc", "ip neigh show 10.2.0.1").split()[-1] == "PERMANENT"


def test_nothing_is_loaded_for_nothing(net):
    with net.inside("adc"):
        mirror = Mirror()
        assert observed(mirror) == NOTHING
        assert remove(mirror) == Outcome()
        assert not mirror._objects.maps
        assert mirror.counters() == MirrorCounters({}, {})
        mirror.clear_counters()
        for driver, objects in zip(drivers(mirror), WANTED, strict=True):
            driver.delete(*objects.values())  # gone already
        assert mirror.refresh() is None
        mirror.stop()


def test_what_was_made_is_observed_and_nothing_is_left(net):
    with mirror_in(net) as mirror:
        assert observed(mirror) == observed(mirror, WANTED) == WANTED
        assert bring(mirror) == Outcome()
        programs = attached(net)
        assert len(programs) == 3
    assert_nothing_left(net, programs)


def test_a_killed_daemons_mirror_works_and_is_adopted(net):
    leave_a_mirror(net)
    programs = attached(net)
    with capture(net) as frames:
        transfer(net, b"nobody is at home")
    assert Mirrored(frames).stream(CLIENT) == b"nobody is at home"
    with net.inside("adc"):
        mirror = Mirror()
        assert mirror.counters().tunnel("tunnel1").sent_packets == len(frames)
        assert bring(mirror) == Outcome()
        assert attached(net) == programs
        transfer(net, b"and now")
        assert mirror.counters().tunnel("tunnel1").sent_packets > len(frames)
        mirror.clear_counters()
        assert mirror.counters().tunnel("tunnel1").sent_packets == 0
        assert mirror.counters().sources[RULE.id].matched_packets == 0
        remove(mirror)
        mirror.stop()
    assert_nothing_left(net, programs)


def test_an_adopted_mirror_can_grow(net):
    leave_a_mirror(net)
    second = replace(RULE, id=8, port=9999)
    with net.inside("adc"):
        mirror = Mirror()
        mirror.rules.create(second)
        transfer(net, b"x", port=9999)
        assert copied(mirror, 8) > 0
        moved = replace(second, id=9)
        mirror.rules.change(second, moved)
        assert mirror.counters().sources.keys() == {7, 9}
        mirror.rules.delete(moved)
        assert mirror.counters().sources.keys() == {7}
        assert remove(mirror) == Outcome(deleted=4)
        mirror.stop()


def test_a_virtual_server_that_moves_is_mirrored_on(net):
    moved = replace(RULE, port=9999)
    with mirror_in(net) as mirror:
        mirror.rules.create(moved)  # as a transaction does: the new one is there before the old one goes
        mirror.rules.delete(RULE)
        transfer(net, b"x", port=9999)
        assert copied(mirror) > 0
        mirror.rules.create(RULE)  # and back
        mirror.rules.delete(moved)
        before = copied(mirror)
        transfer(net, b"x")
        assert copied(mirror) > before


def test_a_move_that_is_undone_does_not_end_the_mirror(net):
    with mirror_in(net) as mirror:
        transfer(net, b"x")
        before = copied(mirror)
        mirror.rules.create(replace(RULE, port=9999))
        mirror.rules.delete(replace(RULE, port=9999))
        transfer(net, b"x")
        assert copied(mirror) > before > 0


def test_counters_end_with_their_rule(net):
    with mirror_in(net) as mirror:
        transfer(net, b"x")
        mirror.rules.delete(RULE)
        assert mirror.counters().sources == {}
        mirror.rules.prepare({RULE.key: RULE})
        mirror.rules.create(RULE)
        assert copied(mirror) == 0


def test_two_virtual_servers_that_swap_their_ids_are_mirrored_on(net):
    other = replace(RULE, id=8, port=9999)
    with mirror_in(net) as mirror:
        mirror.rules.create(other)
        mirror.rules.change(RULE, replace(RULE, id=8))
        mirror.rules.change(other, replace(other, id=7))
        before = {number: c.copied for number, c in mirror.counters().sources.items()}
        transfer(net, b"x")
        transfer(net, b"x", port=9999)
        after = {number: c.copied for number, c in mirror.counters().sources.items()}
        assert before.keys() == after.keys() == {7, 8}
        assert all(after[number] > before[number] for number in after)
        mirror.rules.delete(replace(other, id=7))


def test_what_another_version_left_is_removed(net):
    leave_a_mirror(net, patch="loader.program_name = lambda blob: 'hsadc_other'")
    programs = attached(net)
    with net.inside("adc"):
        mirror = Mirror()
        assert observed(mirror) == NOTHING
        mirror.stop()
    assert_nothing_left(net, programs)


def test_an_interrupted_tunnel_is_made_whole_or_removed(net):
    net.run("adc", "ip link add hsadc-tun1 type ifb")
    net.run("adc", "ip link add hsadc-tun2 type ifb")
    with net.inside("adc"):
        mirror = Mirror()
        mirror.tunnels.observe({})
        mirror.tunnels.prepare({TUNNEL.key: TUNNEL})
        mirror.stop()
    assert "hsadc-tun1" in net.run("adc", "ip link")
    assert "hsadc-tun2" not in net.run("adc", "ip link")
    with mirror_in(net) as mirror:
        assert observed(mirror) == WANTED
    assert "hsadc" not in net.run("adc", "ip link")


@pytest.mark.parametrize("hook", ["ingress", "egress"])
def test_a_filter_that_was_taken_away_is_put_back(net, hook):
    with mirror_in(net) as mirror:
        net.run("adc", f"tc filter del dev front {hook}")
        assert observed(mirror, WANTED) == (*WANTED[:3], {})  # it is missing, so it is made
        assert observed(mirror) == WANTED  # half of it is there, so it can be removed
        assert bring(mirror) == Outcome(created=1)
        assert observed(mirror, WANTED) == WANTED


def test_the_encapsulator_that_was_taken_away_is_put_back(net):
    with mirror_in(net) as mirror:
        net.run("adc", "tc qdisc del dev hsadc-tun1 clsact")
        assert observed(mirror, WANTED) == ({}, *WANTED[1:])
        assert bring(mirror) == Outcome(created=1)
        assert observed(mirror, WANTED) == WANTED
        assert bring(mirror) == Outcome()


def test_filters_of_others_stay(net):
    net.run("adc", "tc qdisc add dev front clsact")
    net.run("adc", "tc filter add dev front ingress prio 7 protocol ip u32 match u32 0 0 flowid 1:1")
    with mirror_in(net):
        transfer(net, b"x")
    assert "u32" in net.run("adc", "tc filter show dev front ingress")
    assert "hsadc" not in net.run("adc", "tc filter show dev front ingress")


def test_a_tap_on_a_device_that_is_gone(net):
    with net.inside("adc"):
        mirror = Mirror()
        with pytest.raises(ApplyError, match="tap front9: the device does not exist"):
            mirror.taps.create(replace(TAP, device="front9"))
        mirror.taps.delete(replace(TAP, device="front9"))
        mirror.stop()


def test_a_profile_without_its_tunnel(net):
    with net.inside("adc"):
        mirror = Mirror()
        with pytest.raises(ApplyError, match="mirror to tunnel1: its helper device does not exist"):
            mirror.profiles.create(PROFILE)
        with pytest.raises(KeyError):
            mirror.tunnel_state("tunnel1")
        mirror.stop()


def test_a_tunnel_that_cannot_be_made_leaves_nothing(net, monkeypatch):
    with net.inside("adc"):
        mirror = Mirror()

        def refuse(*_):
            raise NetlinkError(1, "refused")

        monkeypatch.setattr(mirror._objects, "attach", refuse)
        with pytest.raises(NetlinkError):
            mirror.tunnels.create(TUNNEL)
        mirror.stop()
    assert_nothing_left(net, ())


def test_two_capabilities_suffice(net):
    script = """
from tests.netns.mirror_net import bring, encapsulated
from hsadc.dataplane.mirror import Mirror
mirror = Mirror()
bring(mirror, [encapsulated(sequence=True)])
mirror.stop()
"""

    def run_with(capabilities, status):
        limits = [f"--{kind}={capabilities}" for kind in ("bounding-set", "inh-caps")]
        return run_in_adc(net, ["setpriv", *limits, sys.executable, "-c", script], status)

    assert "needs the capabilities CAP_BPF and CAP_NET_ADMIN" in run_with("-all,+net_admin", 1)
    run_with("-all,+bpf,+net_admin", 0)
    assert len(attached(net)) == 3
    assert "needs the capability CAP_SYS_ADMIN" in run_with("-all,+bpf,+net_admin", 1)  # there is one to adopt now


def test_an_object_of_other_sources_is_refused(net, monkeypatch):
    monkeypatch.setitem(loader.records.SIZES, "rules", (20, 12))
    with net.inside("adc"):
        mirror = Mirror()
        with pytest.raises(ApplyError, match="its records differ"):
            mirror.taps.prepare({TAP.key: TAP})
        mirror.stop()
