"""Configuration lines that are committed together: one typed line, those of a batch, or those of a transaction."""

from __future__ import annotations

from typing import NamedTuple

from hsadc.config.change import Change
from hsadc.config.commit import Device
from hsadc.config.lock import Author, Transaction
from hsadc.config.running import Committed
from hsadc.errors import Conflict, DanglingReference, HsadcError
from hsadc.model.config import Config
from hsadc.model.title import number_of, title
from hsadc.syntax.edit import Editor
from hsadc.syntax.nodes import Command


class Edit(NamedTuple):
    """A line, and the block in which it stands: section and name, or None at the top."""

    block: tuple[str, str] | None
    command: Command


class Edits:
    """Lines carried out on a candidate, so that mistakes show at once, and then on what is running at the commit.

    Between the first line and the commit other sessions may have changed the running-config: their lines are kept. In a
    transaction they cannot; it begins and ends when it is told to.
    """

    def __init__(self, device: Device, author: Author) -> None:
        self._device = device
        self._author = author
        self._edits: list[Edit] = []
        self._base = device.running
        self._candidate = Editor(self._base)
        self._transaction: Transaction | None = None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and not ended, at least not from here."""
        return self._transaction is not None

    def begin(self) -> None:
        """Begin a transaction: others cannot change the configuration until it ends.

        Raises:
            Conflict: there is one already.
            Locked: another session has the configuration for itself.
        """
        self.refuse_in_transaction()
        self._transaction = self._device.begin(self._author)

    def refuse_in_transaction(self) -> None:
        """For what cannot be part of a transaction; raises Conflict within one."""
        if self.in_transaction:
            self._refuse_ended()
            why = "a transaction is open, end it first with `exec configuration commit` or `exec configuration rollback`"
            raise Conflict("", why)

    def add(self, edit: Edit) -> None:
        """Take a line.

        Raises:
            ConfigError: it cannot be done, or others have the configuration for themselves; the lines are as before.
        """
        self._refuse_ended()
        self._device.lock.check(self._author)
        if not self._edits:
            self._base = self._device.running
            self._candidate = Editor(self._base)
        _carry_out(self._candidate, edit)
        self._edits.append(edit)

    def candidate(self) -> Config:
        """What would be in force after a commit now.

        Raises:
            ConfigError: the lines do not fit what has come into force since.
        """
        return self._change(self._device.running).after

    def commit(self, confirm_s: int | None = None) -> Committed:
        """Put the lines in force, all or none; then there are none, and the transaction has ended.

        Args:
            confirm_s: seconds after which it is taken back unless it is confirmed; None does not ask for it.

        Raises:
            ConfigError, ApplyError: nothing was changed; in a transaction the lines are kept, else they are forgotten.
        """
        self._refuse_ended()
        committed = Committed()
        try:
            if self._edits or confirm_s is not None:
                committed = self._device.commit(self._change, self._author, self._what(), confirm_s)
        except HsadcError:
            if not self.in_transaction:
                self.discard()
            raise
        self.discard()
        return committed

    def discard(self) -> int:
        """Forget the lines and end the transaction; how many lines there were."""
        number = len(self._edits)
        self._edits.clear()
        if self._transaction is not None:
            self._device.end(self._transaction)
            self._transaction = None
        return number

    def _what(self) -> str:
        if len(self._edits) == 1 and not self.in_transaction:
            return "line"
        return f"{'transaction' if self.in_transaction else 'batch'} of {number_of(len(self._edits), 'line')}"

    def _refuse_ended(self) -> None:
        if self._transaction is not None and self._transaction.ended_by is not None:
            why = f"the transaction was ended by {self._transaction.ended_by}, its lines are not in force"
            raise Conflict("", f"{why}; leave it with `exec configuration rollback`")

    def _change(self, running: Config) -> Change:
        self._refuse_ended()
        if not self._edits:
            return Change(running, running)
        editor = self._candidate
        if running is not self._base:
            editor = Editor(running)
            for edit in self._edits:
                _carry_out(editor, edit)
        return Change(running, editor.config(), editor.touched)


def _carry_out(editor: Editor, edit: Edit) -> None:
    if edit.block is None:
        editor.leave()
    elif (editor.section, editor.name) != edit.block:
        if not editor.has(*edit.block):
            raise DanglingReference(title(*edit.block), "another session has deleted it")
        editor.enter(*edit.block)
    editor.apply(edit.command)
