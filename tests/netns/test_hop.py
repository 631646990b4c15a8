"""The clear hop in the kernel: made, found again, made whole again, removed without a trace."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsadc.dataplane import namespace
from hsadc.dataplane.hop import HopDriver, hop_namespace
from hsadc.dataplane.inventory import observe_inventory
from hsadc.dataplane.link import LinkDriver
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.originals import Originals, kernel_identity
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.errors import ApplyError, Unsupported
from hsadc.intent.hop import DEVICE, MTU_BYTES, HopIntent
from tests.netns.conftest import Net
from tests.netns.mirror_net import until

pytestmark = pytest.mark.netns

_SO_BINDTODEVICE = 25
_TRANSPARENT = {socket.AF_INET: (socket.SOL_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 75)}
"""IP_TRANSPARENT and IPV6_TRANSPARENT."""
ENDS = [(socket.AF_INET, "192.0.2.7", "198.51.100.1"), (socket.AF_INET6, "2001:db8::7", "2001:db8::1")]
"""A client and a virtual server that nobody else has."""


class Hop:
    """The driver in a namespace, and a process's own view of it that may be had again."""

    def __init__(self, net: Net, folder: Path) -> None:
        self.net, self._folder = net, folder
        self.intent = HopIntent(hop_namespace())
        self.netlink = Netlink()
        self.restart()

    def restart(self) -> None:
        """As another process would begin."""
        self.originals = Originals(self._folder / "originals.json", kernel_identity())
        self.driver = HopDriver(self.netlink, self.originals)

    def reconcile(self, *intents: HopIntent) -> Outcome:
        return reconcile([(LinkDriver(self.netlink, self.originals), ()), (self.driver, intents)])

    def far(self, command: str) -> str:
        """Run a command in the hop's namespace."""
        return run(f"nsenter --net=/run/netns/{self.intent.namespace} {command}")


@pytest.fixture
def hop(net: Net, tmp_path: Path) -> Iterator[Hop]:
    hop = Hop(net, tmp_path)
    try:
        yield hop
    finally:
        hop.driver.delete(hop.intent)
        hop.netlink.close()


def run(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def state() -> list[str]:
    """All that the hop may touch, as people see it."""
    commands = ["ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all"]
    commands += ["ls /proc/self/net/dev_snmp6", "nft list ruleset", "sysctl -a --pattern 'rp_filter|accept_local'"]
    text = "".join(map(run, commands))
    # What IPv6 has of other devices comes a second or two after them.
    return [line for line in text.splitlines() if DEVICE in line or not any(prefix in line for prefix in ("fe80::", "ff00::"))]


def crosses(hop: Hop) -> bool:
    """Whether connections of both families do, with addresses of others at both ends."""
    return all(_crosses(hop, *ends) for ends in ENDS)


def _crosses(hop: Hop, family: socket.AddressFamily, client: str, server: str) -> bool:
    with namespace.within(hop.intent.namespace, lambda: _socket(family)) as listener, _socket(family) as leg:
        listener.bind((server, 443))
        listener.listen()
        listener.settimeout(5)
        leg.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, DEVICE.encode())
        leg.bind((client, 50000))
        leg.settimeout(5)
        try:
            leg.connect((server, 443))
            accepted, (peer, *_) = listener.accept()
        except OSError:
            return False
        with accepted:
            leg.sendall(b"hello")
            accepted.settimeout(5)
            return accepted.recv(5) == b"hello" and peer == client


def _socket(family: socket.AddressFamily) -> socket.socket:
    s = socket.socket(family)
    s.setsockopt(*_TRANSPARENT[family], 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leaves no trace
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return s


def test_it_is_made_found_again_and_removed_without_a_trace(hop):
    before = state()
    assert hop.reconcile() == Outcome()
    assert hop.reconcile(hop.intent) == Outcome(created=1)
    assert crosses(hop)
    hop.restart()
    assert hop.reconcile(hop.intent) == Outcome()
    assert crosses(hop)
    hop.restart()
    assert hop.reconcile() == Outcome(deleted=1)
    assert state() == before
    assert not namespace.exists(hop.intent.namespace)
    assert hop.reconcile() == Outcome()


NEAR = [
    f"ip link del {DEVICE}",
    f"ip link set {DEVICE} down",
    f"ip link set {DEVICE} mtu 1500",
    f"ip link set {DEVICE} arp on",
    f"ip link set {DEVICE} address 02:00:00:00:00:01",
    "ip rule del pref 72",
    "ip -6 rule del pref 72",
    "ip rule del pref 73",
    "ip -6 rule del pref 73",
    "ip route flush table 7272",
    "ip -6 route flush table 7272",
    "ip route flush table 7273",
    "ip -6 route flush table 7273",
    "nft delete table inet hsadc_hop",
    "nft flush chain inet hsadc_hop sent",
    "nft insert rule inet hsadc_hop received accept",
    f"sysctl -w net.ipv4.conf.{DEVICE}.rp_filter=2",
    f"sysctl -w net.ipv4.conf.{DEVICE}.accept_local=0",
    f"sysctl -w net.ipv6.conf.{DEVICE}.disable_ipv6=1",
    "ip netns del {namespace}",
]
FAR = [
    f"ip link del {DEVICE}",
    f"ip link set {DEVICE} down",
    f"ip link set {DEVICE} mtu 1400",
    "ip link set lo down",
    "ip rule del pref 73",
    "ip -6 rule del pref 73",
    "ip route del default",
    "ip -6 route del default",
    "ip route flush table 7273",
    "sysctl -w net.ipv4.conf.all.rp_filter=1",
    f"sysctl -w net.ipv4.conf.{DEVICE}.accept_local=0",
    "sysctl -w net.ipv4.tcp_wmem='4096 16384 4194304'",
]


@pytest.mark.parametrize(
    "command", [*NEAR, *(f"nsenter --net=/run/netns/{{namespace}} {command}" for command in FAR)], ids=lambda c: c.split("} ")[-1]
)
def test_a_piece_that_is_removed_by_hand_is_made_again(hop, command):
    before = state()
    hop.reconcile(hop.intent)
    run(command.format(namespace=hop.intent.namespace))
    assert hop.reconcile(hop.intent) == Outcome(created=1)
    assert hop.reconcile(hop.intent) == Outcome()
    assert crosses(hop)
    assert hop.reconcile() == Outcome(deleted=1)
    assert state() == before


@pytest.mark.parametrize("command", NEAR)
def test_what_is_left_of_it_is_removed(hop, command):
    before = state()
    hop.reconcile(hop.intent)
    run(command.format(namespace=hop.intent.namespace))
    assert hop.reconcile() == Outcome(deleted=1)
    assert state() == before
    assert not namespace.exists(hop.intent.namespace)


def filters() -> dict[str, int]:
    """The number that is in force for each device: the larger one of its own and that of all."""
    folder = Path("/proc/sys/net/ipv4/conf")
    own = {name: int((folder / name / "rp_filter").read_text()) for name in ("all", "default", "eth0", "eth1", "lo")}
    return {name: max(number, own["all"]) for name, number in own.items() if name != "all"}


@pytest.mark.parametrize("numbers", [(1, 0, 0, 2), (2, 1, 0, 1), (0, 1, 2, 0), (1, 1, 1, 1)])
def test_source_checks_of_other_devices_stay_and_are_put_back(hop, numbers):
    for name, number in zip(("all", "default", "eth0", "eth1"), numbers, strict=True):
        run(f"sysctl -w net.ipv4.conf.{name}.rp_filter={number}")
    before, in_force = state(), filters()
    hop.reconcile(hop.intent)
    assert filters() == in_force
    assert crosses(hop)
    hop.net.ip("link add later type veth peer name other")
    assert int(Path("/proc/sys/net/ipv4/conf/later/rp_filter").read_text()) == in_force["default"]
    hop.net.ip("link del later")
    hop.restart()
    hop.reconcile()
    assert state() == before


def test_a_source_check_that_somebody_sets_meanwhile_stays(hop):
    run("sysctl -w net.ipv4.conf.all.rp_filter=1")
    hop.reconcile(hop.intent)
    run("sysctl -w net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.eth1.rp_filter=0")
    hop.net.ip("link add gone type veth peer name other")
    run("sysctl -w net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.gone.rp_filter=0")
    assert hop.reconcile(hop.intent) == Outcome(created=1)
    assert crosses(hop)
    hop.net.ip("link del gone")
    hop.reconcile()
    read = run("sysctl -n net.ipv4.conf.all.rp_filter net.ipv4.conf.eth0.rp_filter net.ipv4.conf.eth1.rp_filter")
    assert read.split() == ["1", "2", "0"]
    assert hop.originals.settings() == frozenset()


def test_the_inventory_tells_of_it(hop):
    assert observe_inventory(hop.netlink, hop.originals).hop_present is False
    hop.reconcile(hop.intent)
    inventory = observe_inventory(hop.netlink, hop.originals)
    assert (inventory.hop_namespace, inventory.hop_present) == (hop.intent.namespace, True)
    assert DEVICE not in {device.name for device in inventory.devices}


def test_nothing_crosses_it_that_is_not_sent_there(hop):
    """No message of the kernel's own, which IPv6 is full of, and no packet that is for another device."""
    hop.reconcile(hop.intent)
    hop.net.ip("address add 10.1.0.1/24 dev eth0")
    assert hop.net.far_hears("10.1.0.9") == "10.1.0.1"
    time.sleep(1.5)  # by then the kernel would have said that there is an address
    statistics = json.loads(run(f"ip -s -j link show {DEVICE}"))[0]["stats64"]
    assert (statistics["rx"]["packets"], statistics["tx"]["packets"]) == (0, 0)


def test_without_nft_nothing_is_made(hop, monkeypatch):
    before = state()
    with monkeypatch.context() as without:
        without.setenv("PATH", "/nowhere")
        with pytest.raises(Unsupported, match="the program nft is missing"):
            hop.driver.create(hop.intent)
    assert state() == before
    assert not namespace.exists(hop.intent.namespace)


def test_a_failure_half_way_leaves_nothing(hop, tmp_path):
    """What others were like cannot be written down: then they are not changed."""
    run("sysctl -w net.ipv4.conf.all.rp_filter=1")
    before = state()
    gone = tmp_path / "gone"
    gone.mkdir()
    hop.driver = HopDriver(hop.netlink, Originals(gone / "originals.json", kernel_identity()))
    gone.rmdir()
    with pytest.raises(ApplyError, match=r"create clear hop .*: no such file or directory"):
        hop.reconcile(hop.intent)
    assert state() == before
    assert not namespace.exists(hop.intent.namespace)


def test_the_file_of_a_namespace_that_is_gone_is_in_nobodys_way(hop):
    (namespace.FOLDER / hop.intent.namespace).touch()
    assert hop.reconcile() == Outcome()
    assert hop.reconcile(hop.intent) == Outcome(created=1)
    assert crosses(hop)


def test_one_whose_network_went_away_goes_when_another_is_made(hop, tmp_path):
    other = f"hshop-{os.getpid()}"
    run(f"ip netns add {other}")
    try:
        with namespace.within(other, Netlink) as netlink:
            intent = namespace.within(other, lambda: HopIntent(hop_namespace()))
            originals = Originals(tmp_path / "other.json", namespace.within(other, kernel_identity))
            namespace.within(other, lambda: HopDriver(netlink, originals).create(intent))
    finally:
        run(f"ip netns del {other}")
    until(lambda: DEVICE not in run(f"ip -n {intent.namespace} link"))  # the kernel takes its time
    with claimed(intent.namespace):
        hop.reconcile(hop.intent)
        assert namespace.exists(intent.namespace)  # a process that works there will find it and lay a new cable
    run(f"ip link del {DEVICE}")
    hop.reconcile(hop.intent)
    assert not namespace.exists(intent.namespace)
    assert crosses(hop)


@contextmanager
def claimed(name: str) -> Iterator[None]:
    """A device works in the network of a hop's namespace."""
    lock = Path(f"/run/hsadc-{name.rpartition('-')[2]}.lock")
    lock.touch()
    try:
        yield
    finally:
        lock.unlink()


def test_many_at_once_each_in_its_own_network(tmp_path):
    """Their namespaces have names of their own."""

    def life(number: int) -> list[Outcome]:
        name = f"hshop-{os.getpid()}-{number}"
        run(f"ip netns add {name}")
        try:
            return namespace.within(name, lambda: _life(tmp_path / f"{number}.json"))
        finally:
            run(f"ip netns del {name}")

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(life, range(16)))
    assert outcomes == [[Outcome(created=1), Outcome(), Outcome(deleted=1)]] * 16


def _life(path: Path) -> list[Outcome]:
    with Netlink() as netlink:
        driver, intent = HopDriver(netlink, Originals(path, kernel_identity())), HopIntent(hop_namespace())
        return [reconcile([(driver, wanted)]) for wanted in ([intent], [intent], [])]


def test_nothing_paces_its_packets(hop):
    hop.reconcile(hop.intent)
    for family in ("-4", "-6"):
        assert "congctl reno" in run(f"ip {family} route show table 7272")
        assert "congctl reno" in hop.far(f"ip {family} route show default")


def test_its_packets_are_as_large_as_the_tunnels_can_take(hop):
    hop.reconcile(hop.intent)
    assert f"mtu {MTU_BYTES} " in run(f"ip link show {DEVICE}")
    assert f"mtu {MTU_BYTES} " in hop.far(f"ip link show {DEVICE}")
