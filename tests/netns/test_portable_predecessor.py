"""The mirror without BPF comes after one with: that one's programs go on copying until somebody removes them."""

import errno
from dataclasses import replace

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane.bpf import clsact
from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.portable.predecessor import remove_programs
from hsadc.intent.mirror import RuleIntent
from tests.netns.mirror_net import GRE, RULE, TUNNEL, Net, bring, capture
from tests.netns.portable_net import portable, settled
from tests.netns.test_portable import udp

pytestmark = pytest.mark.netns
UDP_RULE = RuleIntent(RULE.id, RULE.address, RULE.port, 17, RULE.profile)


@pytest.fixture
def net():
    with Net() as made:
        yield made


def links(net):
    return [line.split()[1].rstrip(":").partition("@")[0] for line in net.run("adc", "ip -o link").splitlines()]


def leave_a_mirror(net, tunnels=(TUNNEL,)):
    """As a killed daemon does."""
    with net.inside("adc"):
        mirror = Mirror()
        bring(mirror, tunnels, rules=(UDP_RULE,))
        mirror.stop()


def test_each_packet_is_copied_once(net):
    numbered = replace(TUNNEL, interface="tunnel2", encapsulation=replace(GRE, sequence=True))  # it needs a bridge, too
    before = links(net)
    leave_a_mirror(net, (TUNNEL, numbered))
    assert {"hsadc-tun1", "hsadc-tun2", "hsadc-brt2"} <= set(links(net))
    with portable(net, rules=(UDP_RULE,)) as mirror:
        assert links(net) == before
        with capture(net) as frames:
            udp(net, 20)
            settled(mirror)
    assert len(frames) == 20
    assert "clsact" not in net.run("adc", "tc qdisc")


def test_filters_of_others_stay(net):
    leave_a_mirror(net)
    net.run("adc", "tc filter add dev front ingress pref 9 protocol all bpf bytecode '1,6 0 0 0'")
    with portable(net):
        filters = net.run("adc", "tc filter show dev front ingress")
    assert "bytecode" in filters
    assert "hsadc" not in filters


def test_a_kernel_without_traffic_control_has_nothing_to_remove(net, monkeypatch):
    def refuse(code):
        def attachments(_):
            raise NetlinkError(code)

        monkeypatch.setattr(clsact, "attachments", attachments)

    with net.inside("adc"), Netlink() as netlink:
        refuse(errno.EOPNOTSUPP)
        remove_programs(netlink)
        refuse(errno.EPERM)
        with pytest.raises(NetlinkError):
            remove_programs(netlink)
