"""What a check finds, and how it is made."""

from __future__ import annotations

from hsadc.errors import ConfigError, Conflict
from hsadc.model.title import title

Found = tuple[str, str, ConfigError]
"""The section and the name of the object that is wrong, and what is wrong with it."""


def wrong(section: str, name: str, why: str) -> Found:
    """Something is missing, or not as it must be."""
    return section, name, ConfigError(title(section, name), why)


def conflict(section: str, name: str, why: str) -> Found:
    """Two settings that cannot both be."""
    return section, name, Conflict(title(section, name), why)
