"""The kernel's way to an analyzer: routes, gateways, neighbours and devices, of both families."""

import time
from dataclasses import replace
from ipaddress import ip_address

import pytest

from hsadc.dataplane import next_hop
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.next_hop import State

pytestmark = pytest.mark.netns

SOURCE = {4: "10.1.0.1", 6: "2001:db8:1::1"}
NEIGHBOUR = {4: "10.1.0.9", 6: "2001:db8:1::9"}
NOBODY = {4: "10.1.0.77", 6: "2001:db8:1::77"}
BEHIND = {4: "10.9.0.1", 6: "2001:db8:9::1"}
NETWORK_BEHIND = {4: "10.9.0.0/16", 6: "2001:db8:9::/48"}


@pytest.fixture
def cabled(net):
    net.ip("address add 10.1.0.1/24 dev eth0")
    net.ip("address add 10.2.0.1/24 dev eth1")
    net.ip("address add 2001:db8:1::1/64 dev eth0 nodad")
    net.ip("address add 2001:db8:2::1/64 dev eth1 nodad")
    net.far_ip("address add 2001:db8:1::9/64 dev eth0 nodad")
    net.far_ip("address add 2001:db8:2::9/64 dev eth1 nodad")
    for ip, last in ((net.ip, 1), (net.far_ip, 9)):
        for device in ("eth0", "eth1"):  # solicitations come from the link-local address: one that can be used at once
            ip(f"link set {device} addrgenmode none")
            ip(f"address flush dev {device} scope link")
            ip(f"address add fe80::{last}/64 dev {device} nodad")
    return net


@pytest.fixture
def netlink(cabled):
    with Netlink() as netlink:
        yield netlink


both_families = pytest.mark.parametrize("family", [4, 6])


def resolve(netlink, family, destination, egress="", source=None):
    return next_hop.resolve(netlink, ip_address(source or SOURCE[family]), ip_address(destination), egress)


def settled(netlink, family, destination, egress=""):
    """What becomes of the next hop when the kernel asks for it."""
    deadline = time.monotonic() + 10
    while True:
        hop = resolve(netlink, family, destination, egress)
        if hop.state is not State.NO_NEIGHBOUR or hop.reason.endswith("does not answer") or time.monotonic() > deadline:
            return hop
        next_hop.probe(netlink, hop)
        time.sleep(0.05)


@both_families
def test_a_neighbour_that_answers(cabled, netlink, family):
    before = resolve(netlink, family, NEIGHBOUR[family])
    assert (before.state, before.reason) == (
        State.NO_NEIGHBOUR,
        f"next hop {NEIGHBOUR[family]} on eth0 is being asked for",
    )
    hop = settled(netlink, family, NEIGHBOUR[family])
    assert (hop.state, hop.reason, hop.device, hop.mtu_bytes) == (State.UP, "", "eth0", 1500)
    assert (hop.address, hop.ifindex) == (ip_address(NEIGHBOUR[family]), netlink.link("eth0").index)
    assert hop.mac in cabled.far_ip("link show eth0")


@both_families
def test_a_neighbour_that_does_not_answer(netlink, family):
    hop = settled(netlink, family, NOBODY[family])
    assert (hop.state, hop.reason) == (State.NO_NEIGHBOUR, f"next hop {NOBODY[family]} on eth0 does not answer")


@both_families
def test_behind_a_gateway_with_the_mtu_of_the_route(cabled, netlink, family):
    cabled.ip(f"route add {NETWORK_BEHIND[family]} via {NEIGHBOUR[family]} mtu 1400")
    hop = settled(netlink, family, BEHIND[family])
    assert (hop.state, str(hop.address), hop.mtu_bytes) == (State.UP, NEIGHBOUR[family], 1400)


@both_families
def test_no_route(netlink, family):
    hop = resolve(netlink, family, BEHIND[family])
    assert (hop.state, hop.reason, hop.ifindex, hop.mtu_bytes) == (State.NO_ROUTE, f"no route to {BEHIND[family]}", 0, 0)


@both_families
def test_a_route_that_leads_nowhere(cabled, netlink, family):
    cabled.ip(f"route add unreachable {NETWORK_BEHIND[family]}")
    assert resolve(netlink, family, BEHIND[family]).state is State.NO_ROUTE


@both_families
def test_an_analyzer_that_is_this_machine(netlink, family):
    hop = resolve(netlink, family, SOURCE[family])
    assert (hop.state, hop.reason) == (State.NO_ROUTE, f"{SOURCE[family]} is not the address of another machine")


@both_families
def test_a_source_that_is_not_ours(netlink, family):
    hop = resolve(netlink, family, NEIGHBOUR[family], source=NOBODY[family])
    assert (hop.state, hop.reason) == (State.NO_ROUTE, f"source {NOBODY[family]} is not an address of this machine")


@both_families
def test_by_the_device_that_is_asked_for_and_no_other(cabled, netlink, family):
    """The kernel prefers eth0; with a source address, IPv6 takes the device as a wish."""
    second = {4: "10.2.0.9", 6: "2001:db8:2::9"}[family]
    cabled.ip(f"route add {NETWORK_BEHIND[family]} via {NEIGHBOUR[family]} metric 10")
    only = resolve(netlink, family, BEHIND[family], "eth1")
    assert (only.state, only.reason) == (State.NO_ROUTE, f"no route to {BEHIND[family]} by eth1")
    cabled.ip(f"route add {NETWORK_BEHIND[family]} via {second} metric 20")
    hop = settled(netlink, family, BEHIND[family], "eth1")
    assert (hop.state, hop.device, str(hop.address)) == (State.UP, "eth1", second)
    assert settled(netlink, family, BEHIND[family], "eth0").device == "eth0"


@both_families
def test_policy_routing_by_the_source(cabled, netlink, family):
    second = {4: "10.2.0.9", 6: "2001:db8:2::9"}[family]
    cabled.ip(f"-{family} route add {NETWORK_BEHIND[family]} via {second} table 100")
    cabled.ip(f"-{family} rule add from {SOURCE[family]} table 100")
    for egress in ("", "eth1"):
        assert resolve(netlink, family, BEHIND[family], egress).device == "eth1"


def test_an_ipv6_gateway_with_its_link_local_address(cabled, netlink):
    cabled.ip("route add 2001:db8:9::/48 via fe80::9 dev eth0")
    hop = settled(netlink, 6, BEHIND[6])
    assert (hop.state, str(hop.address), hop.device) == (State.UP, "fe80::9", "eth0")


def test_an_ipv4_destination_behind_an_ipv6_gateway(cabled, netlink):
    cabled.ip("route add 10.9.0.0/16 via inet6 2001:db8:1::9 dev eth0")
    hop = settled(netlink, 4, BEHIND[4])
    assert (hop.state, str(hop.address)) == (State.UP, "2001:db8:1::9")
    assert hop.mac in cabled.far_ip("link show eth0")


@both_families
def test_a_device_without_carrier(cabled, netlink, family):
    assert settled(netlink, family, NEIGHBOUR[family]).state is State.UP
    cabled.far_ip("link set eth0 down")
    for egress in ("", "eth0"):
        hop = resolve(netlink, family, NEIGHBOUR[family], egress)
        assert (hop.state, hop.reason, hop.device) == (State.LINK_DOWN, "eth0 has no carrier", "eth0")


@both_families
def test_a_device_that_is_down(cabled, netlink, family):
    cabled.ip("link set eth0 down")
    hop = resolve(netlink, family, NEIGHBOUR[family], "eth0")
    assert (hop.state, hop.reason) == (State.LINK_DOWN, "eth0 is down")


def test_a_device_that_is_down_is_named_though_its_routes_are_gone(cabled, netlink):
    cabled.ip("link set eth0 down")
    hop = resolve(netlink, 4, NEIGHBOUR[4])
    assert (hop.state, hop.reason) == (State.LINK_DOWN, "eth0 is down")


def test_a_device_that_does_not_exist(netlink):
    hop = resolve(netlink, 6, NEIGHBOUR[6], "eth7")
    assert (hop.state, hop.reason) == (State.NO_ROUTE, "device eth7 does not exist")
    assert next_hop.resolve_device(netlink, "eth7") == hop


def test_a_device_for_frames_as_they_are(cabled, netlink):
    index = netlink.link("eth1").index
    cabled.ip("link set eth1 mtu 1480")
    up = next_hop.resolve_device(netlink, "eth1")
    assert (up.state, up.ifindex, up.device, up.mtu_bytes, up.address) == (State.UP, index, "eth1", 1480, None)
    cabled.far_ip("link set eth1 down")
    assert next_hop.resolve_device(netlink, "eth1").reason == "eth1 has no carrier"
    cabled.ip("link set eth1 down")
    down = next_hop.resolve_device(netlink, "eth1")
    assert (down.state, down.reason, down.ifindex) == (State.LINK_DOWN, "eth1 is down", index)


@both_families
def test_a_neighbour_that_is_believed_in_is_verified(cabled, netlink, family):
    hop = settled(netlink, family, NEIGHBOUR[family])
    assert hop.believed
    cabled.far_ip(f"address del {NEIGHBOUR[family]}/{'24' if family == 4 else '64'} dev eth0")
    next_hop.verify(netlink, replace(hop, believed=False))
    assert resolve(netlink, family, NEIGHBOUR[family]).state is State.UP
    next_hop.verify(netlink, hop)
    deadline = time.monotonic() + 10
    while resolve(netlink, family, NEIGHBOUR[family]).state is State.UP:
        assert time.monotonic() < deadline, "it is believed in though it does not answer"
        time.sleep(0.1)


@pytest.mark.parametrize(
    "change",
    [
        "address add 2001:db8:5::1/64 dev eth0 nodad",
        "-6 route add 2001:db8:9::/48 via 2001:db8:1::9",
        "-6 rule add from 2001:db8:1::1 table 100",
        "-6 neighbour add 2001:db8:1::5 dev eth0 lladdr 02:00:00:00:00:05",
        "neighbour add 10.1.0.5 dev eth0 lladdr 02:00:00:00:00:05",
        "route add 10.9.0.0/16 via 10.1.0.9",
        "link set eth1 down",
    ],
)
def test_each_change_wakes_the_watcher(cabled, change):
    called = []
    watcher = next_hop.Watcher(lambda: called.append(time.monotonic()))
    try:
        quiet(called)
        before = len(called)
        cabled.ip(change)
        deadline = time.monotonic() + 5
        while len(called) == before:
            assert time.monotonic() < deadline, f"nobody noticed `ip {change}`"
            time.sleep(0.01)
    finally:
        watcher.stop()


def quiet(called):
    """Wait until the namespace has stopped changing by itself (duplicate address detection, routers sought)."""
    time.sleep(0.1)
    while time.monotonic() - called[-1] < 1.0:
        time.sleep(0.1)
