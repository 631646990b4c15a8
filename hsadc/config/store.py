"""Configuration files on disk: a file is the old one or the new one, whole, whatever happens while it is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hsadc.errors import ApplyError, ConfigError

MODE = 0o600  # configurations hold password hashes
FOLDER_MODE = 0o700
HALF_WRITTEN = ".*.new"
"""What the files are called that an interrupted write leaves."""
SIZE_LIMIT_BYTES = 64 << 20
"""The largest file: a configuration of this size has about two million lines."""


def write_text(path: Path, text: str) -> None:
    """Put a text in a file's place: written beside, flushed to the disk, renamed, and the folder flushed too.

    Raises:
        ApplyError: the disk refused; the old file is as it was, unless only the last step failed.
    """
    write_texts(path.parent, {path.name: text})


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """As `write_text` for several files of a folder: all of them are whole on the disk before the first one is renamed.

    Raises:
        ApplyError: the disk refused; the old files are as they were, unless renaming or the last step failed.
    """
    path = folder
    try:
        for name, text in texts.items():
            path = folder / name
            _write_beside(path, text)
        for name in texts:
            path = folder / name
            _beside(path).replace(path)
        flush_folder(folder)
    except OSError as e:
        for name in texts:
            _discard(folder / name)
        raise refusal(f"write {path}", e) from e


def write_renamed(path: Path, text: str) -> None:
    """As `write_text`, but the name is not flushed.

    Raises:
        OSError: the disk refused; the old file is as it was and nothing is left beside it.
    """
    try:
        _write_beside(path, text)
        _beside(path).replace(path)
    except OSError:
        _discard(path)
        raise


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _write_beside(path: Path, text: str) -> None:
    beside = _beside(path)
    beside.unlink(missing_ok=True)  # of a write that was interrupted, or put there by somebody else
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _discard(path: Path) -> None:
    """Remove what was written beside, where that is still there."""
    with suppress(OSError):
        _beside(path).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file for good; one that is not there is fine.

    Raises:
        ApplyError: the disk refused.
    """
    try:
        path.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as e:
        raise refusal(f"delete {path}", e) from e


def flush_folder(path: Path) -> None:
    """Flush the names in a folder to the disk; raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def refusal(step: str, error: OSError) -> ApplyError:
    """The operator's line for what the disk refused."""
    return ApplyError(step, error.strerror or str(error))


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: it cannot be read, is too large, or is not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT_BYTES + 1)  # a device such as /dev/zero has no end
    except OSError as e:
        raise ConfigError(str(path), e.strerror or str(e)) from e
    if len(data) > SIZE_LIMIT_BYTES:
        raise ConfigError(str(path), f"it has more than {SIZE_LIMIT_BYTES} bytes")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")  # editors of other systems begin a file with a byte order mark
    except UnicodeDecodeError as e:
        raise ConfigError(str(path), f"not a text file: byte {e.start} is not UTF-8") from e
