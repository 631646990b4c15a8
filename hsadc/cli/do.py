"""Exec commands that do something."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsadc.cli.session import Session

log = logging.getLogger(__name__)


def do_terminal_length(session: Session, lines: int) -> Iterable[str]:
    """Set the lines on a page for this session."""
    session.page_length = lines
    return ()


def do_terminal_width(session: Session, columns: int) -> Iterable[str]:
    """Set the cells that a line of a table may take."""
    session.page_width = columns
    return ()


def do_terminal_prompt_blank(session: Session) -> Iterable[str]:
    """Put a blank behind this session's prompt."""
    session.prompt_blank = True
    return ()


def do_terminal_prompt_bare(session: Session) -> Iterable[str]:
    """No blank behind this session's prompt."""
    session.prompt_blank = False
    return ()


def do_enable(session: Session) -> Iterable[str]:  # noqa: ARG001
    """Accepted for the scripts that send it: there is one privilege level."""
    return ()


def do_disable(session: Session) -> Iterable[str]:  # noqa: ARG001
    """Accepted as `enable` is."""
    return ()


def do_clear_counters(session: Session) -> Iterable[str]:
    """Set all counters to zero: the mirror's, and those of the virtual and real servers."""
    do_clear_mirror_counters(session)
    if session.device.dataplane is not None:
        session.device.dataplane.clear_server_counters()
        log.info("%s cleared the counters of the virtual servers", session.login)
    return ()


def do_clear_mirror_counters(session: Session) -> Iterable[str]:
    """Set the mirror's counters to zero."""
    if session.device.dataplane is not None:
        session.device.dataplane.clear_mirror_counters()
        log.info("%s cleared the counters of the mirror", session.login)
    return ()
