"""Commands that save, copy and replace configurations, and those of transactions."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hsadc.config.change import Change
from hsadc.config.check import checked
from hsadc.errors import ConfigError
from hsadc.model.title import number_of

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.config.commit import MakeChange
    from hsadc.config.running import Committed

log = logging.getLogger(__name__)

COMMITS = frozenset({"commit", "commit_confirmed", "commit_transaction", "rollback_transaction"})
"""Rules of the commands that decide themselves what becomes of a batch's lines so far."""

_NO_TRANSACTION = "no transaction is open, `exec configuration start` begins one"


def do_save(session: Session, description: str | None = None) -> Iterable[str]:
    """Save the running-config; never asks, so that scripts do not hang."""
    if session.device.save(session.author, description):
        return ("Building configuration.", "Saving configuration is finished")
    return ("Building configuration.", "Saving configuration is finished: it was saved already")


def do_delete_backup(session: Session, number: int) -> Iterable[str]:
    """Delete a backup; older ones move up."""
    session.device.delete_backup(number)
    log.info("backup %d deleted by %s", number, session.author)
    return (f"Backup {number} is deleted",)


def do_copy_running_config(session: Session, file: str) -> Iterable[str]:
    """Write the configuration in force to a file."""
    return _write(session, file, session.device.text())


def do_copy_startup_config(session: Session, file: str) -> Iterable[str]:
    """Write the startup-config to a file."""
    return _write(session, file, session.device.archive.saved_startup().text)


def do_copy_file(session: Session, file: str) -> Iterable[str]:
    """Carry out a file's lines on the configuration in force, as one transaction."""
    return _merge(session, session.device.files.read(file), file)


def do_merge_startup_config(session: Session) -> Iterable[str]:
    """As `do_copy_file` with the startup-config."""
    return _merge(session, session.device.archive.saved_startup().text, "startup-config")


def do_replace_configuration(session: Session, file: str, minutes: int | None = None) -> Iterable[str]:
    """Put a file in force in place of the configuration, for good or until it is confirmed."""
    config = checked(session.device.grammar, file, session.device.files.read(file))
    return _change(session, lambda running: Change(running, config), f"replacement by file {file}", minutes)


def do_delete_file(session: Session, file: str) -> Iterable[str]:
    """Delete a file."""
    session.device.files.delete(file)
    log.info("file %r deleted by %s", file, session.author)
    return (f'File "{file}" is deleted',)


def do_rollback_startup(session: Session) -> Iterable[str]:
    """Put the startup-config in force again."""
    return _rollback(session, session.device.archive.saved_startup().text, "startup")


def do_rollback_backup(session: Session, number: int) -> Iterable[str]:
    """Put a backup in force."""
    return _rollback(session, session.device.archive.backup(number).text, f"backup {number}")


def do_rollback_unconfirmed(session: Session) -> Iterable[str]:
    """Take back the commit that waits to be confirmed, now."""
    session.edits.refuse_in_transaction()
    return _done("The commit is taken back", session.device.take_back(session.author))


def do_begin_transaction(session: Session) -> Iterable[str]:
    """Collect lines from now on; others cannot change the configuration."""
    session.edits.begin()
    return ()


def do_commit_transaction(session: Session) -> Iterable[str]:
    """Put the transaction's lines in force and end it."""
    if not session.edits.in_transaction:
        raise ConfigError("", _NO_TRANSACTION)
    return _done("Committed", session.edits.commit())


def do_rollback_transaction(session: Session) -> Iterable[str]:
    """Forget the lines of a transaction, or of a batch so far."""
    in_transaction, lines = session.edits.in_transaction, session.edits.discard()
    if not (in_transaction or lines):
        raise ConfigError("", _NO_TRANSACTION)
    session.leave_block()
    return (f"{number_of(lines, 'line')} discarded",)


def do_clear_lock(session: Session) -> Iterable[str]:
    """End another session's transaction."""
    author = session.device.clear_lock(session.author)
    return (f"The transaction of {author} is ended, its lines are not in force",)


def do_commit(session: Session) -> Iterable[str]:
    """Put the lines of a transaction or a batch in force, and confirm a commit that waits for it."""
    open_before, waits = session.edits.in_transaction, session.device.lock.unconfirmed
    committed = session.edits.commit()
    yield from _done("Committed", committed) if open_before or committed.changed else ()
    if waits is not None:
        session.device.confirm(session.author)
        yield "Confirmed: the configuration stays in force; save it to keep it for the next start"
    elif not open_before and not committed.changed:
        yield "There is nothing to commit"


def do_commit_confirmed(session: Session, minutes: int) -> Iterable[str]:
    """Put the lines of a transaction or a batch in force until they are confirmed or the time is over."""
    return _to_confirm(session.edits.commit(minutes * 60), minutes)


def _write(session: Session, file: str, text: str) -> Iterable[str]:
    session.device.files.write(file, text)
    return (f'{number_of(text.count(chr(10)), "line")} written to file "{file}"',)


def _merge(session: Session, text: str, source: str) -> Iterable[str]:
    grammar = session.device.grammar
    return _change(session, lambda running: Change(running, checked(grammar, source, text, running)), f"lines of {source}")


def _rollback(session: Session, text: str, source: str) -> Iterable[str]:
    config = checked(session.device.grammar, source, text)
    return _change(session, lambda running: Change(running, config), f"rollback to {source}")


def _change(session: Session, make: MakeChange, what: str, minutes: int | None = None) -> Iterable[str]:
    """A change at once, for which a transaction has no place."""
    session.edits.refuse_in_transaction()
    committed = session.device.commit(make, session.author, what, minutes and minutes * 60)
    return _done("Committed", committed) if minutes is None else _to_confirm(committed, minutes)


def _to_confirm(committed: Committed, minutes: int) -> Iterable[str]:
    yield from _done("Committed", committed) if committed.changed else ("What is changed from now on is on trial",)
    yield f"It is taken back in {number_of(minutes, 'minute')} unless `commit` confirms it"


def _done(what: str, committed: Committed) -> Iterable[str]:
    yield from (f"Warning: {w}" for w in committed.warnings)
    yield f"{what}: {committed}" if committed.changed else f"{what}: the configuration in force is the same as before"
