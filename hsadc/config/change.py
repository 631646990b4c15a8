"""What differs between two configurations, so that a line costs little however large the configuration is.

Sections and objects are frozen and an editor copies only what it changes: what is the same object has not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hsadc.model.config import Config


@dataclass(frozen=True, slots=True)
class Change:
    """The way from one configuration to another.

    Attributes:
        before: a configuration.
        after: what became of it.
    """

    before: Config
    after: Config
    _changed: dict[str, Mapping[Any, Any]] = field(default_factory=dict)  # several checks ask for each section

    def touches(self, *sections: str) -> bool:
        """Whether anything in these sections may have changed."""
        return any(getattr(self.before, s) is not getattr(self.after, s) for s in sections)

    def changed(self, section: str) -> Mapping[Any, Any]:
        """The objects of a section, by name, that are new or no longer the same, in the order of `after`."""
        if section not in self._changed:
            old, new = getattr(self.before, section), getattr(self.after, section)
            differing = () if old is new else ((name, thing) for name, thing in new.items() if old.get(name) is not thing)
            self._changed[section] = dict(differing)
        return self._changed[section]

    def lost(self, section: str) -> bool:
        """Whether objects of a section are gone."""
        return self.touches(section) and not getattr(self.after, section).keys() >= getattr(self.before, section).keys()

    def users(self, section: str, *targets: str) -> Mapping[Any, Any]:
        """The objects of a section that must be looked at: all when `targets` were touched, else those that changed."""
        users: Mapping[Any, Any] = getattr(self.after, section)
        return users if self.touches(*targets) else self.changed(section)
