"""Addresses of real devices."""

import errno
import json
import socket
from contextlib import ExitStack
from ipaddress import IPv4Interface, IPv6Interface

import pytest
from pyroute2 import IPRoute, NetlinkError

from hsadc.dataplane.address import AddressDriver
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.errors import ApplyError, Unsupported
from hsadc.intent.address import AddressIntent
from tests.netns.conftest import inside

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


def ipv6_addresses(net, device="eth0"):
    links = json.loads(net.ip(f"-6 -j address show {device} scope global"))
    # iproute2 leaves an empty object for each address that it was not asked for
    return {f"{a['local']}/{a['prefixlen']}": a for link in links for a in link.get("addr_info", ()) if a}


def ipv6(address, device="eth0"):
    return AddressIntent(device, IPv6Interface(address))


def hears_over_ipv6(net, address):
    """A datagram from the far side to an address of ours, which a socket of ours is bound to."""
    net.far_ip("address add 2001:db8:1::9/64 dev eth0 nodad")
    with ExitStack() as stack:
        near = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        near.bind((address, 0))
        near.settimeout(5)
        with inside(net.far):
            far = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        far.sendto(b"hello", near.getsockname()[:2])
        return near.recvfrom(100)[1][0]


def test_an_ipv6_address_can_be_used_at_once_and_goes_again(net, driver):
    wanted = ipv6("2001:db8:1::1/64")
    assert apply(driver, wanted) == Outcome(created=1)
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
        listener.bind(("2001:db8:1::1", 0))  # an address that is still being checked for duplicates would be refused
    assert "tentative" not in ipv6_addresses(net)["2001:db8:1::1/64"]
    assert hears_over_ipv6(net, "2001:db8:1::1") == "2001:db8:1::9"
    assert apply(driver, wanted) == Outcome()
    assert apply(driver) == Outcome(deleted=1)
    assert ipv6_addresses(net) == {}


def test_both_families_and_another_process(net, driver):
    net.ip("address add 2001:db8:1::7/64 dev eth0 nodad")
    wanted = (intent("10.1.0.1/24"), ipv6("2001:db8:1::1/64"), ipv6("2001:db8:1::2/64"))
    assert apply(driver, *wanted) == Outcome(created=3)
    with Netlink() as netlink:
        assert apply(AddressDriver(netlink), *wanted) == Outcome()
        assert apply(AddressDriver(netlink), wanted[2]) == Outcome(deleted=2)
    assert set(ipv6_addresses(net)) == {"2001:db8:1::2/64", "2001:db8:1::7/64"}


def test_an_ipv6_address_of_the_system_counts_and_stays(net, driver):
    net.ip("address add 2001:db8:1::1/64 dev eth0")
    assert apply(driver, ipv6("2001:db8:1::1/64")) == Outcome()
    assert apply(driver) == Outcome()
    with pytest.raises(ApplyError) as e:
        apply(driver, ipv6("2001:db8:1::1/48"))
    assert str(e.value) == (
        "change address 2001:db8:1::1/48 on eth0: the system gave it as 2001:db8:1::1/64: configure that, or remove it there; "
        "nothing was changed"
    )
    assert set(ipv6_addresses(net)) == {"2001:db8:1::1/64"}


def test_another_prefix_length_of_an_ipv6_address(net, driver):
    """The kernel has an IPv6 address on a device once."""
    apply(driver, ipv6("2001:db8:1::1/64"))
    assert apply(driver, ipv6("2001:db8:1::1/48")) == Outcome(changed=1)
    assert set(ipv6_addresses(net)) == {"2001:db8:1::1/48"}
    with pytest.raises(ApplyError):
        apply(driver, ipv6("2001:db8:1::1/56"), intent("10.3.0.1/24", "eth7"))
    assert set(ipv6_addresses(net)) == {"2001:db8:1::1/48"}


def test_an_ipv6_address_whose_change_fails_comes_back(net):
    class Refusing(Netlink):
        def add_address(self, index, interface):
            if interface.network.prefixlen == 48:
                raise NetlinkError(errno.ENOBUFS)
            super().add_address(index, interface)

    with Refusing() as netlink:
        driver = AddressDriver(netlink)
        apply(driver, ipv6("2001:db8:1::1/64"))
        with pytest.raises(ApplyError):
            apply(driver, ipv6("2001:db8:1::1/48"))
    assert set(ipv6_addresses(net)) == {"2001:db8:1::1/64"}


def test_a_device_that_went_down_and_up_has_lost_its_ipv6_addresses_until_they_are_made_again(net, driver):
    wanted = ipv6("2001:db8:1::1/64")
    apply(driver, wanted)
    net.ip("link set eth0 down")
    assert apply(driver, wanted) == Outcome(created=1)  # the kernel keeps one that is made while the device is down
    assert apply(driver, wanted) == Outcome()
    net.ip("link set eth0 up")
    assert apply(driver, wanted) == Outcome()
    assert hears_over_ipv6(net, "2001:db8:1::1") == "2001:db8:1::9"


def test_a_device_on_which_ipv6_is_switched_off(net, driver):
    with open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "w") as switch:
        switch.write("1")
    with pytest.raises(ApplyError) as e:
        apply(driver, intent("10.1.0.1/24"), ipv6("2001:db8:1::1/64"))
    assert str(e.value) == (
        "create address 2001:db8:1::1/64 on eth0: IPv6 is switched off on eth0: net.ipv6.conf.eth0.disable_ipv6=0 allows it; "
        "nothing was changed"
    )
    assert addresses(net) == []
