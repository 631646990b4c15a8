"""The folder of files as asyncssh's client sees it, over real TCP on loopback."""

from __future__ import annotations

import os

import asyncssh
import pytest

from hsadc.cli import sftp
from hsadc.cli.daemon import _files
from tests.unit.cli.test_ssh import Server, serve  # noqa: F401  the fixture


@pytest.fixture
def talk(serve, tmp_path):  # noqa: F811
    """Runs a conversation over SFTP; the folder is `tmp_path / "files"`."""

    def run(conversation):
        async def over_ssh(server: Server) -> None:
            async with server.connect() as connection, connection.start_sftp_client() as client:
                await conversation(client)

        serve(over_ssh)

    return run


def test_a_file_has_the_mode_of_the_device(talk, tmp_path):
    async def conversation(client) -> None:
        async with client.open("a.cfg", "w", asyncssh.SFTPAttrs(permissions=0o4777)) as file:
            await file.write("hostname a\n")
        await client.chmod("a.cfg", 0o777)
        assert (await client.stat("a.cfg")).permissions & 0o7777 == 0o600

    talk(conversation)
    assert (tmp_path / "files" / "a.cfg").read_text() == "hostname a\n"


def test_what_is_shown_is_a_file_that_can_only_be_read(talk, tmp_path):
    async def conversation(client) -> None:
        async with client.open("running-config") as file:
            assert await file.read() == "hostname hsadc\n"
        assert (await client.stat("running-config")).size == 15
        assert (await client.lstat("/../running-config")).permissions & 0o777 == 0o400
        await write(client, "a.cfg")
        for refused in (
            client.open("running-config", "w"),
            client.open("running-config", "r+"),
            client.remove("running-config"),
            client.posix_rename("a.cfg", "running-config"),
            client.rename("running-config", "b.cfg"),
            client.chmod("running-config", 0o600),
            client.link("a.cfg", "running-config"),
        ):
            with pytest.raises(asyncssh.SFTPPermissionDenied, match="running-config can only be read"):
                await refused

    talk(conversation)
    assert [p.name for p in (tmp_path / "files").iterdir()] == ["a.cfg"]


async def write(client, name, text="") -> None:
    async with client.open(name, "w") as file:
        await file.write(text)


@pytest.mark.parametrize("name", ["x/y", "../x/y", ".x", "a\x07", "a\u2028", "a\u202eb", b"\xff", "x" * 64, "x" * 300])
def test_names_that_cannot_be(talk, tmp_path, name):
    async def conversation(client) -> None:
        with pytest.raises(asyncssh.SFTPError):
            await write(client, name)

    talk(conversation)
    assert list((tmp_path / "files").iterdir()) == []


def test_what_is_no_plain_file_is_not_there(talk, tmp_path):
    async def conversation(client) -> None:
        folder = tmp_path / "files"
        (folder / "link").symlink_to(tmp_path / "ssh_host_key")
        (folder / "sub").mkdir()
        os.mkfifo(folder / "fifo")
        (folder / ".hidden").touch()
        for name in ("link", "sub", "fifo"):
            for refused in (client.open(name), client.stat(name), client.remove(name), client.readlink(name), client.rmdir(name)):
                with pytest.raises(asyncssh.SFTPNoSuchFile):
                    await refused
        for refused in (client.mkdir("new"), client.symlink("a", "b"), client.rmdir("/"), client.rmdir("new")):
            with pytest.raises(asyncssh.SFTPPermissionDenied, match="here are plain files only"):
                await refused
        assert await client.listdir() == ["running-config"]
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.listdir("sub")

    talk(conversation)


def test_a_file_is_the_old_one_or_a_new_one_whole(talk, tmp_path):
    file = tmp_path / "files" / "a.cfg"

    async def conversation(client) -> None:
        await write(client, "a.cfg", "old")
        async with client.open("a.cfg", "w") as one, client.open("a.cfg", "w") as other:
            await one.write("the first")
            await other.write("other")
            await one.write(", whole")
            assert file.read_text() == "old"
        assert file.read_text() == "the first, whole"
        assert await client.listdir() == ["a.cfg", "running-config"]

    talk(conversation)
    assert [p.name for p in file.parent.iterdir()] == ["a.cfg"]


def test_a_client_that_goes_away_leaves_the_old_file(serve, tmp_path):  # noqa: F811
    file = tmp_path / "files" / "a.cfg"

    async def over_ssh(server: Server) -> None:
        async with server.connect() as connection, connection.start_sftp_client() as client:
            await write(client, "a.cfg", "old")
            await (await client.open("a.cfg", "w")).write("half of the n")
            assert len(list(file.parent.iterdir())) == 2
            connection.abort()
        async with server.connect() as connection, connection.start_sftp_client() as client:
            while len(list(file.parent.iterdir())) == 2:
                await client.listdir()

    serve(over_ssh)
    assert file.read_text() == "old"


def test_what_a_device_that_died_left_unfinished_is_removed(tmp_path):
    folder = _files(tmp_path)
    (folder / "a.cfg").touch()
    (folder / f"{sftp.UNFINISHED}x").touch()
    assert [p.name for p in _files(tmp_path).iterdir()] == ["a.cfg"]


def test_nobody_opens_all_the_files_that_the_device_may(talk):
    async def conversation(client) -> None:
        await write(client, "a.cfg")
        files = [await client.open(name) for name in ["a.cfg", "running-config"] * (sftp.MOST_OPEN // 2)]
        with pytest.raises(asyncssh.SFTPFailure, match="64 files are open already"):
            await client.open("a.cfg")
        for file in files:
            await file.close()
        await write(client, "a.cfg")

    talk(conversation)


def test_one_that_is_too_large_is_removed(talk, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sftp, "SIZE_LIMIT_BYTES", 1000)

    async def conversation(client) -> None:
        await write(client, "fits", "x" * 1000)
        with pytest.raises(asyncssh.SFTPFailure, match="the file is larger than 0 MiB"):
            await write(client, "large", "x" * 1001)
        with pytest.raises(asyncssh.SFTPFailure, match="the file is larger than 0 MiB"):
            await client.truncate("fits", 1001)
        await client.truncate("fits", 999)

    talk(conversation)
    assert (tmp_path / "files" / "fits").stat().st_size == 999
    assert [p.name for p in (tmp_path / "files").iterdir()] == ["fits"]
    assert "large cannot be written: the file is larger" in caplog.text


def test_who_wrote_and_deleted_is_logged(talk, caplog):
    async def conversation(client) -> None:
        await write(client, "a.cfg")
        await client.remove("a.cfg")

    with caplog.at_level("INFO", sftp.__name__):
        talk(conversation)
    assert [r.getMessage() for r in caplog.records if r.name == sftp.__name__] == [
        "SFTP: ops writes 'a.cfg'",
        "SFTP: ops deletes 'a.cfg'",
    ]
