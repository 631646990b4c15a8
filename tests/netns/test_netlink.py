"""The socket: threads, event loops, and what the kernel says in between."""

import asyncio
import errno
import gc
import select
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface, IPv4Network
from threading import Barrier

import pytest
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_GETLINK

from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.rtnetlink import RtnetlinkEvents
from tests.netns.conftest import inside

pytestmark = pytest.mark.netns

THREADS = 4


def test_each_thread_opens_its_own_and_leaves_nothing_behind(net):
    """A socket that is left open is a ResourceWarning, and that is an error here."""
    together = Barrier(THREADS)

    def work(_):
        with inside(net.near):
            together.wait()
            for _ in range(20):
                with Netlink() as netlink:
                    netlink.set_link(netlink.link("eth0").index, mtu_bytes=1400)
                    names = [link.name for link in netlink.links()]
        return names

    with ThreadPoolExecutor(THREADS) as pool:
        seen = list(pool.map(work, range(THREADS)))
    gc.collect()
    assert seen == [["lo", "eth0", "eth1"]] * THREADS


def test_one_socket_serves_threads_and_an_event_loop(net):
    with Netlink() as netlink, ThreadPoolExecutor(1) as pool:

        async def in_a_loop():
            here = netlink.links()
            there = await asyncio.get_running_loop().run_in_executor(pool, netlink.links)
            return here, there

        here, there = asyncio.run(in_a_loop())
    assert here == there
    assert [link.name for link in here] == ["lo", "eth0", "eth1"]


def test_answers_that_somebody_gave_up_waiting_for_are_passed_over(net):
    with Netlink() as netlink:
        abandoned = netlink.links()[0].index
        netlink._socket.send(struct.pack("=IHHIIBxHiII", 32, RTM_GETLINK, 5, 9999, 0, 0, 0, abandoned, 0, 0))
        assert netlink.link("eth0").name == "eth0"


def test_an_error_at_the_end_of_a_dump_is_raised(net):
    """The kernel takes the request, and refuses when it begins to answer: there is no namespace of that number."""
    with Netlink() as netlink, pytest.raises(NetlinkError) as refused:
        netlink.dump(RTM_GETLINK, {"IFLA_IF_NETNSID": 9999})
    assert refused.value.code == errno.EINVAL


def test_a_device_is_made_set_and_removed(net):
    with Netlink() as netlink:
        netlink.add_link("hsadc-x", "ifb")
        made = netlink.link("hsadc-x")
        assert (made.kind, made.up, made.arp) == ("ifb", False, False)
        with pytest.raises(NetlinkError, match="File exists"):
            netlink.add_link("hsadc-x", "ifb")
        netlink.set_link(made.index, arp=True, up=True)
        netlink.set_link(made.index, mtu_bytes=9000)
        now = netlink.find_link(made.index)
        assert (now.name, now.mtu_bytes, now.arp, now.up) == ("hsadc-x", 9000, True, True)
        netlink.delete_link(made.index)
        netlink.delete_link(made.index)
        assert netlink.find_link(made.index) is None
        with pytest.raises(NetlinkError, match="not supported"):
            netlink.delete_link(netlink.link("lo").index)


@pytest.fixture
def events(net):
    heard = RtnetlinkEvents(0x1)  # RTMGRP_LINK
    yield heard
    heard.close()


def readable(events):
    return bool(select.select([events.fileno()], [], [], 0)[0])


def test_a_change_is_heard_until_it_is_drained(net, events):
    assert not readable(events)
    net.ip("link set eth0 mtu 1400")
    assert readable(events)
    events.drain()
    assert not readable(events)
    events.drain()


def test_more_changes_than_the_queue_holds_are_changes(net, events):
    events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with Netlink() as netlink:
        index = netlink.link("eth0").index
        for mtu in range(1300, 1400):
            netlink.set_link(index, mtu_bytes=mtu)
        assert readable(events)
        events.drain()
        assert not readable(events)
        netlink.set_link(index, mtu_bytes=1500)
        assert readable(events)


class Between:
    """A socket that does something after each of the first `times` datagrams that it receives."""

    def __init__(self, real, act, times):
        self.real = real
        self.act = act
        self.times = times
        self.requests = 0

    def send(self, data):
        self.requests += 1
        return self.real.send(data)

    def recv(self, size):
        data = self.real.recv(size)
        if self.times:
            self.times -= 1
            self.act()
        return data

    def close(self):
        self.real.close()


@pytest.fixture
def changing(net):
    """A socket whose dumps of addresses take several datagrams, and what changes the addresses in between."""
    spare = map(IPv4Interface, IPv4Network("10.8.0.0/16").hosts())
    with Netlink() as netlink, Netlink() as another:
        index = another.link("eth0").index
        for _ in range(1500):  # the kernel reads on before we do: more than two datagrams of 32 KiB are needed
            another.add_address(index, next(spare))

        def meddle(times):
            netlink._socket = Between(netlink._socket, lambda: another.add_address(index, next(spare)), times)
            return netlink

        yield meddle


def test_a_dump_that_was_interrupted_is_made_again(changing):
    netlink = changing(1)
    assert sum(a.interface.version == 4 for a in netlink.addresses()) == 1502  # and 127.0.0.1
    assert netlink._socket.requests == 2


def test_tables_that_never_rest_are_an_error(changing):
    with pytest.raises(NetlinkError, match="change too fast"):
        changing(10_000).addresses()


def test_what_a_full_queue_drops_is_told(net):
    net.ip("address add 10.1.0.1/24 dev eth0")
    subprocess.run(
        ["tc", *["qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "8kbit", "burst", "2kb", "limit", "2kb"]], check=True
    )
    with Netlink() as netlink, net.udp_near() as sender:
        before = netlink.dropped("eth0")
        for _ in range(50):
            sender.sendto(bytes(1000), ("10.1.0.9", 9))
        assert netlink.dropped("eth0") - before > 30
        assert netlink.dropped("eth1") == 0
        assert netlink.dropped("eth9") == 0
