"""The socket: threads, event loops, and what the kernel says in between."""

import asyncio
import gc
import struct
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface, IPv4Network
from threading import Barrier

import pytest
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_GETLINK

from hsadc.dataplane.netlink import Netlink
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
    assert len(netlink.addresses()) == 1502  # and 127.0.0.1
    assert netlink._socket.requests == 2


def test_tables_that_never_rest_are_an_error(changing):
    with pytest.raises(NetlinkError, match="change too fast"):
        changing(10_000).addresses()
