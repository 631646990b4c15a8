"""The transaction: all or nothing, whatever fails, and nothing of what others commit is lost."""

from __future__ import annotations

import inspect
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsadc.config.change import Change
from hsadc.dataplane.dataplane import Dataplane
from hsadc.errors import ApplyError, ConfigError, Conflict, DanglingReference, HsadcError
from hsadc.intent.compile import Intent
from hsadc.model.config import Config
from hsadc.syntax.render import Renderer
from tests.unit.config.memory import FULL, ROOT, MemoryDataplane, adc, configure
from tests.unit.config.strategies import valid_configs

NOWHERE = Path("/nonexistent")
TUNNEL = 'interface ethernet0/0\nip address 10.0.0.1/24\ntunnel gre "t"\nsource interface ethernet0/0\ndestination {}\n'


@pytest.fixture
def threads_take_turns_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def plane():
    return MemoryDataplane()


@pytest.fixture
def device(tmp_path, plane):
    return adc(tmp_path, plane)


def test_the_dataplane_in_memory_has_the_interface_of_the_real_one():
    for name, real in vars(Dataplane).items():
        if not name.startswith("_"):
            ours = getattr(MemoryDataplane, name)
            assert isinstance(real, property) or type(ours) is type(real), name
            if callable(real):
                assert list(inspect.signature(ours).parameters) == list(inspect.signature(real).parameters), name


def test_a_commit_puts_in_force(device, plane):
    configure(device, FULL)
    assert device.running.hostname == "edge"
    assert [r.id for r in plane.intent.rules] == [1]
    assert {kind: len(found) for kind, found in plane.objects.items()} == {
        "links": 2,
        "addresses": 3,
        "routes": 1,
        "tunnels": 1,
        "access_lists": 0,
        "profiles": 1,
        "rules": 1,
        "port_mirrors": 0,
        "hops": 0,
        "transparents": 0,
        "taps": 2,
        "datagrams": 0,
        "haproxy": 1,
    }


def test_a_device_without_a_dataplane_keeps_configurations(tmp_path):
    device = adc(tmp_path)
    assert configure(device, FULL) == ()
    assert device.running.hostname == "edge"
    assert list(device.names("device")) == []
    device.stop()


def test_what_changes_nothing_does_not_touch_the_dataplane(device, plane):
    configure(device, FULL)
    running, plane.steps = device.running, 0
    assert configure(device, FULL) == ()
    assert device.running is running
    assert plane.steps == 0


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ('interface tunnel1\ntunnel gre "x"', DanglingReference, 'interface tunnel1: tunnel gre "x" does not exist'),
        ('no tunnel gre "隧道"', DanglingReference, 'tunnel gre "隧道": it is used by interface tunnel1 and cannot be deleted'),
        ("interface ethernet0/1\ndevice eth0", Conflict, "interface ethernet0/1: eth0 is ethernet0/0 already"),
        ("interface ethernet0/5\n", ConfigError, "interface ethernet0/5: this machine has no such interface, it has"),
    ],
)
def test_what_is_contradictory_never_reaches_the_dataplane(device, plane, lines, error, message):
    configure(device, FULL)
    running, intent, plane.steps = device.running, plane.intent, 0
    with pytest.raises(error) as caught:
        configure(device, lines)
    assert str(caught.value).startswith(message)
    assert device.running is running
    assert plane.intent is intent
    assert plane.steps == 0


def test_whichever_step_fails_all_is_as_before(device, plane):
    configure(device, FULL)
    running, intent, objects, failures = device.running, plane.intent, plane.objects, 0
    change = "interface ethernet0/0\nmtu 1300\nno ip address 10.0.1.1/24 secondary\nno ip route 0.0.0.0/0 10.0.0.254"
    while (error := refused(device, plane, change, failures)) is not None:
        failures += 1
        assert error.endswith(": no space left on device; nothing was changed")
        assert device.running is running
        assert plane.intent is intent
        assert plane.objects == objects
    assert failures == plane.steps
    assert failures > 7
    assert device.running.ethernet["ethernet0/0"].mtu == 1300
    assert plane.objects != objects


def refused(device, plane, lines, fail_at):
    plane.fail_at = fail_at
    try:
        configure(device, lines)
    except ApplyError as e:
        return str(e)
    return None


@settings(max_examples=60, deadline=None)
@given(valid_configs(), valid_configs(), st.integers(0, 30))
def test_a_commit_and_the_commit_of_the_old_one_are_as_before(first, second, fail_at):
    plane = MemoryDataplane()
    device = adc(NOWHERE, plane)
    device.commit(lambda now: Change(now, first), ROOT, "x")
    before = device.running, plane.intent, plane.objects, device.text()
    plane.fail_at = fail_at
    try:
        device.commit(lambda now: Change(now, second), ROOT, "x")
    except ApplyError:
        assert device.running is before[0]
        assert (plane.intent, plane.objects) == before[1:3]
    plane.fail_at = None
    device.commit(lambda now: Change(now, second), ROOT, "x")
    assert device.running == second
    device.commit(lambda now: Change(now, first), ROOT, "x")
    assert (device.running, plane.intent, plane.objects) == before[:3]
    plane.stop()
    assert not any(plane.objects.values())


def test_threads_lose_nothing_of_each_other(device, threads_take_turns_often):
    def work(name):
        for n in range(200):
            configure(device, [f'slb real-server "{name}-{n}"', f"weight {n % 255 + 1}"])

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: r.weight for n, r in device.running.real_server.items()} == {
        f"{t}-{n}": n % 255 + 1 for t in "ab" for n in range(200)
    }


def test_a_change_sees_what_was_committed_while_it_waited(device, plane):
    """The second commit begins while the first one is being applied."""
    second = threading.Thread(target=configure, args=(device, "hostname second"))

    def begin_second():
        plane.before_apply = lambda: None
        second.start()

    plane.before_apply = begin_second
    configure(device, 'slb real-server "first"')
    second.join()
    assert device.running.hostname == "second"
    assert list(device.running.real_server) == ["first"]


def test_readers_never_see_half_a_change(device, threads_take_turns_often):
    configure(device, 'slb real-server "a"\nslb real-server "b"')
    torn, done = [], threading.Event()

    def read():
        while not done.is_set():
            running = device.running
            pair = [running.real_server[n].weight for n in "ab"]
            text = [line for line in device.text().splitlines() if "weight" in line]
            if pair[0] != pair[1] or len(set(text)) > 1 or len(text) == 1:
                torn.append((pair, text))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(100):
        configure(device, ['slb real-server "a"', f"weight {n % 9 + 2}", 'slb real-server "b"', f"weight {n % 9 + 2}"])
    done.set()
    reader.join()
    assert torn == []


def test_during_apply_readers_see_the_old_one(device, plane):
    seen = []
    plane.before_apply = lambda: seen.append(device.running.hostname)
    configure(device, "hostname new")
    assert seen == ["hsadc"]
    assert device.running.hostname == "new"


class TestWarnings:
    ROUTE = "ip route 10.20.0.0/16 10.77.0.1: not in force, 10.77.0.1 is in no network of an interface that is up"

    def test_only_new_ones_are_told(self, device):
        assert configure(device, "ip route 10.20.0.0/16 10.77.0.1") == (self.ROUTE,)
        assert configure(device, "hostname other") == ()
        assert configure(device, "ip route 10.21.0.0/16 10.77.0.1") == (self.ROUTE.replace("10.20", "10.21"),)

    def test_one_that_had_gone_is_new_again(self, device):
        configure(device, "ip route 10.20.0.0/16 10.77.0.1")
        configure(device, "no ip route 10.20.0.0/16 10.77.0.1")
        assert configure(device, "ip route 10.20.0.0/16 10.77.0.1") == (self.ROUTE,)

    def test_what_the_dataplane_says_now_is_told_too(self, device, plane):
        plane.unreachable = {"tunnel1"}
        configure(device, TUNNEL.format("10.9.0.2"))
        assert configure(device, 'interface tunnel1\ntunnel gre "t"') == (
            "interface tunnel1: 10.9.0.2 cannot be reached now: no route",
        )

    def test_those_of_a_commit_that_failed_are_told_with_the_next(self, device, plane):
        plane.fail_at = 0
        with pytest.raises(ApplyError):
            configure(device, "ip route 10.20.0.0/16 10.77.0.1\nhostname x")
        plane.fail_at = None
        assert configure(device, "ip route 10.20.0.0/16 10.77.0.1") == (self.ROUTE,)


class TestStart:
    def test_without_a_startup_config(self, device, plane):
        assert device.start() == (f"there is no {device.archive.path}: the device starts without a configuration",)
        assert device.running == Config()
        assert plane.intent == Intent()

    def test_it_is_put_in_force(self, device, plane):
        device.archive.path.write_text(FULL)
        warnings = device.start()
        assert len(warnings) == 2
        assert warnings[0] == TestWarnings.ROUTE
        assert device.running.hostname == "edge"
        assert plane.intent.rules
        assert configure(device, "hostname again") == ()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("hostname x\n  tunel gre x\n", "startup.cfg:2:3: unrecognized keyword tunel, did you mean 'tunnel'?"),
            ('interface tunnel1\ntunnel gre "x"', 'startup.cfg:1:1: interface tunnel1: tunnel gre "x" does not exist'),
            ("interface ethernet0/9\nexit", "interface ethernet0/9: this machine has no such interface"),
            ("show version", "startup.cfg:1:1: unrecognized keyword show"),
            ("hostname x\0", "startup.cfg:1:11: the character '\\x00' cannot be part of a configuration: is this a text file?"),
        ],
    )
    def test_what_is_wrong_is_one_line_and_nothing_is_in_force(self, device, plane, text, message):
        device.archive.path.write_text(text)
        with pytest.raises(HsadcError) as caught:
            device.start()
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
        assert device.running == Config()
        assert plane.intent == Intent()
        assert device.archive.path.read_text() == text

    def test_a_folder_in_its_place(self, device):
        device.archive.path.mkdir()
        with pytest.raises(ConfigError, match="Is a directory"):
            device.start()

    def test_a_dataplane_that_refuses(self, device, plane):
        device.archive.path.write_text("interface ethernet0/0\nmtu 1400\n")
        plane.fail_at = 0
        with pytest.raises(ApplyError):
            device.start()
        assert device.running == Config()


@settings(max_examples=60, deadline=None)
@given(config=valid_configs())
def test_what_is_saved_is_what_a_start_brings_back(tmp_path_factory, config):
    folder = tmp_path_factory.mktemp("state")
    first = adc(folder, MemoryDataplane())
    first.commit(lambda now: Change(now, config), ROOT, "x")
    first.save(ROOT)
    second = adc(folder, MemoryDataplane())
    second.start()
    assert second.running == first.running
    assert second.dataplane.intent == first.dataplane.intent
    assert second.text() == first.archive.startup().text == "\n".join([*Renderer(first.grammar).config(config), ""])


def test_stop_takes_everything_out_of_force(device, plane):
    configure(device, FULL)
    device.stop()
    assert plane.stopped
    assert not any(plane.objects.values())


def test_the_names_that_exist(device):
    assert list(device.names("ethernet")) == ["ethernet0/0", "ethernet0/1"]
    assert list(device.names("gre_tunnel")) == []
    configure(device, FULL)
    assert list(device.names("gre_tunnel")) == ["隧道", "spare"]
    assert list(device.names("ethernet")) == ["ethernet0/0", "ethernet0/1"]
    assert list(device.names("device")) == ["eth0", "eth1", "br0"]


def test_the_kernel_is_asked_for_its_own_names_alone(device, plane, monkeypatch):
    configure(device, FULL)
    monkeypatch.setattr(plane, "inventory", lambda: 1 / 0)
    assert list(device.names("gre_tunnel")) == ["隧道", "spare"]


def test_a_commit_that_comes_after_the_stop_is_refused(device, plane):
    device.stop()
    with pytest.raises(ApplyError, match="the device is stopping; nothing was changed"):
        configure(device, "hostname late\n")
    assert device.running.hostname == "hsadc"
    assert plane.intent == Intent()


def test_what_others_change_on_the_machine_is_put_right_and_logged(device, plane, caplog):
    configure(device, FULL)
    before = plane.objects
    plane.drivers[0].objects.clear()
    device.repair()
    assert plane.objects == before
    assert "somebody else had changed it: repaired, 2 created, 0 changed, 0 deleted" in caplog.text
    caplog.clear()
    device.repair()
    device.stop()
    device.repair()
    assert plane.objects != before
    assert not caplog.text


def test_there_is_nothing_to_repair_without_a_dataplane(tmp_path):
    adc(tmp_path).repair()
