"""The three drivers together: a configuration comes, changes, fails, survives a kill and goes."""

import signal
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from hsadc.dataplane.address import AddressDriver
from hsadc.dataplane.link import LinkDriver
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.originals import Originals, kernel_identity
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.dataplane.route import RouteDriver
from hsadc.errors import ApplyError
from hsadc.intent.address import AddressIntent
from hsadc.intent.link import LinkIntent
from hsadc.intent.route import RouteIntent
from tests.netns.conftest import inside

pytestmark = pytest.mark.netns

LINKS = [LinkIntent("eth0", mtu_bytes=1400), LinkIntent("eth1")]
ADDRESSES = [
    AddressIntent("eth0", IPv4Interface("10.1.0.1/24")),
    AddressIntent("eth0", IPv4Interface("10.1.0.2/24")),
    AddressIntent("eth1", IPv4Interface("10.2.0.1/24")),
]
ROUTES = [RouteIntent(IPv4Network("10.9.0.0/16"), IPv4Address("10.1.0.9"), None, 1)]
ALL = (LINKS, ADDRESSES, ROUTES)


def apply(path, links=(), addresses=(), routes=()):
    """One transaction, as the daemon does it: a socket of its own."""
    with Netlink() as netlink:
        drivers = LinkDriver(netlink, Originals(path, kernel_identity())), AddressDriver(netlink), RouteDriver(netlink)
        return reconcile(list(zip(drivers, (links, addresses, routes), strict=True)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "originals.json"


def machine(net):
    """Everything that the drivers may touch, as text."""
    return [net.ip(c) for c in ("-o link", "-4 -o address", "route show table all")]


def test_a_configuration_comes_and_goes(net, path):
    net.ip("link set eth1 down")
    before = machine(net)
    assert apply(path, *ALL) == Outcome(created=4, changed=2)
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert net.near_hears("10.2.0.1") == "10.2.0.9"
    assert apply(path, *ALL) == Outcome()
    assert apply(path) == Outcome(deleted=6)
    assert machine(net) == before
    assert apply(path) == Outcome()


def test_a_transaction_that_fails_at_its_end_leaves_the_machine_as_it_was(net, path):
    net.ip("link set eth1 down")
    net.ip("address add 10.4.0.1/24 dev eth0")
    net.ip("route add default via 10.4.0.9")
    apply(path, [LINKS[0]], ADDRESSES[:2], ROUTES)
    before = machine(net)
    lost = RouteIntent(IPv4Network("10.7.0.0/16"), IPv4Address("10.77.0.1"), None, 1)
    elsewhere = RouteIntent(ROUTES[0].destination, IPv4Address("10.2.0.9"), None, 1)
    with pytest.raises(ApplyError, match=r"^create route 10\.7\.0\.0/16 via 10\.77\.0\.1: .*; nothing was changed$"):
        apply(path, LINKS[1:], ADDRESSES[2:], [elsewhere, lost])
    assert machine(net) == before
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert apply(path, [LINKS[0]], ADDRESSES[:2], ROUTES) == Outcome()


def test_what_an_outage_took_away_is_repaired(net, path):
    apply(path, *ALL)
    net.ip("link set eth0 down")
    net.ip("address flush dev eth1")
    assert apply(path, *ALL) == Outcome(created=2, changed=1)
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert net.near_hears("10.2.0.1") == "10.2.0.9"


KILLED = """
import os, signal, pathlib, sys
from tests.netns.test_reconcile import ALL, apply
apply(pathlib.Path(sys.argv[1]), *ALL)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_nothing_has_to_be_done_and_all_can_be_undone(net, path):
    before = machine(net)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert apply(path, *ALL) == Outcome()
    assert apply(path) == Outcome(deleted=5)
    assert machine(net) == before


def test_each_namespace_has_an_identity_that_lasts(net):
    near = kernel_identity()
    assert near == kernel_identity()
    with inside(net.far):
        assert kernel_identity() != near
