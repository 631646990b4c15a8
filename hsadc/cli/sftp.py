"""Configuration files over SFTP and SCP: one flat folder of the device, and what it shows as if it were files.

Supported standards: SFTP version 3 (draft-ietf-secsh-filexfer-02) and the protocol of `scp`, both by asyncssh; import this module
where SSH is served and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import posixpath
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import cast

from asyncssh import (
    FXF_APPEND,
    FXF_CREAT,
    FXF_EXCL,
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

from hsadc.config.files import FILE_NAMES, is_file_name
from hsadc.config.store import SIZE_LIMIT_BYTES

MOST_OPEN = 64
"""Files that a client may have open at a time."""

UNFINISHED = ".put-"
"""What the names of files begin with that are not written to their end yet."""

_PLAIN_FILES = "here are plain files only"
_MODE = 0o600  # configurations hold password hashes

_log = logging.getLogger(__name__)


class Transfer(SFTPServer):
    """One channel's view of the folder.

    Paths lead nowhere else: asyncssh's own methods, of which those that are not here are kept, ask `map_path` for each.
    """

    def __init__(self, channel: SSHServerChannel[bytes], folder: Path, shown: Mapping[str, Callable[[], str]]) -> None:
        """Serve a channel.

        Args:
            channel: whose it is.
            folder: where the files are; it exists.
            shown: files that can only be read, by name, and what makes their text.
        """
        super().__init__(channel)
        self._folder = os.fsencode(folder)
        self._open: dict[io.FileIO, bytes | None] = {}
        self._shown = {name.encode(): text for name, text in shown.items()}

    def map_path(self, path: bytes) -> bytes:
        """The file or folder that a client means.

        Raises:
            SFTPNoSuchFile: it is not in the folder, or is no plain file there.
            SFTPPermissionDenied: it can only be read.
        """
        name = _name(path)
        if name in self._shown:
            raise SFTPPermissionDenied(f"{name.decode()} can only be read")
        file = posixpath.join(self._folder, name)
        if name and os.path.lexists(file) and not stat.S_ISREG(os.lstat(file).st_mode):
            raise SFTPNoSuchFile(_PLAIN_FILES)
        return file

    def realpath(self, path: bytes) -> bytes:
        """The path as it is seen from here."""
        return b"/" + _name(path)

    def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> MaybeAwait[object]:  # noqa: ARG002
        """Open a file; its mode is ours, whatever the client wants.

        What is written anew is put in the place of the old one when it is closed: nobody reads half of it, or parts of two.
        """
        if len(self._open) >= MOST_OPEN:
            raise SFTPFailure(f"{MOST_OPEN} files are open already")
        writing = pflags & (FXF_WRITE | FXF_APPEND | FXF_CREAT | FXF_TRUNC)
        if _name(path) in self._shown and not writing:
            return self._open_text(path)
        if pflags & FXF_TRUNC and _name(path) and not pflags & FXF_EXCL:
            place = self.map_path(path)
            file = _beside(place)
        else:
            place = None
            file = cast(io.FileIO, super().open(path, pflags, SFTPAttrs(permissions=_MODE)))
        self._open[file] = place
        if writing:
            self._tell("writes", path)
        return file

    def close(self, file_obj: object) -> None:
        """Close a file; one that is new is kept unless the client went away in the middle of it."""
        file = cast(io.FileIO, file_obj)
        place = self._open.pop(file)
        file.close()
        if place is None:
            return
        beside = Path(file.name)
        try:
            if beside.exists() and not self.channel.is_closing():  # else it could not be written whole
                beside.replace(os.fsdecode(place))
        finally:
            beside.unlink(missing_ok=True)

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Write all of it; a file that cannot be written whole is removed, half a configuration might be taken for a whole one.

        Raises:
            SFTPFailure: the file would be too large.
            OSError: the disk is full, or broken.
        """
        file = cast(io.FileIO, file_obj)
        try:
            _check_size(offset + len(data))
            written = 0
            while written < len(data):
                written += os.pwrite(file.fileno(), data[written:], offset + written)
        except (SFTPFailure, OSError) as e:
            _log.warning("SFTP: %s cannot be written: %s", os.fsdecode(self._open[file] or file.name), e)
            with contextlib.suppress(OSError):
                Path(os.fsdecode(file.name)).unlink()
            raise
        return written

    def stat(self, path: bytes) -> MaybeAwait[SFTPAttrs | os.stat_result]:
        """What a file is like."""
        return self._text_stat(path) if _name(path) in self._shown else os.lstat(self.map_path(path))

    lstat = stat

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        """The files that are there, and those that can only be read."""
        if _name(path):
            raise SFTPNoSuchFile(_PLAIN_FILES)
        names = [entry.name for entry in os.scandir(self._folder) if is_file_name(os.fsdecode(entry.name))]
        for name in sorted([*self._shown, *names]):
            with contextlib.suppress(SFTPNoSuchFile, FileNotFoundError):  # no plain file, or deleted just now
                yield SFTPName(name, attrs=await self.convert_attrs(self.stat(name)))

    def remove(self, path: bytes) -> None:
        """Delete a file."""
        Path(os.fsdecode(self.map_path(path))).unlink()
        self._tell("deletes", path)

    def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Change the size; modes and times, which clients copy from their own file, are passed over."""
        _resize(self.map_path(path), attrs)

    lsetstat = setstat

    def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        """As `setstat`."""
        _resize(cast(io.FileIO, file_obj).fileno(), attrs)

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

    def exit(self) -> None:
        """End with a status: OpenSSH's `scp` takes its absence for a failure."""
        self.channel.exit(0)

    async def _open_text(self, path: bytes) -> io.FileIO:
        file = await self._text(path)
        self._open[file] = None
        return file

    async def _text(self, path: bytes) -> io.FileIO:
        """What is shown as a file, in memory."""
        text = await asyncio.to_thread(self._shown[_name(path)])
        file = io.FileIO(os.memfd_create("shown"), "r+")
        os.fchmod(file.fileno(), 0o400)
        file.write(text.encode())
        return file

    async def _text_stat(self, path: bytes) -> os.stat_result:
        with await self._text(path) as file:
            return os.fstat(file.fileno())

    def _tell(self, does: str, path: bytes) -> None:
        _log.info("SFTP: %s %s %r", self.connection.get_extra_info("username"), does, _name(path).decode())


def _name(path: bytes) -> bytes:
    """The name of the file that is meant, empty for the folder itself.

    Raises:
        SFTPNoSuchFile: it is in another folder, or no file can have this name.
    """
    name = posixpath.normpath(posixpath.join(b"/", path)).lstrip(b"/")
    if name and not is_file_name(name.decode(errors="surrogateescape")):
        raise SFTPNoSuchFile(f"there are no folders, and {FILE_NAMES}")
    return name


def _beside(place: bytes) -> io.FileIO:
    """A new hidden file in the same folder."""
    number, name = tempfile.mkstemp(prefix=UNFINISHED, dir=Path(os.fsdecode(place)).parent)  # mode 0600
    os.close(number)
    return io.FileIO(name, "r+")


def _resize(file: bytes | int, attrs: SFTPAttrs) -> None:
    if attrs.size is not None:
        _check_size(attrs.size)
        os.truncate(file, attrs.size)


def _check_size(size: int) -> None:
    if size > SIZE_LIMIT_BYTES:
        raise SFTPFailure(f"the file is larger than {SIZE_LIMIT_BYTES >> 20} MiB")
