"""Routes of a real kernel."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.dataplane.route import RouteDriver
from hsadc.errors import ApplyError
from hsadc.intent.route import RouteIntent

pytestmark = pytest.mark.netns


@pytest.fixture
def driver(net):
    net.ip("address add 10.1.0.1/24 dev eth0")
    net.ip("address add 10.2.0.1/24 dev eth1")
    with Netlink() as netlink:
        yield RouteDriver(netlink)


def via(gateway, destination="10.9.0.0/24", metric=1):
    return RouteIntent(IPv4Network(destination), IPv4Address(gateway), None, metric)


def on(device, destination="10.9.0.0/24", metric=1):
    return RouteIntent(IPv4Network(destination), None, device, metric)


def apply(driver, *wanted):
    return reconcile([(driver, wanted)])


def shown(net, destination="10.9.0.0/24"):
    return [" ".join(line.split()) for line in net.ip(f"-N route show {destination}").splitlines()]


def test_packets_follow_a_route_until_it_is_deleted(net, driver):
    assert apply(driver, via("10.1.0.9")) == Outcome(created=1)
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert apply(driver, via("10.1.0.9")) == Outcome()
    assert apply(driver) == Outcome(deleted=1)
    with pytest.raises(OSError, match="unreachable"):
        net.far_hears("10.9.0.1")


def test_another_gateway_takes_its_place(net, driver):
    apply(driver, via("10.1.0.9"))
    assert apply(driver, via("10.2.0.9")) == Outcome(changed=1)
    assert shown(net) == ["10.9.0.0/24 via 10.2.0.9 dev eth1 proto 72 metric 1"]
    assert net.far_hears("10.9.0.1") == "10.2.0.1"


def test_a_route_by_a_device(net, driver):
    net.far_ip("link set eth0 down")
    net.far_ip("address add 10.5.0.1/32 dev eth1")
    assert apply(driver, on("eth1", "10.5.0.0/24")) == Outcome(created=1)
    assert net.far_hears("10.5.0.1") == "10.2.0.1"
    assert apply(driver, on("eth1", "10.5.0.0/24")) == Outcome()
    assert apply(driver, via("10.2.0.9", "10.5.0.0/24")) == Outcome(changed=1)
    assert apply(driver) == Outcome(deleted=1)


def test_the_default_route_and_routes_of_other_distance(net, driver):
    wanted = (via("10.1.0.9", "0.0.0.0/0", 1), via("10.2.0.9", "0.0.0.0/0", 200))
    assert apply(driver, *wanted) == Outcome(created=2)
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert apply(driver, wanted[1]) == Outcome(deleted=1)
    assert net.far_hears("10.9.0.1") == "10.2.0.1"
    assert apply(driver, wanted[1]) == Outcome()


def test_a_wanted_route_of_the_system_counts_and_stays(net, driver):
    net.ip("route add 10.9.0.0/24 via 10.1.0.9 metric 1")
    before = shown(net)
    assert apply(driver, via("10.1.0.9")) == Outcome()
    assert apply(driver) == Outcome()
    driver.delete(via("10.1.0.9"))
    assert shown(net) == before


@pytest.mark.parametrize(
    "foreign",
    [
        "10.9.0.0/24 via 10.2.0.9 metric 1",
        "10.9.0.0/24 dev eth0 metric 1",
        "blackhole 10.9.0.0/24 metric 1",
        "10.9.0.0/24 metric 1 nexthop via 10.1.0.9 nexthop via 10.2.0.9",
        "10.9.0.0/24 via inet6 fe80::1 dev eth0 metric 1",
    ],
)
def test_a_route_of_the_system_is_never_replaced(net, driver, foreign):
    net.ip(f"route add {foreign}")
    before = shown(net)
    for wanted in (via("10.1.0.9"), on("eth1")):
        with pytest.raises(ApplyError, match=r"^prepare route: the system has a route 10\.9\.0\.0/24.* of its own"):
            apply(driver, via("10.1.0.9", "10.8.0.0/24"), wanted)
    assert shown(net) == before
    assert shown(net, "10.8.0.0/24") == []


@pytest.mark.parametrize("foreign", ["local 10.9.0.0/24 dev eth0", "10.9.0.0/24 via inet6 fe80::1 dev eth0"])
def test_a_route_that_does_something_else_on_the_device_is_another_route(net, driver, foreign):
    net.ip(f"route add {foreign} metric 1 table main")
    with pytest.raises(ApplyError, match="choose another distance"):
        apply(driver, on("eth0"))


def test_a_route_of_the_system_behind_ours_is_not_taken_for_it(net, driver):
    apply(driver, via("10.1.0.9"))
    net.ip("route append 10.9.0.0/24 via 10.2.0.9 metric 1")
    with pytest.raises(ApplyError, match="choose another distance"):
        apply(driver, via("10.2.0.9"))


def test_ours_is_not_changed_where_the_system_has_one_of_the_same_metric(net, driver):
    apply(driver, via("10.1.0.9"))
    net.ip("route prepend 10.9.0.0/24 via 10.2.0.9 metric 1 proto static")
    before = shown(net)
    assert len(before) == 2
    assert apply(driver, via("10.1.0.9")) == Outcome()
    with pytest.raises(ApplyError, match="choose another distance"):
        apply(driver, on("eth0"))
    assert shown(net) == before
    assert apply(driver) == Outcome(deleted=1)
    assert shown(net) == before[:1]


@pytest.mark.parametrize("other", ["tos 0x10 via 10.2.0.9 metric 1", "via 10.2.0.9 metric 1 table 100 proto 72"])
def test_routes_for_a_tos_and_of_other_tables_are_none_of_our_business(net, driver, other):
    net.ip(f"route add 10.9.0.0/24 {other}")
    assert apply(driver, via("10.1.0.9")) == Outcome(created=1)
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert apply(driver) == Outcome(deleted=1)
    assert "via 10.2.0.9 dev eth1" in net.ip("route show table all 10.9.0.0/24")


def test_a_gateway_that_no_address_reaches(net, driver):
    with pytest.raises(ApplyError) as e:
        apply(driver, via("10.1.0.9", "10.8.0.0/24"), via("10.77.0.1"))
    assert str(e.value) == (
        "create route 10.9.0.0/24 via 10.77.0.1: network is unreachable (Nexthop has invalid gateway); nothing was changed"
    )
    assert shown(net, "10.8.0.0/24") == []


def test_a_device_that_is_not_there(net, driver):
    with pytest.raises(ApplyError, match=r"^create route 10\.9\.0\.0/24 on eth7: device eth7 does not exist; nothing"):
        apply(driver, on("eth7"))


@pytest.mark.parametrize("outage", ["link set eth0 down", "address flush dev eth0"])
def test_a_route_that_vanished_is_made_again(net, driver, outage):
    apply(driver, via("10.1.0.9"))
    net.ip(outage)
    assert shown(net) == []
    net.ip("link set eth0 up")
    net.ip("address replace 10.1.0.1/24 dev eth0")
    assert apply(driver, via("10.1.0.9")) == Outcome(created=1)
    assert net.far_hears("10.9.0.1") == "10.1.0.1"


def test_a_route_whose_device_disappeared_is_gone_already(net, driver):
    apply(driver, on("eth0"))
    net.ip("link del eth0")
    driver.delete(on("eth0"))
    assert apply(driver) == Outcome()


def move_subnet(net):
    """10.1.0.0/24 from eth0, which keeps another address, to eth1: the kernel leaves routes to gateways in it on eth0."""
    net.ip("address add 10.3.0.1/24 dev eth0")
    net.ip("address del 10.1.0.1/24 dev eth0")
    net.ip("address add 10.1.0.1/24 dev eth1")
    net.far_ip("address del 10.1.0.9/24 dev eth0")
    net.far_ip("address add 10.1.0.9/24 dev eth1")


def test_a_route_follows_its_gateway_to_another_device(net, driver):
    apply(driver, via("10.1.0.9"))
    move_subnet(net)
    assert shown(net) == ["10.9.0.0/24 via 10.1.0.9 dev eth0 proto 72 metric 1"]
    assert apply(driver, via("10.1.0.9")) == Outcome(changed=1)
    assert shown(net) == ["10.9.0.0/24 via 10.1.0.9 dev eth1 proto 72 metric 1"]
    assert net.far_hears("10.9.0.1") == "10.1.0.1"
    assert apply(driver, via("10.1.0.9")) == Outcome()


def test_following_the_gateway_can_be_undone(net, driver):
    apply(driver, via("10.1.0.9"))
    move_subnet(net)
    with pytest.raises(ApplyError, match="eth7 does not exist; nothing was changed"):
        apply(driver, via("10.1.0.9"), on("eth7", "10.8.0.0/24"))
    assert shown(net) == ["10.9.0.0/24 via 10.1.0.9 dev eth0 proto 72 metric 1 onlink"]
    assert apply(driver, via("10.1.0.9")) == Outcome(changed=1)
