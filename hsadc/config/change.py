"""What differs between two configurations, so that a line costs little however large the configuration is.

Sections and objects are frozen and an editor copies only what it changes: what is the same object has not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hsadc.model.config import Config


@dataclass(frozen=True, slots=True)
class Change:
    """The way from one configuration to another.

    Attributes:
        before: a configuration.
        after: what became of it.
        touched: by section, the names of all that may have changed, where that is known; None has every object compared.
    """

    before: Config
    after: Config
    touched: Mapping[str, Iterable[Any]] | None = None
    _differing: dict[str, Sequence[Any]] = field(default_factory=dict)  # several checks ask for each section

    def touches(self, *sections: str) -> bool:
        """Whether anything in these sections may have changed."""
        return any(getattr(self.before, s) is not getattr(self.after, s) for s in sections)

    def differing(self, section: str) -> Sequence[Any]:
        """The names of a section's objects that are new, gone, or no longer the same."""
        if section not in self._differing:
            old, new = getattr(self.before, section), getattr(self.after, section)
            names = () if old is new else {**old, **new} if self.touched is None else self.touched.get(section, ())
            self._differing[section] = [name for name in names if old.get(name) is not new.get(name)]
        return self._differing[section]

    def changed(self, section: str) -> Mapping[Any, Any]:
        """The objects of a section, by name, that are new or no longer the same."""
        after = getattr(self.after, section)
        return {name: after[name] for name in self.differing(section) if name in after}

    def lost(self, section: str) -> bool:
        """Whether objects of a section are gone."""
        return any(name not in getattr(self.after, section) for name in self.differing(section))

    def users(self, section: str, *targets: str) -> Mapping[Any, Any]:
        """The objects of a section that must be looked at: all when `targets` were touched, else those that changed."""
        users: Mapping[Any, Any] = getattr(self.after, section)
        return users if self.touches(*targets) else self.changed(section)
