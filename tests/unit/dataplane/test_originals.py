"""The file that remembers what devices were like."""

import json
import logging

import pytest

from hsadc.dataplane.originals import Originals, Setting

MTU = Setting("eth0", 2, "mtu_bytes")
UP = Setting("eth0", 2, "up")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "originals.json"


def test_nothing_is_remembered_or_written_at_first(path):
    originals = Originals(path, "this")
    assert originals.get(MTU) is None
    assert originals.settings() == frozenset()
    originals.forget(MTU)
    assert not path.exists()


def test_the_next_process_reads_what_this_one_wrote(path):
    originals = Originals(path, "this")
    originals.remember(MTU, 1500)
    originals.remember(UP, False)
    originals.remember(Setting("eth1", 3, "up"), True)
    heir = Originals(path, "this")
    assert (heir.get(MTU), heir.get(UP), heir.get(Setting("eth1", 3, "up"))) == (1500, 0, 1)
    assert heir.settings() == {MTU, UP, Setting("eth1", 3, "up")}


def test_the_first_value_is_the_original(path):
    originals = Originals(path, "this")
    originals.remember(MTU, 1500)
    originals.remember(MTU, 1400)
    assert originals.get(MTU) == 1500


def test_what_is_forgotten_is_forgotten_on_disk(path):
    originals = Originals(path, "this")
    originals.remember(MTU, 1500)
    originals.remember(UP, True)
    originals.forget(MTU)
    assert Originals(path, "this").settings() == {UP}
    originals.forget(UP)
    assert Originals(path, "this").settings() == frozenset()
    assert [p.name for p in path.parent.iterdir()] == ["originals.json"]


@pytest.mark.parametrize("other", [Setting("eth0", 3, "mtu_bytes"), Setting("eth1", 2, "mtu_bytes"), UP])
def test_another_device_is_another_setting(path, other):
    originals = Originals(path, "this")
    originals.remember(MTU, 1500)
    assert originals.get(other) is None


def test_another_boot_or_namespace_knows_nothing_of_it(path):
    Originals(path, "this").remember(MTU, 1500)
    other = Originals(path, "other")
    assert other.settings() == frozenset()
    other.remember(UP, True)
    assert Originals(path, "this").settings() == frozenset()


def test_what_cannot_be_written_is_not_remembered(path):
    originals = Originals(path, "this")
    originals.remember(UP, True)
    path.with_name("originals.json.new").mkdir()  # in the way of the file that is written beside
    with pytest.raises(IsADirectoryError):
        originals.remember(MTU, 1500)
    with pytest.raises(IsADirectoryError):
        originals.forget(UP)
    assert (originals.get(MTU), originals.get(UP)) == (None, 1)
    assert Originals(path, "this").get(UP) == 1


def test_what_cannot_be_put_in_place_is_not_remembered(path):
    originals = Originals(path, "this")
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        originals.remember(MTU, 1500)
    assert originals.get(MTU) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"identity": "this", "originals": [[1]]})])
def test_a_spoiled_file_is_reported_and_taken_as_empty(path, text, caplog):
    path.write_text(text)
    with caplog.at_level(logging.ERROR):
        assert Originals(path, "this").settings() == frozenset()
    assert f"{path} is damaged" in caplog.text
