"""The HTML files that clients are shown when nothing else serves: read from the operators' files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from hsadc.dataplane.pki import TooLarge, read_file
from hsadc.errors import ConfigError

PAGE_BYTES = 60 << 10
"""The largest page: HAProxy sends it out of one buffer (`tune.bufsize`, 64 KiB), where its headers must fit, too."""


class Pages(NamedTuple):
    """What the files hold.

    Attributes:
        texts: the pages, by name; without those that are not there, too large, or no UTF-8.
        problems: why those cannot be used that are there and too large, by name.
    """

    texts: Mapping[str, str]
    problems: Mapping[str, str]


def read_pages(folder: Path, names: Iterable[str]) -> Pages:
    """Read the files of these names."""
    texts, problems = {}, {}
    for name in names:
        try:
            if os.path.basename(name) == name:  # noqa: PTH119  no folders
                texts[name] = read_file(name, folder / name, PAGE_BYTES)[1].decode()
        except TooLarge as e:
            problems[name] = e.why
        except (ConfigError, UnicodeDecodeError):
            continue
    return Pages(texts, problems)
