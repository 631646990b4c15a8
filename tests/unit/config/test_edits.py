"""Lines that are committed together, while other sessions commit theirs."""

from __future__ import annotations

import pytest

from hsadc.config.edits import Edit, Edits
from hsadc.config.lock import Author
from hsadc.config.running import Committed
from hsadc.errors import ApplyError, ConfigError, DanglingReference
from hsadc.syntax.match import match, match_in
from tests.unit.config.memory import ROOT, MemoryClock, MemoryDataplane, adc, configure, edited


@pytest.fixture
def device(tmp_path):
    return adc(tmp_path, MemoryDataplane(), MemoryClock())


@pytest.fixture
def edits(device):
    return Edits(device, ROOT)


def edit(device, line, block=None):
    modes = (block[0], "config") if block else ("config",)
    return Edit(block, match_in([device.grammar.roots[m] for m in modes], line, match)[1])


def add(edits, device, line, block=None):
    edits.add(edit(device, line, block))


A = ("real_server", "a")
B = ("real_server", "b")


def test_nothing_is_in_force_before_the_commit_and_all_is_after_it(device, edits):
    add(edits, device, 'slb real-server "a"')
    add(edits, device, "weight 7", A)
    add(edits, device, 'slb real-server "b"')
    add(edits, device, "hostname x")
    add(edits, device, "port 80", A)
    assert (device.running.hostname, dict(device.running.real_server)) == ("hsadc", {})
    edits.commit()
    assert device.running.hostname == "x"
    assert {n: (r.weight, r.port) for n, r in device.running.real_server.items()} == {"a": (7, 80), "b": (1, None)}


def test_a_commit_of_nothing(device, edits):
    running = device.running
    assert edits.commit() == Committed()
    assert device.running is running


def test_committed_lines_are_not_committed_again(device, edits):
    add(edits, device, "hostname x")
    edits.commit()
    configure(device, "hostname y")
    edits.commit()
    assert device.running.hostname == "y"
    add(edits, device, 'slb real-server "a"')
    edits.commit()
    assert device.running.hostname == "y"


def test_discarded_lines_are_forgotten(device, edits):
    add(edits, device, "hostname x")
    edits.discard()
    edits.commit()
    assert device.running.hostname == "hsadc"
    add(edits, device, 'slb real-server "a"')
    edits.commit()
    assert (device.running.hostname, list(device.running.real_server)) == ("hsadc", ["a"])


def test_a_line_that_cannot_be_done_leaves_the_others_as_they_are(device, edits):
    add(edits, device, 'slb real-server "a"')
    for line, block, message in (
        ('no slb real-server "x"', None, 'slb real-server "x": there is no such object'),
        ("slb virtual-server v", None, 'slb virtual-server "v": there is no such object; to make one'),
        ("weight 3", B, 'slb real-server "b": another session has deleted it'),
        ("no ip route 10.0.0.0/8 1.1.1.1", None, "there is no such entry: 10.0.0.0/8 1.1.1.1"),
    ):
        with pytest.raises(ConfigError) as caught:
            add(edits, device, line, block)
        assert str(caught.value).startswith(message)
    add(edits, device, "weight 9", A)
    edits.commit()
    assert {n: r.weight for n, r in device.running.real_server.items()} == {"a": 9}


@pytest.mark.parametrize("meanwhile", [None, "hostname other"], ids=["alone", "with others"])
def test_all_or_nothing(device, edits, meanwhile):
    """A contradiction in the last line, and a dataplane that refuses: the good lines are not in force either."""
    add(edits, device, 'slb real-server "a"')
    add(edits, device, "interface tunnel1")
    add(edits, device, 'tunnel gre "nowhere"', ("tunnel_interface", "tunnel1"))
    if meanwhile:
        configure(device, meanwhile)
    running = device.running
    with pytest.raises(DanglingReference, match="does not exist"):
        edits.commit()
    assert device.running is running
    add(edits, device, 'slb real-server "a"')
    add(edits, device, "interface ethernet0/0")
    device.dataplane.fail_at = 0
    with pytest.raises(ApplyError):
        edits.commit()
    assert device.running is running
    device.dataplane.fail_at = None
    assert edits.commit() == Committed()
    assert device.running is running, "what was refused is not tried again behind the operator's back"


def test_lines_of_others_between_the_first_line_and_the_commit_are_kept(device, edits):
    configure(device, 'slb real-server "a"')
    add(edits, device, "weight 7", A)
    configure(device, 'slb real-server "a"\nport 80\nslb real-server "b"')
    add(edits, device, "description mine", A)
    configure(device, "hostname other")
    edits.commit()
    assert device.running.hostname == "other"
    a = device.running.real_server["a"]
    assert (a.weight, a.port, a.description) == (7, 80, "mine")
    assert "b" in device.running.real_server


def test_the_last_word_on_one_setting_is_the_last_commits(device, edits):
    add(edits, device, "hostname mine")
    configure(device, "hostname other")
    edits.commit()
    assert device.running.hostname == "mine"


def test_a_block_that_was_deleted_meanwhile_is_an_error_and_nothing_is_lost(device, edits):
    configure(device, 'slb real-server "a"\nslb real-server "b"')
    add(edits, device, "weight 7", B)
    add(edits, device, "weight 7", A)
    configure(device, 'no slb real-server "a"\nhostname other')
    running = device.running
    with pytest.raises(DanglingReference, match='slb real-server "a": another session has deleted it'):
        edits.commit()
    assert device.running is running
    assert running.real_server["b"].weight == 1
    add(edits, device, "weight 8", B)
    edits.commit()
    assert (device.running.hostname, device.running.real_server["b"].weight) == ("other", 8)


def test_a_block_that_was_deleted_before_the_first_line(device, edits):
    configure(device, 'slb real-server "a"')
    configure(device, 'no slb real-server "a"')
    with pytest.raises(DanglingReference, match="another session has deleted it"):
        add(edits, device, "weight 7", A)


def test_a_head_makes_again_what_others_deleted(device, edits):
    configure(device, 'slb real-server "a"\nport 80')
    add(edits, device, 'slb real-server "a"')
    add(edits, device, "weight 7", A)
    configure(device, 'no slb real-server "a"')
    edits.commit()
    a = device.running.real_server["a"]
    assert (a.weight, a.port) == (7, None)


def test_two_transactions_at_once(device):
    first, second = Edits(device, ROOT), Edits(device, ROOT)
    add(first, device, 'slb real-server "a"')
    add(second, device, 'slb real-server "b"')
    add(second, device, "weight 2", B)
    add(first, device, "weight 3", A)
    first.commit()
    second.commit()
    assert {n: r.weight for n, r in device.running.real_server.items()} == {"a": 3, "b": 2}


@pytest.mark.parametrize("confirm_s", [None, 60])
def test_nobody_can_end_a_transaction_that_is_in_force(device, confirm_s):
    device.begin(ROOT)
    with pytest.raises(DanglingReference):
        device.commit(edited(device, "no hostname\nno tunnel gre x"), ROOT, "transaction", confirm_s)
    assert device.lock.transaction is not None
    device.commit(edited(device, "hostname x"), ROOT, "transaction", confirm_s)
    with pytest.raises(ConfigError, match="no session is in a transaction"):
        device.clear_lock(Author("other"))
