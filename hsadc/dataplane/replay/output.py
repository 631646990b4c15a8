"""The output file: it is there when it is complete, and not before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from hsadc.dataplane.replay.pcapng import section_and_interfaces
from hsadc.errors import HsadcError


class OutputFile:
    """A pcapng file that is written beside its name, and renamed by `commit`; otherwise leaving it removes it."""

    def __init__(self, path: Path, interfaces: Sequence[str]) -> None:
        """Make it.

        Raises:
            HsadcError: the disk refused.
        """
        self._path = path
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            self._file = self._beside.open("xb", buffering=0)
        except OSError as e:
            raise HsadcError(f"{path}: {e.strerror}") from e
        self.write(memoryview(section_and_interfaces(tuple(interfaces))))

    def write(self, data: memoryview) -> None:
        """Append bytes; raises HsadcError when the disk refuses."""
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as e:
            raise HsadcError(f"{self._path}: {e.strerror}") from e

    def commit(self) -> None:
        """Put the file in its place; raises HsadcError when the disk refuses."""
        try:
            self._file.close()
            self._beside.replace(self._path)
        except OSError as e:
            raise HsadcError(f"{self._path}: {e.strerror}") from e

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()
            self._beside.unlink(missing_ok=True)
