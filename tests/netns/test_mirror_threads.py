"""One mirror, many threads: each login of the daemon is one."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.netlink import Netlink
from tests.netns.mirror_net import RULE, Net, bring, mirror_in, remove, until

pytestmark = pytest.mark.netns


@pytest.fixture
def net():
    with Net() as made:
        yield made


def open_descriptors():
    return set(os.listdir("/proc/self/fd"))


def test_threads_that_end_leave_no_descriptor_open(net):
    seen = []
    with mirror_in(net) as mirror:

        def login():
            seen.append((mirror.tunnel_state("tunnel1").state, mirror.counters().destinations.keys()))

        before = open_descriptors()
        for _ in range(200):
            thread = threading.Thread(target=login)
            thread.start()
            thread.join()
        assert len(open_descriptors()) == len(before)
    assert seen == [("up", {(0, "tunnel1"), (1, "tunnel1")})] * 200


def test_threads_at_the_same_time(net):
    with mirror_in(net) as mirror, ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda _: mirror.tunnel_state("tunnel1").next_hop, range(200)))
    assert set(map(str, states)) == {"10.2.0.1"}


def test_a_thread_in_another_namespace_sees_the_mirrors(net):
    with mirror_in(net) as mirror, net.inside("client"):
        assert mirror.tunnel_state("tunnel1").egress == "back"
        assert mirror.counters().sources.keys() == {RULE.id}
        with Netlink() as here:
            assert here.find_link("back") is None


def test_a_thread_that_runs_an_event_loop(net):
    async def all_of_it():
        mirror = Mirror()
        mirror.start_watching()
        bring(mirror)
        until(lambda: mirror.tunnel_state("tunnel1").state == "up")
        with Netlink() as netlink:
            attached = {link.name for link in netlink.links()}
        counters = mirror.counters()
        remove(mirror)
        mirror.stop()
        return attached, counters

    before = open_descriptors()
    with net.inside("adc"):
        attached, counters = asyncio.run(all_of_it())
    assert "hsadc-tun1" in attached
    assert (counters.sources.keys(), counters.destinations.keys()) == ({RULE.id}, {(0, "tunnel1"), (1, "tunnel1")})
    assert len(open_descriptors()) == len(before)
