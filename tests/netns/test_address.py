"""Addresses of real devices."""

import json
from ipaddress import IPv4Interface

import pytest
from pyroute2 import IPRoute

from hsadc.dataplane.address import AddressDriver
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.errors import ApplyError, Unsupported
from hsadc.intent.address import AddressIntent

pytestmark = pytest.mark.netns


@pytest.fixture
def driver(net):
    with Netlink() as netlink:
        yield AddressDriver(netlink)


def intent(address, device="eth0"):
    return AddressIntent(device, IPv4Interface(address))


def apply(driver, *wanted):
    return reconcile([(driver, wanted)])


def addresses(net, device="eth0"):
    links = json.loads(net.ip(f"-4 -j address show {device}"))
    return [f"{a['local']}/{a['prefixlen']}" for link in links for a in link["addr_info"]]


def test_packets_reach_an_address_until_it_is_deleted(net, driver):
    wanted = intent("10.1.0.1/24")
    assert apply(driver, wanted) == Outcome(created=1)
    assert net.near_hears("10.1.0.1") == "10.1.0.9"
    assert net.far_hears("10.1.0.9") == "10.1.0.1"
    assert apply(driver, wanted) == Outcome()
    assert apply(driver) == Outcome(deleted=1)
    assert addresses(net) == []
    assert apply(driver) == Outcome()


def test_another_process_recognises_ours_and_nobody_elses(net, driver):
    with IPRoute() as another:
        another.addr("add", index=another.link("get", ifname="eth0")[0]["index"], address="10.1.0.7", prefixlen=24, proto=99)
    apply(driver, intent("10.1.0.1/24"))
    with Netlink() as netlink:
        assert apply(AddressDriver(netlink)) == Outcome(deleted=1)
    assert addresses(net) == ["10.1.0.7/24"]


def test_a_wanted_address_of_the_system_counts_and_stays(net, driver):
    net.ip("address add 10.1.0.1/24 dev eth0")
    assert apply(driver, intent("10.1.0.1/24")) == Outcome()
    assert apply(driver) == Outcome()
    driver.delete(intent("10.1.0.1/24"))
    assert addresses(net) == ["10.1.0.1/24"]


def test_a_primary_address_goes_alone(net, driver):
    """Linux would delete the whole subnet, and with it the system's default route."""
    apply(driver, intent("10.1.0.1/24"), intent("10.1.0.2/24"))
    net.ip("address add 10.1.0.3/24 dev eth0")
    net.ip("route add default via 10.1.0.9")
    assert apply(driver, intent("10.1.0.2/24")) == Outcome(deleted=1)
    assert addresses(net) == ["10.1.0.2/24", "10.1.0.3/24"]
    assert net.far_hears("10.9.0.1") == "10.1.0.2"
    with open("/proc/sys/net/ipv4/conf/eth0/promote_secondaries") as switch:
        assert switch.read() == "0\n"


def test_the_primary_address_changes_without_a_moment_without(net, driver):
    apply(driver, intent("10.1.0.1/24"))
    net.ip("route add default via 10.1.0.9")
    assert apply(driver, intent("10.1.0.2/24")) == Outcome(created=1, deleted=1)
    assert net.far_hears("10.9.0.1") == "10.1.0.2"


def test_an_address_moves_to_another_device(net, driver):
    apply(driver, intent("10.2.0.1/24"))
    assert apply(driver, intent("10.2.0.1/24", "eth1")) == Outcome(created=1, deleted=1)
    assert (addresses(net), addresses(net, "eth1")) == ([], ["10.2.0.1/24"])
    assert net.far_hears("10.2.0.9") == "10.2.0.1"


def test_one_address_with_two_prefix_lengths(net, driver):
    both = (intent("10.1.0.1/24"), intent("10.1.0.1/16"))
    assert apply(driver, *both) == Outcome(created=2)
    assert apply(driver, both[1]) == Outcome(deleted=1)
    assert addresses(net) == ["10.1.0.1/16"]


def test_a_device_that_is_not_there(net, driver):
    with pytest.raises(ApplyError) as e:
        apply(driver, intent("10.1.0.1/24"), intent("10.3.0.1/24", "eth7"))
    assert str(e.value) == "create address 10.3.0.1/24 on eth7: device eth7 does not exist; nothing was changed"
    assert addresses(net) == []


def test_a_device_that_disappeared_takes_its_addresses_with_it(net, driver):
    apply(driver, intent("10.1.0.1/24"))
    net.ip("link del eth0")
    driver.delete(intent("10.1.0.1/24"))
    assert apply(driver) == Outcome()


def test_an_address_deleted_behind_our_back_is_gone_already(net, driver):
    apply(driver, intent("10.1.0.1/24"))
    net.ip("address del 10.1.0.1/24 dev eth0")
    driver.delete(intent("10.1.0.1/24"))
    assert apply(driver, intent("10.1.0.1/24")) == Outcome(created=1)


def test_a_kernel_that_drops_the_mark_is_refused(net, driver):
    class BeforeLinux518(Netlink):
        def add_address(self, index, interface):
            net.ip(f"address add {interface} dev eth0")

    with BeforeLinux518() as netlink, pytest.raises(Unsupported, match=r"Linux 5\.18 does; nothing was changed"):
        apply(AddressDriver(netlink), intent("10.1.0.1/24"))
    assert addresses(net) == []
