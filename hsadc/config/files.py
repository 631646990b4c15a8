"""The operators' files: a flat folder in the state directory."""

from __future__ import annotations

from pathlib import Path

from hsadc.config.store import StartupFile
from hsadc.errors import ConfigError


class Files:
    """The files of one folder, which is made with the first of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, text: str) -> None:
        """Make or replace a file.

        Raises:
            ConfigError: the name cannot be one.
            ApplyError: the disk refused; the old file is as it was.
        """
        if "/" in name or "\0" in name or name.startswith("."):
            raise ConfigError(name, "a file's name has no '/', and begins with no '.'")
        StartupFile(self._folder / name).write(text)
