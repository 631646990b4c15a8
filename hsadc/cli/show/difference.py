r"""`show configuration difference`: what changed since, block by block.

Data: `{"difference": [{"block": "slb real-server \"r\"", "removed": ["  weight 2"], "added": ["  weight 3"]}]}`; `block` is the
head of the block, null for global settings. Where a whole block comes or goes, its head and its `exit` are among the lines.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hsadc.cli.show.shown import Shown
from hsadc.config.change import Change
from hsadc.config.check import checked
from hsadc.config.diff import difference, unified
from hsadc.model.config import Config

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_difference_startup(session: Session) -> Shown:
    """What has changed since the last save."""
    saved = session.device.archive.startup()
    return _since(session, "startup", saved.text if saved else "")


def do_show_difference_backup(session: Session, number: int) -> Shown:
    """What has changed since a backup."""
    return _since(session, f"backup {number}", session.device.archive.backup(number).text)


def do_show_difference_file(session: Session, file: str) -> Shown:
    """In what the configuration in force differs from a file."""
    return _since(session, file, session.device.files.read(file))


def do_show_difference_candidate(session: Session) -> Shown:
    """What a commit now would change."""
    return show_difference(session, "running", session.device.running, "candidate", session.edits.candidate())


def show_difference(session: Session, old_name: str, old: Config, new_name: str, new: Config) -> Shown:
    """What changes from one configuration to another."""
    changes = difference(session.device.renderer, Change(old, new))
    lines = list(unified(changes, old_name, new_name)) or [f"{old_name} and {new_name} are the same configuration"]
    return Shown({"difference": [asdict(change) for change in changes]}, lines)


def _since(session: Session, name: str, text: str) -> Shown:
    return show_difference(session, name, checked(session.device.grammar, name, text), "running", session.device.running)
