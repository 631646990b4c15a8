"""Configuration files over SFTP and SCP: one flat folder of the device, and what it shows as if it were files.

Supported standards: SFTP version 3 (draft-ietf-secsh-filexfer-02) and the protocol of `scp`, both by asyncssh; import this module
where SSH is served and nowhere else.
"""

from __future__ import annotations

import asyncio
import errno
import io
import logging
import os
import posixpath
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from asyncssh import (
    FXF_APPEND,
    FXF_CREAT,
    FXF_EXCL,
    FXF_READ,
    FXF_TRUNC,
    FXF_WRITE,
    SFTPAttrs,
    SFTPFailure,
    SFTPName,
    SFTPNoSuchFile,
    SFTPPermissionDenied,
    SFTPServer,
    SSHServerChannel,
)
from asyncssh.misc import MaybeAwait

from hsadc.config.files import Files, wrong_name
from hsadc.config.upload import Upload, check_size
from hsadc.errors import HsadcError

MOST_OPEN = 64
"""Files that a client may have open at a time."""

_PLAIN_FILES = "here are plain files only"

_log = logging.getLogger(__name__)


class Transfer(SFTPServer):
    """One channel's view of the folder.

    Paths lead nowhere else: asyncssh's own methods, of which those that are not here are kept, ask `map_path` for each.
    """

    def __init__(self, channel: SSHServerChannel[bytes], files: Files, shown: Mapping[str, Callable[[], str]]) -> None:
        """Serve a channel.

        Args:
            channel: whose it is.
            files: the operators' files; their folder exists.
            shown: files that can only be read, by name, and what makes their text.
        """
        super().__init__(channel)
        self._files = files
        self._open = 0
        self._user: str = self.connection.get_extra_info("username")  # not known any more when the connection is lost
        self._folder = os.fsencode(files.folder)
        self._shown = shown

    def map_path(self, path: bytes) -> bytes:
        """The file or folder that a client means.

        Raises:
            SFTPNoSuchFile: it is not in the folder, or is no plain file there.
            SFTPPermissionDenied: it can only be read.
        """
        name = self._name(path)
        if name in self._shown:
            raise SFTPPermissionDenied(f"{name} can only be read")
        file = posixpath.join(self._folder, os.fsencode(name))
        if name and os.path.lexists(file) and not stat.S_ISREG(os.lstat(file).st_mode):
            raise SFTPNoSuchFile(_PLAIN_FILES)
        return file

    def realpath(self, path: bytes) -> bytes:
        """The path as it is seen from here."""
        return b"/" + self._name(path).encode()

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:  # noqa: ARG002
        """Open a file; its mode is ours, whatever the client wants."""
        if self._open >= MOST_OPEN:
            raise SFTPFailure(f"{MOST_OPEN} files are open already")
        name = self._name(path)
        if pflags & (FXF_WRITE | FXF_APPEND | FXF_CREAT | FXF_TRUNC):
            file: object = self._upload(name, pflags)
        else:
            file = await self._text(path) if name in self._shown else super().open(path, FXF_READ, SFTPAttrs())
        self._open += 1
        return file

    def _upload(self, name: str, pflags: int) -> Upload:
        target = Path(os.fsdecode(self.map_path(os.fsencode(name))))
        if not name:
            raise SFTPNoSuchFile(_PLAIN_FILES)
        if target.exists() and pflags & FXF_EXCL:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if not (target.exists() or pflags & FXF_CREAT):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        keep = target.exists() and not pflags & FXF_TRUNC
        with self._telling(name):
            return Upload(target, self._files.room_bytes(name), keep=keep, append=bool(pflags & FXF_APPEND))

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Write all of it.

        Raises:
            SFTPFailure: the file would be too large.
            OSError: the disk is full, or broken.
        """
        upload = _writable(file_obj)
        with self._telling(upload.target.name):
            upload.write_at(offset, data)
        return len(data)

    async def close(self, file_obj: object) -> None:
        """Close a file; one that was written takes its place, unless its upload was broken off.

        Raises:
            OSError: the disk refused.
        """
        self._open -= 1
        if not isinstance(file_obj, Upload):
            cast(io.FileIO, file_obj).close()
        # What a client that went away has left open is closed by asyncssh, too: while it handles the exception that told so.
        elif sys.exception() is not None:
            file_obj.discard()
            self._tell("breaks off", file_obj.target.name)
        else:
            with self._telling(file_obj.target.name):
                kept = await asyncio.to_thread(file_obj.finish)
            if kept:
                self._tell("writes", file_obj.target.name)

    def stat(self, path: bytes) -> MaybeAwait[SFTPAttrs | os.stat_result]:
        """What a file is like."""
        return self._text_stat(path) if self._name(path) in self._shown else os.lstat(self.map_path(path))

    lstat = stat

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        """The files that are there, and those that can only be read."""
        if self._name(path):
            raise SFTPNoSuchFile(_PLAIN_FILES)
        for name in sorted([*self._shown, *self._files.names()]):
            with suppress(SFTPNoSuchFile, FileNotFoundError):  # deleted just now
                yield SFTPName(os.fsencode(name), attrs=await self.convert_attrs(self.stat(os.fsencode(name))))

    def remove(self, path: bytes) -> None:
        """Delete a file."""
        Path(os.fsdecode(self.map_path(path))).unlink()
        self._tell("deletes", self._name(path))

    def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Change the size; modes and times, which clients copy from their own file, are passed over."""
        file, name = self.map_path(path), self._name(path)
        if attrs.size is not None:
            with self._telling(name):
                check_size(name, attrs.size, self._files.room_bytes(name))
                os.truncate(file, attrs.size)

    lsetstat = setstat

    def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        """As `setstat`."""
        if attrs.size is not None:
            upload = _writable(file_obj)
            with self._telling(upload.target.name):
                upload.resize(attrs.size)

    def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:  # noqa: ARG002
        """Refuse: the folder is flat."""
        raise SFTPPermissionDenied(_PLAIN_FILES)

    def rmdir(self, path: bytes) -> None:
        """Refuse: the only folder is the one that all files are in."""
        self.map_path(path)
        raise SFTPPermissionDenied(_PLAIN_FILES)

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:  # noqa: ARG002
        """Refuse: a link can lead out of the folder."""
        raise SFTPPermissionDenied(_PLAIN_FILES)

    def link(self, oldpath: bytes, newpath: bytes) -> None:  # noqa: ARG002
        """Refuse: a file has one name, and takes its room once."""
        raise SFTPPermissionDenied(_PLAIN_FILES)

    def exit(self) -> None:
        """End with a status: OpenSSH's `scp` takes its absence for a failure."""
        self.channel.exit(0)

    async def _text(self, path: bytes) -> io.FileIO:
        """What is shown as a file, in memory."""
        text = await asyncio.to_thread(self._shown[self._name(path)])
        file = io.FileIO(os.memfd_create("shown"), "r+")
        os.fchmod(file.fileno(), 0o400)
        file.write(text.encode())
        return file

    async def _text_stat(self, path: bytes) -> os.stat_result:
        with await self._text(path) as file:
            return os.fstat(file.fileno())

    def _tell(self, does: str, name: str) -> None:
        _log.info("SFTP: %s %s %r", self._user, does, name)

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Log what cannot be written, and tell the client why."""
        try:
            yield
        except HsadcError as e:
            _log.warning("SFTP: %s", e)
            raise SFTPFailure(str(e)) from e
        except OSError as e:
            _log.warning("SFTP: %s cannot be written: %s", name, e)
            raise

    def _name(self, path: bytes) -> str:
        """The name of the file that is meant, empty for the folder itself.

        Raises:
            SFTPNoSuchFile: no file can have it, or it is in another folder.
        """
        name = os.fsdecode(posixpath.normpath(posixpath.join(b"/", path)).lstrip(b"/"))
        if name and name not in self._shown and (why := wrong_name(name)) is not None:
            raise SFTPNoSuchFile(f"there are no folders, and {why}")
        return name


def _writable(file_obj: object) -> Upload:
    if not isinstance(file_obj, Upload):
        raise SFTPPermissionDenied("the file was opened to be read")
    return file_obj
