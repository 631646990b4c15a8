"""A file is the old one or the new one, whole, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsadc.config.store import read_text, remove, write_text
from hsadc.errors import ApplyError, ConfigError

OLD = "hostname old\n" * 2000
NEW = "hostname 新\n" * 3000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.cfg"


def test_the_data_is_on_the_disk_before_the_name_and_then_the_name_is(path, monkeypatch):
    calls = []

    def recorded(name, real):
        def call(*arguments):
            kind = "folder" if name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else "file"
            calls.append((name, kind))
            return real(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    write_text(path, NEW)
    assert calls == [("fsync", "file"), ("replace", "file"), ("fsync", "folder")]


def test_what_is_written_is_read_and_removed(path):
    for text in (NEW, "", OLD):
        write_text(path, text)
        assert read_text(path) == text
    assert os.listdir(path.parent) == ["x.cfg"]
    remove(path)
    remove(path)
    assert os.listdir(path.parent) == []


def test_only_the_owner_may_read_it_whatever_was_there_before(path):
    path.write_text(OLD)
    path.chmod(0o644)
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text("not ours")
    path.with_name(".x.cfg.new").symlink_to(elsewhere)
    write_text(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert elsewhere.read_text() == "not ours"
    assert not path.is_symlink()


def test_what_an_interrupted_write_left_is_replaced(path):
    path.with_name(".x.cfg.new").write_text("half a conf")
    path.with_name(".x.cfg.new").chmod(0o666)
    write_text(path, NEW)
    assert read_text(path) == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["x.cfg"]


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
def test_a_disk_that_takes_no_more(path, size):
    write_text(path, OLD)
    with no_file_larger_than(size), pytest.raises(ApplyError) as caught:
        write_text(path, NEW)
    assert str(caught.value) == f"write {path}: File too large; nothing was changed"
    assert read_text(path) == OLD
    assert os.listdir(path.parent) == ["x.cfg"], "half a file would take the room that is missing"


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_call_that_fails(path, monkeypatch, call):
    write_text(path, OLD)

    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, broken)
    with pytest.raises(ApplyError, match="Input/output error; nothing was changed"):
        write_text(path, NEW)
    monkeypatch.undo()
    assert read_text(path) == OLD
    assert os.listdir(path.parent) == ["x.cfg"]


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ApplyError, match=r"write .*x\.cfg: Not a directory; nothing was changed"):
        write_text(tmp_path / "file" / "x.cfg", NEW)
    with pytest.raises(ApplyError, match=r"delete .*x\.cfg: Not a directory; nothing was changed"):
        remove(tmp_path / "file" / "x.cfg")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.cfg", b"hostname \xff", "x.cfg: not a text file: byte 9 is not UTF-8"),
        ("n" * 300, None, "n: File name too long"),
        (".", None, "Is a directory"),
        ("none.cfg", None, "none.cfg: No such file or directory"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_text(Path(tmp_path / name))
    assert str(caught.value).endswith(message)


def test_a_byte_order_mark_is_not_text(path):
    path.write_bytes(b"\xef\xbb\xbfhostname a\n")
    assert read_text(path) == "hostname a\n"


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/urandom"])
def test_what_has_no_end_is_not_read_to_its_end(file):
    with pytest.raises(ConfigError, match=f"^{file}: it has more than 67108864 bytes$"):
        read_text(Path(file))
