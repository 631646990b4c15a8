"""`show this`, `show running-config SECTION [NAME]`: parts of the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.plain import plain
from hsadc.cli.show.shown import Shown
from hsadc.errors import ConfigError, DanglingReference
from hsadc.model.config import SECTIONS, Config
from hsadc.model.title import title
from hsadc.model.tunnel import TUNNELS
from hsadc.syntax.nodes import Command

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_TOGETHER = {
    "interface": ("ethernet", "tunnel_interface"),
    "tunnel": tuple(TUNNELS.values()),
    "slb": ("monitor", "real_server", "server_pool", "virtual_server"),
}
_GLOBAL = tuple(f.name for f in fields(Config) if f.name not in SECTIONS)


def do_show_this(session: Session) -> Shown:
    """The block that is open, with what a transaction has changed; outside of blocks the settings that stand there."""
    if session.block is None:
        raise ConfigError("show this", "it shows what is being configured; here say: show running-config")
    config, (section, name) = session.edits.candidate(), session.block
    if section not in SECTIONS:
        return _shown(session, config, _GLOBAL)
    if name not in getattr(config, section):
        return Shown({section: {}}, ())  # another session has deleted it
    return _shown(session, config, (section,), name)


def do_show_section(session: Session, part: Command) -> Shown:
    """The blocks of one kind, or of one name; or the static routes."""
    kind = part.name.removeprefix("part_")
    name = part.args[0] if part.args else None
    running = session.device.running
    if name is not None and name not in getattr(running, kind):
        raise DanglingReference(title(kind, name), "there is no such object")
    return _shown(session, running, _TOGETHER.get(kind, (kind,)), name)


def _shown(session: Session, config: Config, parts: Iterable[str], name: str | None = None) -> Shown:
    """These fields of a configuration, of sections only the block of this name."""
    chosen: dict[str, Any] = {part: getattr(config, part) for part in parts}
    if name is not None:
        chosen = {section: {name: blocks[name]} for section, blocks in chosen.items()}
    only = Config(**chosen)
    data = plain(only)
    return Shown({part: data[part] for part in chosen}, session.device.renderer.config(only))
