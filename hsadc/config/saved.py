"""A configuration as it is kept in a file: one line that says who kept it, when and why, and then its text.

    ! saved 2026-11-23 16:45:00 UTC by admin (ssh 10.0.0.7): before the change of the uplink

A user's name that has `: ` in it, or begins with a quote, is quoted. The line is a comment to whoever reads the configuration.
Files written by hand have none.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hsadc.config.store import read_text
from hsadc.errors import ConfigError
from hsadc.syntax.words import quote, unquote

_TIME = "%Y-%m-%d %H:%M:%S"
_HEADER = re.compile(r'! saved (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC by ("(?:[^"\\]|\\.)*"|.+?)(?:: (.*))?')


@dataclass(frozen=True, slots=True)
class Saved:
    """A configuration that was kept.

    Attributes:
        text: the configuration, without the line about it.
        time: when, in UTC.
        by: who, such as `admin (ssh 10.0.0.7)`; None when it is not known.
        description: what for; None when nothing was said.
    """

    text: str
    time: datetime
    by: str | None = None
    description: str | None = None

    def file_text(self) -> str:
        """What stands in the file."""
        why = f": {self.description}" if self.description else ""
        by = quote(self.by) if self.by and (": " in self.by or self.by.startswith('"')) else self.by
        return f"! saved {self.time:{_TIME}} UTC by {by}{why}\n{self.text}"


def read_saved(text: str, written: datetime) -> Saved:
    """Read a file's text; `written` is the time of the file, for one that was written by hand."""
    first, newline, rest = text.partition("\n")
    if newline and (header := _HEADER.fullmatch(first)):
        try:
            return Saved(rest, datetime.strptime(header[1], _TIME).replace(tzinfo=UTC), unquote(header[2]), header[3])
        except ValueError:
            pass  # no such day or hour: a comment of somebody's own
    return Saved(text, written)


def load_saved(path: Path) -> Saved | None:
    """Read a file; None when there is none.

    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise ConfigError(str(path), e.strerror or str(e)) from e
    if stat.S_ISFIFO(status.st_mode):  # who reads it waits for somebody who writes
        raise ConfigError(str(path), "it is a pipe, a configuration is kept in a file")
    return read_saved(read_text(path), datetime.fromtimestamp(status.st_mtime, UTC))
