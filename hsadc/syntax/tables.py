"""The derived tables on disk: they are a matter of the grammar alone, and deriving them takes longer than all else at start.

The file stands in the package beside the code. Its first line is a digest of what follows and of all that it was derived from,
so a file that is stale, cut off or damaged is no file: the tables are derived again, and kept where the package may be written.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("tables.json")
_DERIVED_BY = ("derive.py", "help.py", "values.py")


def tables_of(grammar: str, file: Path = FILE) -> dict[str, Any]:
    """The tables of a grammar: those kept, or derived now and kept for the next time."""
    try:
        digest, _, body = file.read_text("utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        digest = body = ""
    if digest != _digest(grammar, body):
        body = keep_tables(grammar, file)
    tables: dict[str, Any] = json.loads(body)
    return tables


def keep_tables(grammar: str, file: Path = FILE) -> str:
    """Derive the tables and write their file: beside, then renamed. A folder that may not be written is left as it is.

    Returns:
        The tables as JSON.
    """
    from hsadc.syntax.derive import derive

    body = json.dumps(derive(grammar), ensure_ascii=False, separators=(",", ":"))
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError):
        if stat.S_IMODE(file.parent.stat().st_mode) & stat.S_IWOTH:  # anybody could put another file in its place
            return body
        try:
            beside.write_text(f"{_digest(grammar, body)}\n{body}", "utf-8")
            beside.chmod(0o644)  # as the code beside it, whatever root's umask is
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    return body


def _digest(grammar: str, body: str) -> str:
    parts = [grammar, *(Path(__file__).with_name(name).read_text("utf-8") for name in _DERIVED_BY), body]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
