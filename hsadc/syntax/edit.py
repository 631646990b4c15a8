"""Commands applied to a configuration: how a line of a section sets a field of the section's class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from hsadc.errors import ConfigError, Conflict, DanglingReference
from hsadc.model.config import SECTIONS, Config
from hsadc.model.title import title
from hsadc.syntax.grammar import section_of
from hsadc.syntax.nodes import Command

HEAD = ("name", "type", "id")
"""The fields that a block's head line sets."""


class Kind(Enum):
    """How the lines of a setting add up."""

    FLAG = "a switch"
    VALUE = "one value, replaced by the next"
    ENTRIES = "a line for each entry, told apart by the entry's key"


class Setting(NamedTuple):
    """A field that lines of the grammar set; `item` is the class of a value made of several words, None for a plain value."""

    field: str
    kind: Kind
    default: Any
    item: type | None


def settings(cls: type) -> Mapping[str, Setting]:
    """The settings of a section's class (or of Config: the global ones), by field."""
    return _settings(cls)


@cache
def _settings(cls: Any) -> Mapping[str, Setting]:
    hints = get_type_hints(cls)
    identity = SECTIONS if cls is Config else HEAD
    return {f.name: _setting(f.name, hints[f.name], f.default) for f in fields(cls) if f.name not in identity}


def _setting(name: str, hint: Any, default: Any) -> Setting:
    if get_origin(hint) is Mapping:
        return Setting(name, Kind.ENTRIES, None, _item(get_args(hint)[1]))
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kind = Kind.FLAG if hint is bool else Kind.VALUE
    return Setting(name, kind, default, next(filter(None, map(_item, options)), None))


def _item(hint: Any) -> type | None:
    return hint if isinstance(hint, type) and is_dataclass(hint) else None


class Editor:
    """A configuration being changed; the one it started from is never touched.

    Attributes:
        section: the section whose block is open, None at the top.
    """

    def __init__(self, base: Config) -> None:
        self._top: dict[str, Any] = {f.name: getattr(base, f.name) for f in fields(base)}
        self._copied: set[str] = set()
        self.section: str | None = None
        self._open: Any = None

    @property
    def name(self) -> str:
        """The name of the open block; empty at the top."""
        return "" if self._open is None else str(self._open.name)

    def apply(self, command: Command) -> None:
        """Carry out a line of the grammar: a head opens a block, `no` of a head removes it, others set a field.

        Raises:
            ConfigError: the object does not exist, exists in another form, or misses what a new one needs.
        """
        if (section := section_of(command.name)) is None:
            self._set(command)
        elif command.negated:
            self._remove(section, command.args[0])
        else:
            self.enter(section, *command.args)

    def enter(self, section: str, name: str, *head: Any) -> None:
        """Open a block, and make it when it does not exist; `head` is what the head line says beyond the name."""
        self.leave()
        block = self._top[section].get(name) or _new(section, name, head)
        given = dict(zip(HEAD[1:], head, strict=False))
        for what, value in given.items():
            if value is not None and value != getattr(block, what):
                raise Conflict(title(section, name), f"its {what} is {getattr(block, what)}, delete it first to make it {value}")
        self.section, self._open = section, block
        if name not in self._top[section]:
            self._blocks(section)[name] = block

    def has(self, section: str, name: str) -> bool:
        """Whether there is such a block."""
        return name in self._top[section]

    def leave(self) -> None:
        """Close the open block."""
        if self.section is not None:
            self._blocks(self.section)[self._open.name] = self._open
        self.section, self._open = None, None

    def config(self) -> Config:
        """The configuration as it is now; the editor goes on with its own copy."""
        section, name = self.section, self.name
        self.leave()
        self._copied.clear()
        config = Config(**self._top)
        if section is not None:
            self.enter(section, name)
        return config

    def _blocks(self, section: str) -> dict[str, Any]:
        if section not in self._copied:
            self._top[section] = dict(self._top[section])
            self._copied.add(section)
        blocks: dict[str, Any] = self._top[section]
        return blocks

    def _remove(self, section: str, name: str) -> None:
        self.leave()
        if name not in self._top[section]:
            raise DanglingReference(title(section, name), "there is no such object")
        del self._blocks(section)[name]

    def _set(self, command: Command) -> None:
        if self.section is not None and command.name.startswith(self.section + "_"):
            setting = settings(type(self._open))[command.name.removeprefix(self.section + "_")]
            self._open = replace(self._open, **{setting.field: _next(setting, getattr(self._open, setting.field), command)})
        else:
            self.leave()
            setting = settings(Config)[command.name]
            self._top[setting.field] = _next(setting, self._top[setting.field], command)


def _new(section: str, name: str, head: tuple[Any, ...]) -> Any:
    if section == "virtual_server" and None in (head or (None,)):
        why = f"there is no such object; to make one: {title(section, name)} type {{http|tcp}} id <1-65535>"
        raise ConfigError(title(section, name), why)
    return SECTIONS[section](name, *(value for value in head if value is not None))


def _next(setting: Setting, old: Any, command: Command) -> Any:
    """The field's value after a line."""
    if setting.kind is Kind.FLAG:
        return not command.negated
    if setting.kind is Kind.VALUE:
        if command.negated:
            return setting.default
        return setting.item(*command.args) if setting.item else command.args[0]
    entry = _entry(setting, command)
    key = entry.key if setting.item else entry
    if not command.negated:
        return {**old, key: entry}
    if key not in old:
        raise DanglingReference("", f"there is no such entry: {' '.join(str(a) for a in command.args if a is not None)}")
    return {k: v for k, v in old.items() if k != key}


def _entry(setting: Setting, command: Command) -> Any:
    if setting.item is None:
        return command.args[0]
    given = {f.name: a for f, a in zip(fields(setting.item), command.args, strict=True) if a is not None}
    return setting.item(**given)
