"""`show running-config`, `show startup-config`: configurations as text, or as data: their sections and settings by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsadc.cli.show.plain import plain
from hsadc.cli.show.shown import Shown
from hsadc.syntax.load import load

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_running_config(session: Session) -> Shown:
    """The configuration in force, as commands."""
    running = session.device.running
    return Shown(plain(running), session.device.renderer.config(running))


def do_show_startup_config(session: Session) -> Shown:
    """The configuration that is read at start, without the line that says who saved it."""
    saved = session.device.archive.startup()
    return _saved(session, "startup-config is not present", "") if saved is None else _saved(session, saved.text, saved.text)


def do_show_candidate(session: Session) -> Shown:
    """What would be in force after a commit now; without a transaction that is the configuration in force."""
    candidate = session.edits.candidate()
    return Shown(plain(candidate), session.device.renderer.config(candidate))


def do_show_backup(session: Session, number: int) -> Shown:
    """A backup, without the line that says who saved it."""
    text = session.device.archive.backup(number).text
    return _saved(session, text, text)


def _saved(session: Session, shown: str, text: str) -> Shown:
    return Shown(plain(load(session.device.grammar, text).config), shown.splitlines())
