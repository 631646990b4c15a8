"""The socket, from several threads."""

import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from hsadc.dataplane.netlink import Netlink
from tests.netns.conftest import inside

pytestmark = pytest.mark.netns

THREADS = 4


def test_each_thread_opens_its_own_and_leaves_nothing_behind(net):
    """An event loop or a socket that is left open is a ResourceWarning, and that an error here."""
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
