"""`show logging`: the last records of the device's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsadc.cli.log import RECENT
from hsadc.cli.show.shown import Shown, timestamp

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_logging(session: Session, last: int | None = None) -> Shown:  # noqa: ARG001
    """What the device has logged since it started, the last 1000 records at most."""
    entries = RECENT.entries()[-(last or 0) :]
    lines = (f"{e.time:%Y-%m-%d %H:%M:%S} {e.severity} {e.source}: {e.message}" for e in entries)
    records = [{**e._asdict(), "time": timestamp(e.time)} for e in entries]
    return Shown({"records": records}, lines)
