"""The folder of files as asyncssh's client sees it, over real TCP on loopback."""

from __future__ import annotations

import asyncio
import os

import asyncssh
import pytest

from hsadc.cli import sftp
from hsadc.config import files as config_files
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
        ):
            with pytest.raises(asyncssh.SFTPPermissionDenied, match="running-config can only be read"):
                await refused

    talk(conversation)
    assert [p.name for p in (tmp_path / "files").iterdir()] == ["a.cfg"]


async def write(client, name, text="") -> None:
    async with client.open(name, "w") as file:
        await file.write(text)


@pytest.mark.parametrize("name", ["x/y", "../x/y", ".x", "a\x07", "a\u2028", "a\u202eb", b"\xff", "x" * 64, "startup-config"])
def test_names_that_cannot_be(talk, tmp_path, name):
    async def conversation(client) -> None:
        with pytest.raises(asyncssh.SFTPNoSuchFile):
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
        for refused in (
            client.mkdir("new"),
            client.symlink("a", "b"),
            client.link("a", "b"),
            client.rmdir("/"),
            client.rmdir("new"),
        ):
            with pytest.raises(asyncssh.SFTPPermissionDenied, match="here are plain files only"):
                await refused
        assert await client.listdir() == ["running-config"]
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.listdir("sub")

    talk(conversation)


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


def test_one_that_is_too_large_leaves_the_old_one(talk, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(config_files, "SIZE_LIMIT_BYTES", 1000)

    async def conversation(client) -> None:
        await write(client, "fits", "x" * 1000)
        for name in ("fits", "large"):
            with pytest.raises(asyncssh.SFTPFailure, match="it would have 1001 bytes, at most 1000 are possible"):
                await write(client, name, "x" * 1001)
        with pytest.raises(asyncssh.SFTPFailure, match="it would have 1001 bytes"):
            await client.truncate("fits", 1001)
        async with client.open("fits", "r+") as file:
            with pytest.raises(asyncssh.SFTPFailure, match="it would have 1001 bytes"):
                await file.truncate(1001)
        await client.truncate("fits", 999)

    talk(conversation)
    assert (tmp_path / "files" / "fits").stat().st_size == 999
    assert os.listdir(tmp_path / "files") == ["fits"]
    assert 'file "large": it would have 1001 bytes' in caplog.text


def test_what_is_appended_cannot_grow_without_end(talk, tmp_path, monkeypatch):
    """Its offset says nothing: the client may leave it at 0."""
    monkeypatch.setattr(config_files, "SIZE_LIMIT_BYTES", 10)

    async def conversation(client) -> None:
        await write(client, "a.cfg", "123456")
        async with client.open("a.cfg", asyncssh.FXF_WRITE | asyncssh.FXF_APPEND, encoding=None) as file:
            await file.write(b"789", 0)
            with pytest.raises(asyncssh.SFTPFailure, match="it would have 11 bytes, at most 10"):
                await file.write(b"ab", 0)
        async with client.open("a.cfg", "a") as file:
            await file.write("7890")

    talk(conversation)
    assert (tmp_path / "files" / "a.cfg").read_text() == "1234567890"


def test_a_folder_without_room_takes_no_more(talk, tmp_path, monkeypatch):
    monkeypatch.setattr(config_files, "FILES_KEPT", 2)

    async def conversation(client) -> None:
        await write(client, "a")
        async with client.open("b", "w"):
            with pytest.raises(asyncssh.SFTPFailure, match="no room for it: at most 2 files of 1024 MiB together are kept"):
                await write(client, "c")

    talk(conversation)
    assert sorted(os.listdir(tmp_path / "files")) == ["a", "b"]


def test_a_file_is_the_old_one_until_the_new_one_is_whole(talk, tmp_path):
    kept = tmp_path / "files" / "a.cfg"

    async def conversation(client) -> None:
        await write(client, "a.cfg", "old")
        async with client.open("a.cfg", "w") as file:
            await file.write("new and longer")
            assert kept.read_text() == "old"
            assert await client.listdir() == ["a.cfg", "running-config"]
        assert kept.read_text() == "new and longer"
        async with client.open("a.cfg", "r+") as file:
            await file.write("NEW")
        assert kept.read_text() == "NEW and longer"

    talk(conversation)
    assert os.listdir(kept.parent) == ["a.cfg"]


def test_what_must_or_must_not_be_there(talk):
    async def conversation(client) -> None:
        await write(client, "a.cfg")
        with pytest.raises(asyncssh.SFTPError, match="File exists"):
            await client.open("a.cfg", "x")
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.open("b.cfg", "r+")
        with pytest.raises(asyncssh.SFTPNoSuchFile, match="plain files only"):
            await client.open("/", "w")

    talk(conversation)


def test_what_was_opened_to_be_read_cannot_be_written(talk):
    async def conversation(client) -> None:
        await write(client, "a.cfg")
        for name in ("a.cfg", "running-config"):
            async with client.open(name, encoding=None) as file:
                for refused in (file.write(b"x"), file.truncate(0)):
                    with pytest.raises(asyncssh.SFTPPermissionDenied, match="opened to be read"):
                        await refused

    talk(conversation)


END = {
    "the connection is lost": lambda connection, client: connection.abort(),
    "the channel is closed": lambda connection, client: client.exit(),
}


@pytest.mark.parametrize("end", END.values(), ids=END)
def test_an_upload_that_is_broken_off_leaves_the_old_file(serve, tmp_path, end, caplog):  # noqa: F811
    folder = tmp_path / "files"

    async def talk(server: Server) -> None:
        async with server.connect() as connection:
            client = await connection.start_sftp_client()
            await write(client, "a.cfg", "old")
            for name in ("a.cfg", "b.cfg"):
                await (await client.open(name, "w")).write("half")
            end(connection, client)
            while os.listdir(folder) != ["a.cfg"]:
                await asyncio.sleep(0)

    with caplog.at_level("INFO", sftp.__name__):
        serve(talk)
    assert (folder / "a.cfg").read_text() == "old"
    assert "SFTP: ops breaks off 'b.cfg'" in caplog.text


def test_so_does_one_by_scp(serve, tmp_path):  # noqa: F811
    folder = tmp_path / "files"

    async def talk(server: Server) -> None:
        async with server.connect() as connection:
            process = await connection.create_process("scp -t a.cfg", encoding=None)
            process.stdin.write(b"C0644 100 a.cfg\nhalf")
            while not os.listdir(folder):
                await asyncio.sleep(0)
            process.stdin.write_eof()
            await process.wait()

    serve(talk)
    assert os.listdir(folder) == []


def test_who_wrote_and_deleted_is_logged(talk, caplog, monkeypatch):
    monkeypatch.setattr(config_files, "SIZE_LIMIT_BYTES", 10)

    async def conversation(client) -> None:
        with pytest.raises(asyncssh.SFTPFailure):
            await write(client, "a.cfg", "x" * 11)
        await write(client, "a.cfg")
        await client.remove("a.cfg")

    with caplog.at_level("INFO", sftp.__name__):
        talk(conversation)
    assert [r.getMessage() for r in caplog.records if r.name == sftp.__name__] == [
        'SFTP: file "a.cfg": it would have 11 bytes, at most 10 are possible',
        "SFTP: ops writes 'a.cfg'",
        "SFTP: ops deletes 'a.cfg'",
    ]
