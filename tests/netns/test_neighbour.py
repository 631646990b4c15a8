"""Neighbours as the kernel has them."""

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest

from hsadc.dataplane.neighbour import observe_neighbours
from hsadc.dataplane.netlink import Netlink

pytestmark = pytest.mark.netns


def test_those_that_answered_and_those_that_did_not(net):
    net.ip("address add 10.1.0.1/24 dev eth0")
    assert net.near_hears("10.1.0.1") == "10.1.0.9"
    assert net.far_hears("10.1.0.9") == "10.1.0.1"
    net.ip("neighbour add 10.1.0.77 dev eth0 lladdr 02:00:00:00:00:77 nud permanent")
    net.ip("neighbour add 10.1.0.5 dev eth0 nud failed")
    with Netlink() as netlink:
        failed, answered, fixed = observe_neighbours(netlink)
    assert (failed.address, failed.mac, failed.state) == (IPv4Address("10.1.0.5"), None, "failed")
    assert (answered.address, answered.device) == (IPv4Address("10.1.0.9"), "eth0")
    assert answered.mac in net.far_ip("link show eth0")
    assert (fixed.mac, fixed.device, fixed.state) == ("02:00:00:00:00:77", "eth0", "permanent")


def test_ipv6_neighbours(net):
    net.ip("address add 2001:db8:1::1/64 dev eth0 nodad")
    net.ip("neighbour add 2001:db8:1::77 dev eth0 lladdr 02:00:00:00:00:77 nud permanent")
    net.ip("neighbour add 2001:db8:1::5 dev eth0 nud failed")
    net.ip("neighbour add 10.1.0.77 dev eth0 lladdr 02:00:00:00:00:77 nud permanent")
    with Netlink() as netlink:
        failed, fixed = (n for n in observe_neighbours(netlink, socket.AF_INET6) if not n.address.is_link_local)
    assert (failed.address, failed.mac, failed.state) == (IPv6Address("2001:db8:1::5"), None, "failed")
    assert (str(fixed.address), fixed.mac, fixed.device) == ("2001:db8:1::77", "02:00:00:00:00:77", "eth0")
