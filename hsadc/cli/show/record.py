"""What is kept of configurations: the saves, the commit that waits to be confirmed, and the files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.difference import show_difference
from hsadc.cli.show.shown import Shown, shown_table, timestamp
from hsadc.cli.show.table import Columns
from hsadc.config.saved import Saved
from hsadc.errors import ConfigError
from hsadc.model.title import number_of

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_record(session: Session) -> Shown:
    """Who saved which configuration when.

    Data: `{"record": [{"configuration": "startup", "saved": "2026-11-23T16:45:00Z", "by": ..., "description": ..., "lines": 120,
    "error": null}]}`: the startup-config, then `backup 0` and so on. What is not known is null; `error` says why one cannot be
    read.
    """
    archive = session.device.archive
    record = list(filter(None, [_entry("startup", archive.startup)]))
    record += filter(None, (_entry(f"backup {n}", partial(archive.backup, n)) for n in range(len(archive.backups()))))
    columns: Columns = {
        "Configuration": "configuration",
        "Saved": "saved",
        "By": "by",
        "Lines": "lines",
        "Description": lambda r: r["error"] or r["description"],
    }
    return shown_table("record", columns, record, session.width)


def do_show_unconfirmed(session: Session) -> Shown:
    """The commit that waits to be confirmed, and what it has changed.

    Data: `{"unconfirmed": null}`, or `{"unconfirmed": {"by": ..., "since": "2026-11-23T16:45:00Z", "remaining_s": 272,
    "error": null, "difference": [...]}}`: `error` says why it could not be taken back so far, `difference` leads from what
    comes back to what is in force.
    """
    if (waits := session.device.lock.unconfirmed) is None:
        return Shown({"unconfirmed": None}, ("No commit waits to be confirmed",))
    changes = show_difference(session, "before", waits.base, "running", session.device.running)
    remaining_s = waits.alarm.remaining_s
    lines = [f"The commit of {waits.author} waits to be confirmed since {timestamp(waits.since)}: `commit` keeps it."]
    lines += [f"It is taken back in {number_of(remaining_s, 'second')}."]
    lines += [f"Taking it back has failed, and is tried again: {waits.error}"] if waits.error else []
    data = {"by": waits.author.name, "since": timestamp(waits.since), "remaining_s": remaining_s, "error": waits.error}
    return Shown({"unconfirmed": {**data, **changes.data}}, [*lines, *changes.lines])


def do_show_files(session: Session) -> Shown:
    """The files that configurations are copied to and from.

    Data: `{"files": [{"name": ..., "size_bytes": 120, "modified": "2026-11-23T16:45:00Z"}]}`.
    """
    files = [{"name": f.name, "size_bytes": f.size_bytes, "modified": timestamp(f.modified)} for f in session.device.files.list()]
    return shown_table("files", {"File": "name", "Bytes": "size_bytes", "Modified": "modified"}, files, session.width)


def _entry(name: str, read: Callable[[], Saved | None]) -> dict[str, Any] | None:
    """What is known of a saved configuration; None when there is no such one."""
    nothing: dict[str, Any] = dict.fromkeys(("configuration", "saved", "by", "description", "lines", "error"))
    entry = nothing | {"configuration": name}
    try:
        saved = read()
    except ConfigError as e:
        return entry | {"error": str(e)}
    if saved is None:
        return None
    told = {"saved": timestamp(saved.time), "by": saved.by, "description": saved.description}
    return entry | told | {"lines": saved.text.count("\n")}
