"""The startup-config is the old one or the new one, whole, whatever happens while it is written."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsadc.config.store import StartupFile, read_text
from hsadc.errors import ApplyError, ConfigError

OLD = "hostname old\n" * 2000
NEW = "hostname 新\n" * 3000

KILL_AT_EACH_CALL = """
import ctypes, json, os, pathlib, signal, sys
from hsadc.config.store import StartupFile

TRACE_ME, SYSTEM_CALL = 0, 24
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
path, old, new = pathlib.Path(sys.argv[1]), *json.load(sys.stdin)

def save():
    libc.ptrace(TRACE_ME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    StartupFile(path).write(new)
    os._exit(0)

def kill_at(stop):
    '''Save in a child that stops before and after each system call, and is killed at this stop; False when it came to its end.'''
    if (child := os.fork()) == 0:
        save()
    os.waitpid(child, 0)
    for _ in range(stop):
        assert libc.ptrace(SYSTEM_CALL, child, None, None) == 0, ctypes.get_errno()
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True

seen, stop = [], 0
while True:
    path.write_text(old)
    killed = kill_at(stop)
    found = path.read_text()
    seen.append("old" if found == old else "new" if found == new else f"{len(found)} bytes of something else")
    if not killed:
        break
    stop += 1
print(json.dumps(seen))
"""
"""The child's system calls are counted by ptrace(2), so that the test does not know how the file is written."""


def test_the_process_is_killed_at_each_system_call(tmp_path):
    command = [sys.executable, "-c", KILL_AT_EACH_CALL, str(tmp_path / "startup.cfg")]
    done = subprocess.run(command, input=json.dumps([OLD, NEW]), capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    seen = json.loads(done.stdout)
    assert set(seen) == {"old", "new"}
    assert seen[0] == "old"
    assert seen[-1] == "new"
    assert len(seen) > 10


def test_the_data_is_on_the_disk_before_the_name_and_then_the_name_is(tmp_path, monkeypatch):
    calls = []

    def recorded(name, real):
        def call(*arguments):
            kind = "folder" if name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else "file"
            calls.append((name, kind))
            return real(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    StartupFile(tmp_path / "startup.cfg").write(NEW)
    assert calls == [("fsync", "file"), ("replace", "file"), ("fsync", "folder")]


def test_what_is_written_is_read(tmp_path):
    file = StartupFile(tmp_path / "folder" / "startup.cfg")
    assert file.read() is None
    file.write(NEW)
    assert file.read() == NEW
    file.write("")
    assert file.read() == ""
    assert os.listdir(tmp_path / "folder") == ["startup.cfg"]


def test_only_the_owner_may_read_it_whatever_was_there_before(tmp_path):
    file = StartupFile(tmp_path / "startup.cfg")
    file.path.write_text(OLD)
    file.path.chmod(0o644)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    (tmp_path / ".startup.cfg.new").symlink_to(elsewhere)
    file.write(NEW)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert elsewhere.read_text() == "not ours"
    assert not file.path.is_symlink()


def test_what_an_interrupted_save_left_is_replaced(tmp_path):
    (tmp_path / ".startup.cfg.new").write_text("half a conf")
    (tmp_path / ".startup.cfg.new").chmod(0o666)
    file = StartupFile(tmp_path / "startup.cfg")
    file.write(NEW)
    assert file.read() == NEW
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["startup.cfg"]


@contextmanager
def no_file_larger_than(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [0, 10, 5000, len(NEW)])
def test_a_disk_that_takes_no_more(tmp_path, size):
    file = StartupFile(tmp_path / "startup.cfg")
    file.write(OLD)
    with no_file_larger_than(size), pytest.raises(ApplyError) as caught:
        file.write(NEW)
    assert str(caught.value) == f"save {file.path}: File too large; nothing was changed"
    assert file.read() == OLD
    assert os.listdir(tmp_path) == ["startup.cfg"], "half a file would take the room that is missing"


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_call_that_fails(tmp_path, monkeypatch, call):
    file = StartupFile(tmp_path / "startup.cfg")
    file.write(OLD)

    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, broken)
    with pytest.raises(ApplyError, match="Input/output error; nothing was changed"):
        file.write(NEW)
    monkeypatch.undo()
    assert file.read() == OLD
    assert os.listdir(tmp_path) == ["startup.cfg"]


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ApplyError, match=r"save .*startup\.cfg: (File exists|Not a directory); nothing was changed"):
        StartupFile(tmp_path / "file" / "startup.cfg").write(NEW)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.cfg", b"hostname \xff", "x.cfg: not a text file: byte 9 is not UTF-8"),
        ("n" * 300, None, "n: File name too long"),
        (".", None, "Is a directory"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, data, message):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    for read in (StartupFile(path).read, lambda: read_text(path)):
        with pytest.raises(ConfigError) as caught:
            read()
        assert str(caught.value).endswith(message)


def test_a_file_that_is_not_there_is_an_error_for_those_who_name_it(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_text(Path(tmp_path / "x.cfg"))


def test_a_byte_order_mark_is_not_text(tmp_path):
    (tmp_path / "x.cfg").write_bytes(b"\xef\xbb\xbfhostname a\n")
    assert read_text(tmp_path / "x.cfg") == "hostname a\n"
