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
    """The configuration that is read at start."""
    text = session.device.startup.read()
    lines = ("startup-config is not present",) if text is None else text.splitlines()
    return Shown(plain(load(session.device.grammar, text or "").config), lines)
