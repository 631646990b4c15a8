"""The operators' files: one flat folder."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from hsadc.config import files as module
from hsadc.config.files import Files
from hsadc.errors import ApplyError, ConfigError, DanglingReference


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "files")


def test_the_folder_is_made_with_the_first_file(files):
    assert files.names() == []
    files.write("edge.cfg", "hostname 新\n")
    files.write("a b.cfg", "")
    files.write("edge.cfg", "hostname edge\n")
    assert files.read("edge.cfg") == "hostname edge\n"
    assert [(f.name, f.size_bytes) for f in files.list()] == [("a b.cfg", 0), ("edge.cfg", 14)]
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((files.folder / "edge.cfg").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/etc/passwd",
        "../startup.cfg",
        "x" * 64,
        "a\nb",
        "a\x00b",
        "\x9b",
        "\u2028",
        "\udcff",
        "a\u202eb",
    ],
)
def test_no_name_leads_elsewhere(files, name, tmp_path):
    (tmp_path / "startup.cfg").write_text("secret")
    with pytest.raises(
        ConfigError, match="a file's name has 1 to 63 printable characters, no slash, and no dot at its beginning"
    ):
        files.write(name, "x")
    files.write("other", "")
    for act in (files.read, files.delete):
        with pytest.raises(DanglingReference, match="there is no such file, `show files` lists them"):
            act(name)
    assert (tmp_path / "startup.cfg").read_text() == "secret"


def test_links_and_folders_are_not_files(files, tmp_path):
    files.write("a", "")
    (tmp_path / "elsewhere").write_text("secret")
    (files.folder / "link").symlink_to(tmp_path / "elsewhere")
    (files.folder / "folder").mkdir()
    (files.folder / ".a.new").write_text("half")
    (files.folder / ".part-x").write_text("half")
    assert files.names() == ["a"]
    with pytest.raises(DanglingReference):
        files.read("link")


def test_one_that_is_deleted_meanwhile_does_not_hide_the_others(files, monkeypatch):
    for name in ("a", "b", "c"):
        files.write(name, "")
    real = Path.lstat

    def lstat(path):
        if path.name == "b":
            path.unlink()
        return real(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    assert files.names() == ["a", "c"]


def test_a_deleted_one_is_gone(files):
    files.write("a", "")
    files.delete("a")
    assert files.names() == []


def test_what_is_too_large_is_refused(files, monkeypatch):
    monkeypatch.setattr(module, "SIZE_LIMIT_BYTES", 10)
    files.write("a", "x" * 10)
    with pytest.raises(ConfigError, match='file "a": it would have 12 bytes, at most 10 are possible'):
        files.write("a", "新" * 4)
    assert files.read("a") == "x" * 10


def test_the_folder_has_room_for_so_many_files_and_bytes(files, monkeypatch):
    monkeypatch.setattr(module, "FILES_KEPT", 3)
    files = Files(files.folder)
    monkeypatch.setattr(module, "ROOM_BYTES", 2 << 20)
    files.write("a", "x" * (1 << 20))
    files.write("a", "x" * (3 << 19))
    with pytest.raises(ConfigError, match='file "b": it would have 524289 bytes, at most 524288 are possible'):
        files.write("b", "x" * ((1 << 19) + 1))
    files.write("b", "x" * (1 << 19))
    full = 'file "c": there is no room for it: at most 3 files of 2 MiB together are kept, `delete file` makes room'
    with pytest.raises(ConfigError, match=full):
        files.write("c", "")
    files.delete("a")
    files.write("c", "")
    files.write("d", "")
    with pytest.raises(ConfigError, match="no room"):
        files.write("e", "")
    files.write("d", "x")


def test_what_uploads_of_an_earlier_run_left_is_removed(files):
    files.prepare()
    for name in (".part-x", "kept"):
        (files.folder / name).write_text("half")
    files.prepare()
    assert os.listdir(files.folder) == ["kept"]


def test_a_disk_that_refuses(files, tmp_path):
    files.folder.write_text("no folder")
    with pytest.raises(ApplyError, match=r"make .*: File exists"):
        files.write("a", "")
    with pytest.raises(ApplyError, match=r"read .*: Not a directory"):
        files.names()


def test_threads_that_write_one_file_write_one_of_theirs(files):
    texts = [f"{n}\n" * 1000 for n in range(4)]
    refused = []

    def work(text):
        try:
            for _ in range(20):
                files.write("a", text)
        except ApplyError as e:
            refused.append(e)

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    assert files.read("a") in texts
    assert os.listdir(files.folder) == ["a"]
