"""The startup-config and its backups: numbered, described, bounded, and whole whatever happens while one is saved."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.config.archive import BACKUPS_KEPT, Archive
from hsadc.config.saved import Saved, load_saved, read_saved
from hsadc.errors import ApplyError, ConfigError, DanglingReference

NOW = datetime(2026, 11, 23, 16, 45, tzinfo=UTC)
OLD = "hostname old\n" * 2000
NEW = "hostname 新\n" * 3000


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "etc" / "startup.cfg")


def saved(text, description=None):
    return Saved(text, NOW, "admin (ssh 10.0.0.7)", description)


def texts(archive):
    return [load_saved(file).text for file in archive.backups()]


class TestTheLineAboutIt:
    def test_is_the_first_one(self):
        assert saved("hostname x\n", "before the change: uplink").file_text().splitlines() == [
            "! saved 2026-11-23 16:45:00 UTC by admin (ssh 10.0.0.7): before the change: uplink",
            "hostname x",
        ]

    @given(
        st.text("a: ()!\\\"x'中", min_size=1).map(str.strip).filter(bool),
        st.none() | st.text("b: ()中", min_size=1).map(str.strip).filter(bool),
        st.sampled_from(["", "hostname x\n", "! saved by hand\n"]),
    )
    def test_is_read_again(self, by, description, text):
        entry = Saved(text, NOW, by, description)
        assert read_saved(entry.file_text(), datetime(2000, 1, 1, tzinfo=UTC)) == entry

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "hostname x\n",
            "! a comment\nhostname x\n",
            "! saved 2026-11-23 16:45:00 UTC by root (console)",
            "! saved 2026-13-23 16:45:00 UTC by root (console)\n",
            "! saved yesterday by root (console)\n",
        ],
    )
    def test_is_missing_where_somebody_wrote_by_hand(self, text):
        assert read_saved(text, NOW) == Saved(text, NOW, None, None)


def test_nothing_has_been_saved_yet(archive):
    assert archive.startup() is None
    assert archive.backups() == []
    with pytest.raises(DanglingReference, match="backup 0: there is no such backup, there are none yet"):
        archive.backup(0)
    with pytest.raises(DanglingReference, match="startup-config: nothing has been saved yet"):
        archive.saved_startup()


def test_a_save_keeps_the_one_before_it(archive):
    assert archive.save(saved("a\n"))
    assert (archive.startup(), texts(archive)) == (saved("a\n"), [])
    assert archive.save(saved("b\n", "why"))
    assert archive.save(saved("c\n"))
    assert archive.startup() == archive.saved_startup() == saved("c\n")
    assert [archive.backup(n) for n in (0, 1)] == [saved("b\n", "why"), saved("a\n")]
    with pytest.raises(DanglingReference, match="backup 2: there is no such backup, there are 0 to 1"):
        archive.backup(2)


def test_what_is_saved_already_is_saved_again_only_with_a_description(archive):
    archive.save(saved("a\n"))
    before = archive.path.stat().st_ino
    assert not archive.save(saved("a\n"))
    assert (archive.path.stat().st_ino, texts(archive)) == (before, [])
    assert archive.save(saved("a\n", "now I know why"))
    assert (archive.startup().description, texts(archive)) == ("now I know why", ["a\n"])


def test_one_written_by_hand_is_kept_as_it_is(archive):
    archive.path.parent.mkdir()
    archive.path.write_text("! mine\nhost x")
    assert archive.startup().text == "! mine\nhost x"
    assert archive.startup().by is None
    archive.save(saved("a\n"))
    assert texts(archive) == ["! mine\nhost x"]


def test_one_that_somebody_spoiled_does_not_keep_others_from_being_saved(archive):
    archive.path.parent.mkdir()
    archive.path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not a text file"):
        archive.startup()
    assert archive.save(saved("a\n"))
    assert archive.startup().text == "a\n"
    with pytest.raises(ConfigError, match="not a text file"):
        archive.backup(0)


def test_the_last_ones_are_kept(archive):
    for n in range(BACKUPS_KEPT + 4):
        archive.save(saved(f"{n}\n"))
    assert texts(archive) == [f"{n}\n" for n in range(BACKUPS_KEPT + 2, 2, -1)]
    assert len(os.listdir(archive.path.parent / "backups")) == BACKUPS_KEPT


def test_a_deleted_one_is_gone_and_the_older_ones_move_up(archive):
    for text in "abcd":
        archive.save(saved(text))
    archive.delete(1)
    assert texts(archive) == ["c", "a"]
    with pytest.raises(DanglingReference):
        archive.delete(2)
    archive.delete(0)
    archive.save(saved("e"))
    assert texts(archive) == ["d", "a"]
    archive.delete(0)
    with pytest.raises(DanglingReference, match="there is only backup 0"):
        archive.backup(1)


def test_others_files_are_not_touched(archive):
    folder = archive.path.parent / "backups"
    folder.mkdir(parents=True)
    for name in ("other.cfg.1", "startup.cfg.x", "startup.cfg."):
        (folder / name).write_text("not ours")
    for n in range(BACKUPS_KEPT + 2):
        archive.save(saved(f"{n}\n"))
    assert len(os.listdir(folder)) == BACKUPS_KEPT + 3
    assert texts(archive) == [f"{n}\n" for n in range(BACKUPS_KEPT, 0, -1)]


@pytest.mark.parametrize("name", ["2", "7", "²", "٣", "0001", "9" * 240])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda p: p.symlink_to(p.name), lambda p: p.symlink_to("/etc/passwd")])
def test_junk_among_them_is_passed_over(archive, name, make):
    for text in "abc":
        archive.save(saved(text))
    make(archive.path.parent / "backups" / f"startup.cfg.{name}")
    for text in "defghijklmno":
        archive.save(saved(text))
    assert (archive.startup().text, texts(archive)) == ("o", list("nmlkjihgfe"))
    assert len(os.listdir(archive.path.parent / "backups")) == BACKUPS_KEPT + 1


def test_who_reads_a_pipe_would_wait_for_ever(archive):
    archive.path.parent.mkdir()
    os.mkfifo(archive.path)
    with pytest.raises(ConfigError, match=r"startup.cfg: it is a pipe, a configuration is kept in a file$"):
        archive.startup()
    assert archive.save(saved("a"))
    assert archive.startup().text == "a"


def test_only_the_owner_may_read_them(archive):
    archive.save(saved("a"))
    archive.save(saved("b"))
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (archive.path, archive.backups()[0], archive.path.parent / "backups")]
    assert modes == [0o600, 0o600, 0o700]


def test_a_link_to_a_file_elsewhere_is_replaced_and_that_file_is_kept(archive, tmp_path):
    (tmp_path / "theirs.cfg").write_text("theirs")
    archive.path.parent.mkdir()
    archive.path.symlink_to("../theirs.cfg")
    archive.save(saved("a"))
    assert (archive.startup().text, texts(archive)) == ("a", ["theirs"])
    assert (tmp_path / "theirs.cfg").read_text() == "theirs"


@pytest.mark.parametrize("description", [None, "again"])
def test_a_save_that_was_interrupted_before_the_new_one_took_the_old_ones_place(archive, description):
    """The backup's name is there already: it is the startup-config itself, and counts when the next save replaces that."""
    archive.save(saved("a"))
    archive.save(saved("b"))
    os.link(archive.path, archive.path.parent / "backups" / "startup.cfg.1")
    assert texts(archive) == ["a"]
    assert archive.save(saved("c" if description is None else "b", description))
    assert texts(archive) == ["b", "a"]


def test_one_that_is_deleted_by_hand(archive, monkeypatch):
    archive.save(saved("a"))
    archive.save(saved("b"))
    archive.path.unlink()
    assert texts(archive) == ["a"], "the backups stay"
    (file,) = archive.backups()
    monkeypatch.setattr(archive, "backups", lambda: [file])
    file.unlink()
    with pytest.raises(DanglingReference, match="backup 0: there is no such backup any more"):
        archive.backup(0)


def test_a_folder_that_cannot_be_read(archive):
    archive.path.parent.mkdir()
    (archive.path.parent / "backups").write_text("no folder")
    with pytest.raises(ApplyError, match=r"read .*/backups: Not a directory"):
        archive.backups()
    archive.path.write_text("no folder")
    with pytest.raises(ConfigError, match=r"startup\.cfg/x: Not a directory"):
        load_saved(archive.path / "x")


class Refused(OSError):
    def __init__(self):
        super().__init__(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("nth", range(4))
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "link", "unlink"])
def test_whichever_call_fails_everything_is_as_before(archive, monkeypatch, call, nth, first):
    archive.path.parent.mkdir()
    if not first:
        archive.save(saved("a"))
        archive.save(saved("b"))
    before = archive.startup(), texts(archive)
    calls, real = [], getattr(os, call)

    def broken(*arguments, **keywords):
        calls.append(call)
        if len(calls) == nth + 1:
            raise Refused
        return real(*arguments, **keywords)

    monkeypatch.setattr(os, call, broken)
    refused = None
    try:
        archive.save(saved("new"))
    except ApplyError as e:
        refused = str(e)
    monkeypatch.undo()
    if len(calls) > nth:
        assert refused == f"save {archive.path}: Input/output error; nothing was changed"
        assert (archive.startup(), texts(archive)) == before
        assert not [name for name in os.listdir(archive.path.parent) if name.startswith(".")]
    else:
        assert refused is None
    archive.save(saved("newer"))
    assert archive.startup() == saved("newer")


def test_old_backups_that_cannot_be_removed_do_no_harm(archive, monkeypatch):
    for n in range(BACKUPS_KEPT + 1):
        archive.save(saved(f"{n}\n"))

    def broken(path, **_):
        if Path(path).parent.name == "backups":
            raise Refused
        return real(path)

    real = os.unlink
    monkeypatch.setattr(os, "unlink", broken)
    assert archive.save(saved("new\n"))
    assert len(archive.backups()) == BACKUPS_KEPT
    monkeypatch.undo()
    archive.save(saved("newer\n"))
    assert len(os.listdir(archive.path.parent / "backups")) == BACKUPS_KEPT


KILL_AT_EACH_CALL = """
import ctypes, json, os, pathlib, shutil, signal, sys
from datetime import UTC, datetime
from hsadc.config.archive import Archive
from hsadc.config.saved import Saved, load_saved

TRACE_ME, SYSTEM_CALL = 0, 24
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
folder, old, new = pathlib.Path(sys.argv[1]), *json.load(sys.stdin)
archive = Archive(folder / "startup.cfg")

def save(text):
    archive.save(Saved(text, datetime.now(UTC), "x"))

def kill_at(stop):
    '''Save in a child that stops before and after each system call, and is killed at this stop; False when it came to its end.'''
    if (child := os.fork()) == 0:
        libc.ptrace(TRACE_ME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        save(new)
        os._exit(0)
    os.waitpid(child, 0)
    for _ in range(stop):
        assert libc.ptrace(SYSTEM_CALL, child, None, None) == 0, ctypes.get_errno()
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True

def name(saved):
    return {old: "old", new: "new", "first": "first"}.get(saved.text, "something else")

seen, stop, killed = [], 0, True
while killed:
    shutil.rmtree(folder)
    folder.mkdir()
    save("first")
    save(old)
    killed = kill_at(stop)
    found = [name(archive.startup()), *map(name, map(load_saved, archive.backups()))]
    save("last")
    after = [archive.startup().text, *map(name, map(load_saved, archive.backups()))]
    assert after == ["last", *found], (found, after)
    seen.append(found)
    stop += 1
print(json.dumps(seen))
"""
"""The child's system calls are counted by ptrace(2), so that the test does not know how the file is written."""


def test_the_process_is_killed_at_each_system_call(tmp_path):
    command = [sys.executable, "-c", KILL_AT_EACH_CALL, str(tmp_path)]
    done = subprocess.run(command, input=json.dumps([OLD, NEW]), capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    seen = json.loads(done.stdout)
    before, after = ["old", "first"], ["new", "old", "first"]
    assert [s for s in seen if s not in (before, after)] == []
    assert seen[0] == before
    assert seen[-1] == after
    assert len(seen) > 30
