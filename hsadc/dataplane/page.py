"""The HTML files that clients are shown when nothing else serves: read from the operators' files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from hsadc.dataplane.pki import read_file
from hsadc.errors import ConfigError

PAGE_BYTES = 64 << 10
"""The largest page: it is kept in HAProxy's memory."""


def read_pages(folder: Path, names: Iterable[str]) -> Mapping[str, str]:
    """The text of these files, by name; without those that are not there, too large, or no UTF-8."""
    pages = {}
    for name in names:
        if os.path.basename(name) == name and (text := _read(folder / name)) is not None:  # noqa: PTH119  no folders
            pages[name] = text
    return pages


def _read(path: Path) -> str | None:
    try:
        data = read_file(path.name, path)[1]
        return data.decode() if len(data) <= PAGE_BYTES else None
    except (ConfigError, UnicodeDecodeError):
        return None
