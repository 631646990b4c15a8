"""Configuration lines that are committed together: one typed line, or all those of a batch."""

from __future__ import annotations

from typing import NamedTuple

from hsadc.config.commit import Device
from hsadc.errors import DanglingReference
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.syntax.edit import Editor
from hsadc.syntax.nodes import Command


class Edit(NamedTuple):
    """A line, and the block in which it stands: section and name, or None at the top."""

    block: tuple[str, str] | None
    command: Command


class Edits:
    """Lines carried out on a candidate, so that mistakes show at once, and then on what is running at the commit.

    Between the first line and the commit other sessions may have changed the running-config: their lines are kept.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._edits: list[Edit] = []
        self._base = device.running
        self._candidate = Editor(self._base)

    def add(self, edit: Edit) -> None:
        """Take a line into the transaction.

        Raises:
            ConfigError: it cannot be done; the transaction is as before.
        """
        if not self._edits:
            self._base = self._device.running
            self._candidate = Editor(self._base)
        _carry_out(self._candidate, edit)
        self._edits.append(edit)

    def commit(self) -> tuple[str, ...]:
        """Put the lines in force, all or none; the transaction is empty afterwards.

        Returns:
            Warnings.

        Raises:
            ConfigError, ApplyError: nothing was changed.
        """
        if not self._edits:
            return ()
        try:
            return self._device.commit(self._change)
        finally:
            self._edits.clear()

    def discard(self) -> None:
        """Forget the lines."""
        self._edits.clear()

    def _change(self, running: Config) -> Config:
        if running is self._base:
            return self._candidate.config()
        editor = Editor(running)
        for edit in self._edits:
            _carry_out(editor, edit)
        return editor.config()


def _carry_out(editor: Editor, edit: Edit) -> None:
    if edit.block is None:
        editor.leave()
    elif (editor.section, editor.name) != edit.block:
        if not editor.has(*edit.block):
            raise DanglingReference(title(*edit.block), "another session has deleted it")
        editor.enter(*edit.block)
    editor.apply(edit.command)
