"""Configuration files on disk: a file is the old one or the new one, whole, whatever happens while it is written."""

from __future__ import annotations

import os
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
    try:
        write_renamed(path, text)
        flush_folder(path.parent)
    except OSError as e:
        raise refusal(f"write {path}", e) from e


def write_renamed(path: Path, text: str) -> None:
    """As `write_text`, but the name is not flushed.

    Raises:
        OSError: the disk refused; the old file is as it was and nothing is left beside it.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # of a write that was interrupted, or put there by somebody else
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


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
