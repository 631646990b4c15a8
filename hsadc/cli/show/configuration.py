"""`show running-config`, `show startup-config`: configurations as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_running_config(session: Session) -> Iterable[str]:
    """The configuration in force, as commands."""
    return session.device.renderer.config(session.device.running)


def do_show_startup_config(session: Session) -> Iterable[str]:
    """The configuration that is read at start."""
    text = session.device.startup.read()
    return ("startup-config is not present",) if text is None else text.splitlines()
