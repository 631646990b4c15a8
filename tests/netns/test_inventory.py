"""The devices that the operator's interface names stand for."""

from ipaddress import IPv4Interface, IPv6Interface

import pytest

from hsadc.dataplane.inventory import observe_inventory
from hsadc.dataplane.link import LinkDriver
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.originals import Originals
from hsadc.intent.inventory import Device
from hsadc.intent.link import LinkIntent

pytestmark = pytest.mark.netns


@pytest.fixture
def originals(tmp_path):
    return Originals(tmp_path / "originals.json", "this")


def test_without_hardware_virtual_cables_are_ports_in_the_order_of_their_index(net, originals):
    net.ip("link add aaa0 type veth peer name hsadc-hop0")
    net.ip("link add br0 type bridge")
    with Netlink() as netlink:
        inventory = observe_inventory(netlink, originals)
    devices = {d.name: d.physical for d in inventory.devices}
    assert devices == {"eth0": True, "eth1": True, "aaa0": True, "br0": False}
    assert [d.name for d in inventory.devices] == sorted(devices, key=lambda n: int(net.ip(f"-o link show {n}").split(":")[0]))
    assert inventory.find("ethernet0/0", None) is inventory.devices[0]


def test_layer_3_devices_are_not_interfaces(net, originals):
    net.ip("tuntap add mode tun name tun0")
    with Netlink() as netlink:
        assert [d.name for d in observe_inventory(netlink, originals).devices] == ["eth0", "eth1"]


def test_what_hsadc_made_or_changed_is_not_in_it(net, originals):
    net.ip("address add 10.1.0.1/24 dev eth0")
    net.ip("address add 10.1.0.2/24 dev eth0")
    net.ip("link set eth1 mtu 1450")
    with Netlink() as netlink:
        netlink.add_address(netlink.link("eth0").index, IPv4Interface("10.1.0.3/24"))
        LinkDriver(netlink, originals).create(LinkIntent("eth0", mtu_bytes=1300))
        inventory = observe_inventory(netlink, originals)
    assert "mtu 1300" in net.ip("link show eth0")
    assert inventory.devices == (
        Device("eth0", 1500, (IPv4Interface("10.1.0.1/24"), IPv4Interface("10.1.0.2/24"))),
        Device("eth1", 1450, ()),
    )


def test_a_port_of_a_bridge_is_seen_at_the_bridge(net, tmp_path):
    net.ip("link add br0 type bridge")
    net.ip("link set eth0 master br0")
    with Netlink() as netlink:
        inventory = observe_inventory(netlink, Originals(tmp_path / "originals.json", "this"))
    assert {d.name: d.seen_at for d in inventory.devices} == {"eth0": "br0", "eth1": None, "br0": None}


def test_ipv6_addresses_of_the_system_that_last(net, originals):
    net.ip("address add 2001:db8:1::1/64 dev eth0 nodad")
    net.ip("address add fe80::7/64 dev eth0 nodad")
    with open("/proc/sys/net/ipv6/conf/eth0/use_tempaddr", "w") as switch:
        switch.write("2")
    net.ip("address add 2001:db8:2::1/64 dev eth0 nodad mngtmpaddr")
    assert "temporary" in net.ip("-6 address show eth0")
    with Netlink() as netlink:
        netlink.add_address(netlink.link("eth0").index, IPv6Interface("2001:db8:1::3/64"))
        eth0, eth1 = observe_inventory(netlink, originals).devices
    assert set(eth0.ipv6_addresses) == {IPv6Interface("2001:db8:1::1/64"), IPv6Interface("2001:db8:2::1/64")}
    assert (eth0.addresses, eth1.ipv6_addresses) == ((), ())
