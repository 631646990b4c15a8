"""`show running-config` and its like: configurations as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_running_config(session: Session) -> Iterable[str]:
    """The configuration in force, as commands."""
    return session.device.renderer.config(session.device.running)


def do_show_startup_config(session: Session) -> Iterable[str]:
    """The configuration that is read at start, without the line that says who saved it."""
    saved = session.device.archive.startup()
    return ("startup-config is not present",) if saved is None else saved.text.splitlines()


def do_show_candidate(session: Session) -> Iterable[str]:
    """What would be in force after a commit now; without a transaction that is the configuration in force."""
    return session.device.renderer.config(session.edits.candidate())


def do_show_backup(session: Session, number: int) -> Iterable[str]:
    """A backup, without the line that says who saved it."""
    return session.device.archive.backup(number).text.splitlines()
