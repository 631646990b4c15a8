"""Commands applied to a configuration: how a line of a section sets a field of the section's class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from itertools import zip_longest
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

    The open block is a draft: the settings that its lines changed. It becomes a frozen object when it is left, so that a line
    costs the same however much there is.

    Attributes:
        section: the section whose block is open, None at the top.
        name: the open block's name; empty at the top.
        touched: by field, the keys of all entries that lines have made, changed or removed, without the open block's.
    """

    def __init__(self, base: Config) -> None:
        self._top: dict[str, Any] = {f.name: getattr(base, f.name) for f in fields(base)}
        self._copied: set[str] = set()
        self.touched: dict[str, dict[Any, None]] = {}
        self.section: str | None = None
        self.name = ""
        self._block: Any = None
        self._draft: dict[str, Any] = {}

    def apply(self, command: Command) -> None:
        """Carry out a line of the grammar: a head opens a block, `no` of a head removes it, others set a field.

        Raises:
            ConfigError: the object does not exist, exists in another form, or misses what a new one needs.
        """
        section, setting = _target(command.name)
        if setting is not None:
            self._set(section, setting, command)
        elif command.negated:
            self._remove(section, command.args[0])
        else:
            self.enter(section, *command.args)

    def enter(self, section: str, name: str, *head: Any) -> None:
        """Open a block, and make it when it does not exist; `head` is what the head line says beyond the name."""
        self.leave()
        block = self._top[section].get(name)
        given = {what: value for what, value in zip(HEAD[1:], head, strict=False) if value is not None}
        if block is None:
            _check_new(section, name, given)
            self._draft = {"name": name, **given}
        elif given:
            _check_same(section, block, given)
        self.section, self.name, self._block = section, name, block

    def has(self, section: str, name: str) -> bool:
        """Whether there is such a block."""
        return (section, name) == (self.section, self.name) or name in self._top[section]

    def leave(self) -> None:
        """Close the open block."""
        if self.section is not None and self._draft:
            block = replace(self._block, **self._draft) if self._block is not None else SECTIONS[self.section](**self._draft)
            self._mapping(self.section)[self.name] = block
            self._touch(self.section, self.name)
            self._draft = {}
        self.section, self.name, self._block = None, "", None

    def config(self) -> Config:
        """The configuration as it is now; the editor goes on with its own copy."""
        section, name = self.section, self.name
        self.leave()
        self._copied.clear()
        config = Config(**self._top)
        if section is not None:
            self.enter(section, name)
        return config

    def _mapping(self, field: str) -> dict[Any, Any]:
        """A mapping of the configuration as a copy of our own, made when it is changed for the first time."""
        if field not in self._copied:
            self._top[field] = dict(self._top[field])
            self._copied.add(field)
        mapping: dict[Any, Any] = self._top[field]
        return mapping

    def _touch(self, field: str, key: Any) -> None:
        self.touched.setdefault(field, {})[key] = None

    def _remove(self, section: str, name: str) -> None:
        self.leave()
        if name not in self._top[section]:
            raise DanglingReference(title(section, name), "there is no such object")
        del self._mapping(section)[name]
        self._touch(section, name)

    def _set(self, section: str, setting: Setting, command: Command) -> None:
        if not section:
            self.leave()
        if setting.kind is Kind.ENTRIES:
            entries = self._entries(setting.field) if section else self._mapping(setting.field)
            key = _change_entry(setting.item, entries, command)
            if not section:
                self._touch(setting.field, key)
        elif section:
            self._draft[setting.field] = _value(setting, command)
        else:
            self._top[setting.field] = _value(setting, command)

    def _entries(self, field: str) -> dict[Any, Any]:
        """The same for a mapping of the open block."""
        if field not in self._draft:
            self._draft[field] = {} if self._block is None else dict(getattr(self._block, field))
        entries: dict[Any, Any] = self._draft[field]
        return entries


@cache
def _target(rule: str) -> tuple[str, Setting | None]:
    """The section that a rule of the grammar is for, empty for the global ones, and its setting; None for heads and removals."""
    if (section := section_of(rule)) is not None:
        return section, None
    if rule in settings(Config):
        return "", settings(Config)[rule]
    section, field = next(
        (s, rule.removeprefix(f"{s}_"))
        for s in SECTIONS
        if rule.startswith(f"{s}_") and rule.removeprefix(f"{s}_") in settings(SECTIONS[s])
    )
    return section, settings(SECTIONS[section])[field]


def _check_new(section: str, name: str, given: Mapping[str, Any]) -> None:
    if section == "virtual_server" and "type" not in given:
        why = f"there is no such object; to make one: {title(section, name)} type {{tcp|udp|http|https|ssl}} id <1-65535>"
        raise ConfigError(title(section, name), why)


def _check_same(section: str, block: Any, given: Mapping[str, Any]) -> None:
    for what, value in given.items():
        if value != (now := getattr(block, what)):
            raise Conflict(title(section, block.name), f"its {what} is {now}, delete it first to make it {value}")


def _value(setting: Setting, command: Command) -> Any:
    """The value of a field that has one, after a line."""
    if setting.kind is Kind.FLAG:
        return not command.negated
    if command.negated:
        return setting.default
    return _made_of(setting.item, command.args)


def _change_entry(item: type | None, entries: dict[Any, Any], command: Command) -> Any:
    """Carry out a line for one entry. Returns the entry's key."""
    entry = _made_of(item, command.args)
    key = entry.key if item else entry
    if not command.negated:
        entries[key] = entry
    elif key in entries:
        del entries[key]
    else:
        raise DanglingReference("", f"there is no such entry: {entry}")
    return key


def _made_of(item: type | None, args: tuple[Any, ...]) -> Any:
    """What a line's arguments are: one plain value, or an object, whose defaults stand for what the line leaves out.

    A line that removes an entry may end after the entry's key.
    """
    if item is None:
        return args[0]
    return item(*(default if a is None else a for a, default in zip_longest(args, _defaults(item))))


@cache
def _defaults(item: Any) -> tuple[Any, ...]:
    return tuple(f.default for f in fields(item))
