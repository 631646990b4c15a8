"""Configurations as data, for `| json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from hsadc.model.config import SECTIONS


def plain(value: Any) -> Any:
    """A configuration or a part of it: its fields by their names, all of them, addresses as text.

    The objects of a section stand by their names; other entries, such as routes and the members of a pool, are a list.
    """
    if isinstance(value, Mapping):
        return [plain(v) for v in value.values()]
    if not is_dataclass(value):
        return value if value is None or isinstance(value, bool | int | str) else str(value)
    parts = {f.name: getattr(value, f.name) for f in fields(value)}
    return {name: _named(part) if name in SECTIONS and isinstance(part, Mapping) else plain(part) for name, part in parts.items()}


def _named(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(block) for name, block in section.items()}
