"""nftables: scripts that the kernel takes as a whole or not at all, and what it has.

All tables are of the family `inet`, which sees IPv4 and IPv6. Each driver has tables of its own, whose names begin with `hsadc_`.
The program nft is asked, and not the kernel: rules are written and read in the language that people know them in.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from typing import Any

from hsadc.dataplane.run import run
from hsadc.errors import ApplyError, Unsupported

FAMILY = "inet"
_ABSENT = "No such file or directory"


def installed() -> bool:
    """Whether the program is there."""
    return shutil.which("nft") is not None


def require() -> None:
    """Ask for the program.

    Raises:
        Unsupported: it is not there.
    """
    if not installed():
        raise Unsupported("run nft", "the program nft is missing: install the package nftables")


def apply(script: str) -> None:
    """Carry out commands of nft(8) as one transaction: no packet meets a part of it.

    Raises:
        Unsupported: the program is not there.
        ApplyError: nft or the kernel refuses; nothing was changed.
    """
    _nft(("-f", "-"), script)


def delete_table(name: str) -> None:
    """Remove a table and all that is in it; nothing when there is none.

    Raises:
        Unsupported: the program is not there.
        ApplyError: the kernel refuses.
    """
    apply(f"add table {FAMILY} {name}\ndelete table {FAMILY} {name}\n")


def table_comment(name: str) -> str | None:
    """The comment of a table, at most 128 bytes without quotes; empty when it has none, None when there is no such table.

    Raises:
        Unsupported: the program is not there.
        ApplyError: the kernel refuses.
    """
    # As text: nft 1.0.6 leaves the comments of tables out of JSON.
    text = _list("-t", name)
    if text is None:
        return None
    match = re.match(r'table [^\n]*\n\tcomment "([^"\n]*)"', text)
    return match[1] if match else ""


def table(name: str) -> Sequence[tuple[str, dict[str, Any]]] | None:
    """All objects of a table: kind (`chain`, `rule`, `map`, `counter`, ...) and properties, as in libnftables-json(5).

    Returns:
        The objects in the kernel's order, rules of a chain in the order in which packets meet them; None when there is no such
        table.

    Raises:
        Unsupported: the program is not there.
        ApplyError: the kernel refuses.
    """
    text = _list("-j", name)
    return None if text is None else _objects(text)


def counters(name: str) -> dict[str, tuple[int, int]]:
    """Packets and bytes of the named counters of a table, by name; none when there is no such table.

    Raises:
        Unsupported: the program is not there.
        ApplyError: the kernel refuses.
    """
    text = _unless_absent("-j", "list", "counters", "table", FAMILY, name)
    found = [] if text is None else _objects(text)
    return {c["name"]: (c["packets"], c["bytes"]) for kind, c in found if kind == "counter"}


def reset_counters(name: str) -> None:
    """Set the named counters of a table to zero; nothing when there is no such table.

    Raises:
        Unsupported: the program is not there.
        ApplyError: the kernel refuses.
    """
    _unless_absent("reset", "counters", "table", FAMILY, name)


def _list(option: str, name: str) -> str | None:
    return _unless_absent(option, "list", "table", FAMILY, name)


def _unless_absent(*arguments: str) -> str | None:
    try:
        return _nft(arguments)
    except ApplyError as e:
        if e.cause == _ABSENT:
            return None
        raise


def _objects(text: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (kind, properties) for item in json.loads(text)["nftables"] for kind, properties in item.items() if kind != "metainfo"
    ]


def _nft(arguments: Sequence[str], script: str = "") -> str:
    require()
    try:
        return run(("nft", *arguments), input=script)
    except ApplyError as e:
        raise ApplyError("run nft", _words(e.cause)) from e


def _words(output: str) -> str:
    """Of `FILE:LINE:COLUMNS: Error: WORDS`, the line itself and marks below it, the words."""
    found = re.search(r"Error: (.*)", output)
    return found[1].strip() if found else " ".join(output.split())
