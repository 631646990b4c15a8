from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy_file import Generation, Machine, write_file
from hsadc.dataplane.haproxy_folder import Folder
from hsadc.intent.haproxy_file import HaproxyFile

MACHINE = Machine(root=False, max_files=20000, threads=2)
OLD = write_file("old\n", MACHINE, [HaproxyFile("pki/a.pem", b"old a"), HaproxyFile("pages/x", b"x")])
NEW = write_file("new\n", MACHINE, [HaproxyFile("pki/a.pem", b"new a"), HaproxyFile("pki/b.pem", b"new b")])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "state" / "haproxy")


def content(folder: Folder) -> dict[str, str]:
    return {str(p.relative_to(folder.path)): p.read_text() for p in folder.path.rglob("*") if p.is_file()}


def test_nothing(folder: Folder) -> None:
    assert folder.current() is None
    assert folder.in_force("1", OLD.digest) is None
    folder.clear()
    assert not folder.path.exists()


def test_one_takes_the_place_of_another(folder: Folder) -> None:
    folder.replace(OLD)
    assert folder.current() == OLD
    folder.settle(OLD)
    folder.replace(NEW)
    # Whoever is killed here finds both.
    assert folder.current() == NEW
    assert folder.in_force("1", OLD.digest) == OLD
    assert folder.in_force("1", NEW.digest) == NEW
    assert folder.in_force("1", "something else") is None
    folder.settle(NEW)
    assert folder.in_force("1", OLD.digest) is None
    assert content(folder) == {"haproxy.cfg": NEW.text, "pki/a.pem": "new a", "pki/b.pem": "new b"}
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.path.rglob("*") if p.is_file()} == {0o600}


def test_an_earlier_one_is_put_back(folder: Folder) -> None:
    folder.replace(OLD)
    folder.settle(OLD)
    before = content(folder)
    folder.replace(NEW)
    folder.restore(OLD)
    assert content(folder) == before
    folder.restore(None)
    assert content(folder) == {}


def test_a_worker_that_is_changed(folder: Folder) -> None:
    folder.replace(OLD)
    folder.settle(OLD)
    folder.begin_change("7", OLD.digest)
    assert folder.in_force("7", OLD.digest) is None
    assert folder.in_force("8", OLD.digest) == OLD  # another one that started from the same
    folder.end_change("7", OLD.digest, NEW)
    assert folder.in_force("7", OLD.digest) == NEW
    assert folder.in_force("8", NEW.digest) == NEW
    assert folder.in_force("8", OLD.digest) is None
    folder.begin_change("7", OLD.digest)
    folder.end_change("7", OLD.digest, OLD)
    assert folder.in_force("7", OLD.digest) == OLD


@pytest.mark.parametrize("note", ["", "7\n", "\xff"])
def test_a_note_that_nobody_understands_is_none(folder: Folder, note: str) -> None:
    folder.replace(OLD)
    (folder.path / "changed").write_text(note, encoding="latin-1")
    assert folder.in_force("7", OLD.digest) == OLD


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: (path / "pki" / "a.pem").write_text("by hand"),
        lambda path: (path / "pki" / "a.pem").unlink(),
        lambda path: (path / "haproxy.cfg").write_text(OLD.text + "# by hand\n"),
        lambda path: (path / "haproxy.cfg").write_bytes(b"\xff\n"),
    ],
)
def test_what_was_changed_by_hand_is_not_in_force(folder: Folder, spoil) -> None:
    folder.replace(OLD)
    spoil(folder.path)
    assert folder.in_force("1", OLD.digest) is None
    folder.replace(NEW)
    folder.settle(NEW)
    assert folder.in_force("1", NEW.digest) == NEW


def test_what_stays_the_same_is_not_written_again(folder: Folder) -> None:
    folder.replace(OLD)
    before = (folder.path / "pki" / "a.pem").stat().st_ino
    folder.replace(OLD)
    folder.settle(OLD)
    assert (folder.path / "pki" / "a.pem").stat().st_ino == before


def test_a_candidate_has_a_folder_of_its_own(folder: Folder) -> None:
    folder.replace(OLD)
    folder.settle(OLD)
    before = content(folder)
    left = folder.path / "check-left-by-a-daemon-that-was-killed"
    left.mkdir()
    with folder.candidate(NEW) as path:
        assert not left.exists()
        assert path.parent == folder.path
        assert (path / "pki" / "b.pem").read_text() == "new b"
        assert (path / "haproxy.cfg").read_text() == NEW.text
        assert folder.current() == OLD
    assert content(folder) == before


def test_all_or_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.replace(OLD)
    folder.settle(OLD)
    before = content(folder)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as no_room:
        no_room.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            folder.replace(NEW)
    folder.restore(OLD)
    assert content(folder) == before


def test_how_servers_stand_is_kept(folder: Folder) -> None:
    folder.write_state("1\nrow\n")
    assert content(folder) == {"server-state": "1\nrow\n"}
    folder.clear()
    assert content(folder) == {}


def test_only_root_may_look_in_and_workers_may_pass(folder: Folder) -> None:
    folder.make()
    found = folder.path.stat()
    expected = (0o710, 65534) if os.geteuid() == 0 else (0o700, os.getegid())
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == expected


def test_a_generation_that_is_not_ours_has_no_digest_that_anybody_tells() -> None:
    assert Generation("by hand\n").digest != Generation("").digest
