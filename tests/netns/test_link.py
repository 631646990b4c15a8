"""Settings of real devices: changed, and put back."""

import json

import pytest

from hsadc.dataplane.link import LinkDriver
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.originals import Originals
from hsadc.dataplane.reconcile import Outcome, reconcile
from hsadc.errors import ApplyError
from hsadc.intent.link import LinkIntent

pytestmark = pytest.mark.netns


@pytest.fixture
def path(tmp_path):
    return tmp_path / "originals.json"


@pytest.fixture
def driver(net, path):
    with Netlink() as netlink:
        yield LinkDriver(netlink, Originals(path, "this"))


def apply(driver, *wanted):
    return reconcile([(driver, wanted)])


def state(net, device):
    (link,) = json.loads(net.ip(f"-j link show {device}"))
    return link["mtu"], "UP" in link["flags"]


def test_mtu_and_state_are_set_once_and_put_back(net, driver):
    net.ip("link set eth0 down")
    wanted = LinkIntent("eth0", mtu_bytes=1400)
    assert apply(driver, wanted) == Outcome(changed=1)
    assert state(net, "eth0") == (1400, True)
    assert apply(driver, wanted) == Outcome()
    assert apply(driver) == Outcome(deleted=1)
    assert state(net, "eth0") == (1500, False)
    assert apply(driver) == Outcome()


def test_a_device_that_is_right_is_not_touched_or_remembered(net, driver, path):
    for wanted in (LinkIntent("eth0"), LinkIntent("eth0", mtu_bytes=1500)):
        assert apply(driver, wanted) == Outcome()
    assert not path.exists()


def test_shutdown_and_no_shutdown(net, driver):
    assert apply(driver, LinkIntent("eth0", up=False)) == Outcome(changed=1)
    assert state(net, "eth0") == (1500, False)
    assert apply(driver, LinkIntent("eth0")) == Outcome(changed=1)
    assert state(net, "eth0") == (1500, True)
    assert apply(driver) == Outcome()


@pytest.mark.parametrize("back", [None, 1500])
def test_without_an_mtu_wanted_the_original_one_comes_back(net, driver, back):
    apply(driver, LinkIntent("eth0", mtu_bytes=1400))
    apply(driver, LinkIntent("eth0", mtu_bytes=1300))
    assert apply(driver, LinkIntent("eth0", mtu_bytes=back)) == Outcome(changed=1)
    assert state(net, "eth0") == (1500, True)
    assert apply(driver, LinkIntent("eth0", mtu_bytes=back)) == Outcome()
    assert apply(driver) == Outcome()


def test_after_a_kill_the_next_process_puts_it_back(net, driver, path):
    apply(driver, LinkIntent("eth0", up=False, mtu_bytes=1400))
    with Netlink() as netlink:
        heir = LinkDriver(netlink, Originals(path, "this"))
        assert apply(heir, LinkIntent("eth0", up=False, mtu_bytes=1400)) == Outcome()
        assert apply(heir) == Outcome(deleted=1)
    assert state(net, "eth0") == (1500, True)


def test_an_mtu_that_the_device_refuses(net, driver, path):
    with pytest.raises(ApplyError) as e:
        apply(driver, LinkIntent("eth0"), LinkIntent("eth1", up=False, mtu_bytes=70000))
    assert str(e.value) == (
        "change link eth1 down with mtu 70000: invalid argument (mtu greater than device maximum); nothing was changed"
    )
    assert state(net, "eth1") == (1500, True)
    assert Originals(path, "this").settings() == frozenset()


def test_half_a_change_is_taken_back(net, driver, path):
    net.ip("link add link eth0 name mac0 address 02:00:00:00:00:01 type macvlan")
    net.ip("link add link eth0 name mac1 address 02:00:00:00:00:01 type macvlan")
    net.ip("link set mac0 up")
    with pytest.raises(ApplyError, match=r"^change link mac1 up with mtu 1400: address already in use"):
        apply(driver, LinkIntent("mac1", mtu_bytes=1400))
    assert state(net, "mac1") == (1500, False)
    assert Originals(path, "this").settings() == frozenset()


def test_the_undo_of_a_change_gives_back_exactly_what_was(net, driver, path):
    net.ip("link set eth0 down mtu 1450")
    with pytest.raises(ApplyError, match="device nosuch0 does not exist; nothing was changed"):
        apply(driver, LinkIntent("eth0", mtu_bytes=1400), LinkIntent("nosuch0"))
    assert state(net, "eth0") == (1450, False)
    assert Originals(path, "this").settings() == frozenset()


def test_the_undo_of_a_restoration_takes_the_device_under_our_rule_again(net, driver, path):
    apply(driver, LinkIntent("eth0", mtu_bytes=1400))
    driver.delete(LinkIntent("eth0", mtu_bytes=1400))
    driver.create(LinkIntent("eth0", mtu_bytes=1400))
    assert state(net, "eth0") == (1400, True)
    assert apply(driver) == Outcome(deleted=1)
    assert state(net, "eth0") == (1500, True)


def test_another_device_of_the_same_name_is_left_alone(net, driver):
    apply(driver, LinkIntent("eth0", mtu_bytes=1400))
    net.ip("link del eth0")
    assert apply(driver) == Outcome()
    net.ip("link add eth0 mtu 1300 type veth peer name eth9")
    assert apply(driver) == Outcome()
    assert state(net, "eth0") == (1300, False)


def test_a_name_too_long_for_a_device_does_not_exist_either(net, driver):
    with pytest.raises(ApplyError, match="device a-name-too-long-for-linux does not exist"):
        apply(driver, LinkIntent("a-name-too-long-for-linux"))
