"""Virtual servers of type udp: real datagrams through nftables, in namespaces."""

import socket

import pytest

from hsadc.dataplane.reconcile import Outcome
from tests.netns.datagram_net import (
    PORT, SERVER, SERVER6, Adc, Net, Reals, adc, ask, client, exchange, names, probe, real, server, target, tier,
)

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def net():
    with Net() as net:
        yield net


def test_flows_go_to_each_by_its_weight(net, tmp_path):
    with Reals(net, 1, 2, 3), adc(net, tmp_path) as here:
        assert here.bring(server(tier(target(1, weight=5), target(2, weight=3), target(3, weight=2)))) == Outcome(created=1)
        assert names(ask(net, times=100)) == {"rs1": 50, "rs2": 30, "rs3": 20}
        assert here.bring(server(tier(target(1, weight=5), target(2, weight=3), target(3, weight=2)))) == Outcome()


def test_nothing_is_left(net, tmp_path):
    with adc(net, tmp_path) as here:
        here.bring(server(tier(target(1))), server(tier(target(1, 6)), number=8, version=6))
        assert net.run("adc", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding").split() == ["1", "1"]
        here.bring()
        assert net.run("adc", "nft list ruleset") == ""
        assert net.run("adc", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding").split() == ["0", "0"]
        assert here.originals.settings() == frozenset()
        assert here.bring() == Outcome()
