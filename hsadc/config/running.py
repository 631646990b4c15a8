"""The running-config: what is validated, compiled for this machine, and in force in the dataplane.

What it names by file (certificates, pages) is in force as the files were when they were read last: at a commit, or at `refresh`.
Files that are no longer right change nothing: what was read before stays in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hsadc.config.change import Change
from hsadc.config.diff import Hunk, count, difference
from hsadc.config.validate import validate
from hsadc.dataplane.dataplane import Dataplane
from hsadc.intent.compile import Compiled, certificate_lines, compile_config, refusals_of
from hsadc.intent.inventory import Inventory
from hsadc.intent.material import Material
from hsadc.model.config import Config
from hsadc.model.title import number_of
from hsadc.model.trust_domain import TrustDomain
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


class Refreshed(NamedTuple):
    """What came of reading the configured files again.

    Attributes:
        renewed: the trust domains whose files hold something else than before, which is in force now.
        warnings: what was not to be warned of before, a line each.
    """

    renewed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Running:
    """The configuration in force; one thread at a time may change it.

    Attributes:
        config: a frozen value that never changes under its reader.
    """

    def __init__(self, renderer: Renderer, dataplane: Dataplane | None) -> None:
        self.config = Config()
        self._renderer = renderer
        self._dataplane = dataplane
        self._inventory: Inventory | None = None  # until something has been put in force
        self._warnings: frozenset[str] = frozenset()
        self._of_files: frozenset[str] = frozenset()

    @property
    def materials(self) -> Mapping[str, Material]:
        """What the trust domains in force hold, by name; nothing without a dataplane."""
        return self._inventory.materials if self._inventory is not None else {}

    def become(self, change: Change, *, back: bool = False) -> Committed:
        """Put the configuration after a change of this one in force; nothing is touched when it is in force already.

        Args:
            change: from this one.
            back: it leads to one that was in force, which must be reached even if a certificate has expired meanwhile.

        Raises:
            ConfigError: it is contradictory, or does not fit the machine.
            ApplyError: the dataplane refused; it and this are as before.
        """
        hunks = difference(self._renderer, change)
        return self._enforce(change, hunks, strict=not back) if hunks else Committed()

    def enforce(self, change: Change) -> Committed:
        """As `become`, but the dataplane is made so in any case: an earlier run may have left something else there.

        What files hold is not refused: a device must come up again. What cannot be in force without them is warned of.
        """
        return self._enforce(change, difference(self._renderer, change), strict=False)

    def refresh(self) -> Refreshed:
        """Read the configured files again, and put what they hold now in force.

        Raises:
            ConfigError: the configuration does not fit the machine any more; all is as before.
            ApplyError: the dataplane refused; all is as before.
        """
        if self._dataplane is None:
            return Refreshed()
        before, inventory = self._inventory or Inventory(), self._observe(self._dataplane, self.config)
        if (inventory.materials, inventory.pages) != (before.materials, before.pages):
            self._dataplane.apply(compile_config(self.config, inventory).intent)
        warnings = certificate_lines(self.config, inventory)
        fresh = tuple(w for w in warnings if w not in self._warnings)
        # What has been put right is forgotten: should it go wrong again, that is news.
        self._warnings = self._warnings - self._of_files | frozenset(warnings)
        self._inventory, self._of_files = inventory, frozenset(warnings)
        return Refreshed(tuple(_renewed(before.materials, inventory.materials)), fresh)

    def _enforce(self, change: Change, hunks: Sequence[Hunk], *, strict: bool) -> Committed:
        warnings = self._apply(change, strict=strict)
        fresh = tuple(w for w in warnings if w not in self._warnings)
        self.config, self._warnings = change.after, frozenset(warnings)
        return Committed(*count(hunks), fresh)

    def _apply(self, change: Change, *, strict: bool) -> list[str]:
        for _, _, error in validate(change):
            raise error
        if self._dataplane is None:
            return []
        inventory = self._observe(self._dataplane, change.after)
        compiled = compile_config(change.after, inventory)
        if strict and compiled.refusals:
            self._refuse_new(self._dataplane, change.before, inventory, compiled)
        self._dataplane.apply(compiled.intent)
        self._inventory = inventory
        return [*_warnings(compiled), *self._dataplane.warnings()]

    def _refuse_new(self, dataplane: Dataplane, config: Config, inventory: Inventory, compiled: Compiled) -> None:
        """Raise the first refusal that this configuration, which is in force, has not got now."""
        now = replace(self._observe(dataplane, config), now=inventory.now)
        known = {refusal.key for refusal in refusals_of(config, now)}
        for refusal in compiled.refusals:
            if refusal.key not in known:
                raise refusal.error

    def _observe(self, dataplane: Dataplane, config: Config) -> Inventory:
        """The machine; of files that are no longer right what is in force, or was before the device started."""
        inventory = dataplane.inventory(config)
        kept = {}
        for name, material in inventory.materials.items():
            old = self._before(dataplane, config, name) if material.problem is not None else None
            if old is not None and old.problem is None:
                kept[name] = replace(old, newer_problem=material.problem)
        known = self._inventory.pages if self._inventory is not None else {}
        pages = {name: page for name, page in known.items() if name in _pages(config)}
        return replace(inventory, materials={**inventory.materials, **kept}, pages={**pages, **inventory.pages})

    def _before(self, dataplane: Dataplane, config: Config, name: str) -> Material | None:
        """What a trust domain's files held when they were right."""
        if self._inventory is None:
            return dataplane.left_behind(config.trust_domain[name])
        old = self.config.trust_domain.get(name)
        same = old is not None and _files(old) == _files(config.trust_domain[name])
        return self._inventory.materials.get(name) if same else None


def _files(domain: TrustDomain) -> tuple[str | None, ...]:
    return domain.certificate, domain.key, domain.ca_certificate


def _pages(config: Config) -> set[str]:
    return {pool.sorry_page for pool in config.server_pool.values() if pool.sorry_page is not None}


def _warnings(compiled: Compiled) -> list[str]:
    return list(dict.fromkeys([*compiled.warnings, *(refusal.warning for refusal in compiled.refusals)]))


def _renewed(before: Mapping[str, Material], after: Mapping[str, Material]) -> Iterable[str]:
    """The names of those that hold something else, whatever came in its place and could not be used."""
    for name, material in after.items():
        old = before.get(name)
        if old is not None and replace(material, newer_problem=None) != replace(old, newer_problem=None):
            yield name
