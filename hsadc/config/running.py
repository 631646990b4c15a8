"""The running-config: what is validated, compiled for this machine, and in force in the dataplane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hsadc.config.change import Change
from hsadc.config.diff import Hunk, count, difference
from hsadc.config.validate import validate
from hsadc.dataplane.dataplane import Dataplane
from hsadc.intent.compile import compile_config
from hsadc.model.config import Config
from hsadc.model.title import number_of
from hsadc.syntax.render import Renderer


class Committed(NamedTuple):
    """What a commit did.

    Attributes:
        added: how many lines came.
        removed: how many lines went.
        warnings: what was not to be warned of before, a line each.
    """

    added: int = 0
    removed: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is in force that was not before, or the other way round."""
        return bool(self.added or self.removed)

    def __str__(self) -> str:
        return f"{number_of(self.added, 'line')} added, {self.removed} removed"


class Running:
    """The configuration in force; one thread at a time may change it.

    Attributes:
        config: a frozen value that never changes under its reader.
    """

    def __init__(self, renderer: Renderer, dataplane: Dataplane | None) -> None:
        self.config = Config()
        self._renderer = renderer
        self._dataplane = dataplane
        self._warnings: frozenset[str] = frozenset()

    def become(self, change: Change) -> Committed:
        """Put the configuration after a change of this one in force; nothing is touched when it is in force already.

        Raises:
            ConfigError: it is contradictory, or does not fit the machine.
            ApplyError: the dataplane refused; it and this are as before.
        """
        hunks = difference(self._renderer, change)
        return self._enforce(change, hunks) if hunks else Committed()

    def enforce(self, change: Change) -> Committed:
        """As `become`, but the dataplane is made so in any case: an earlier run may have left something else there."""
        return self._enforce(change, difference(self._renderer, change))

    def _enforce(self, change: Change, hunks: Sequence[Hunk]) -> Committed:
        warnings = self._apply(change)
        fresh = tuple(w for w in warnings if w not in self._warnings)
        self.config, self._warnings = change.after, frozenset(warnings)
        return Committed(*count(hunks), fresh)

    def _apply(self, change: Change) -> list[str]:
        for _, _, error in validate(change):
            raise error
        if self._dataplane is None:
            return []
        compiled = compile_config(change.after, self._dataplane.inventory())
        self._dataplane.apply(compiled.intent)
        return [*compiled.warnings, *self._dataplane.warnings()]
