"""What is mirrored, by the names of the configuration: sources, the profiles that they are copied by, the tunnels behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hsadc.errors import DanglingReference
from hsadc.intent.compile import reason_not_served
from hsadc.intent.mirror_profile import profile_number, profile_numbers, source_id
from hsadc.model.config import Config
from hsadc.model.interface import PortMirror
from hsadc.model.mirror_profile import MirrorProfile, MirrorTarget
from hsadc.model.title import title
from hsadc.model.virtual_server import TLS_TYPES, ServerMirror

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.cli.show.table import Row

SECTIONS = {"virtual-server": "virtual_server", "interface": "ethernet"}
"""The kinds of sources, and their sections."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A source.

    Attributes:
        kind: `virtual-server` or `interface`.
        name: as the configuration has it.
        id: names its counters.
        target: what it is copied to.
        profile: how; for a target that is an interface, what that comes to.
        number: of the profile.
        view: `decrypted` or `encrypted` for a virtual server that speaks TLS, else None.
        port: the port of a virtual server in its decrypted copies, where it is not its own; else None.
        off: why nothing of it is copied, whatever becomes of the destinations; None when that is not so.
    """

    kind: str
    name: str
    id: int
    target: MirrorTarget
    profile: MirrorProfile
    number: int
    view: str | None = None
    port: int | None = None
    off: str | None = None

    @property
    def title(self) -> str:
        """As it is typed."""
        return title(SECTIONS[self.kind], self.name)

    @property
    def profile_name(self) -> str | None:
        """The profile's name; None when the target is an interface."""
        return self.target.name if self.target.kind == "profile" else None

    @property
    def direction(self) -> str:
        """The packets that source and profile both let through: `forward`, `backward`, `bidirection` or `none`."""
        own = self.target.direction if isinstance(self.target, PortMirror) else "bidirection"
        wanted = {own, self.profile.direction} - {"bidirection"}
        return "none" if len(wanted) > 1 else next(iter(wanted), "bidirection")

    @property
    def access_lists(self) -> Mapping[str, str]:
        """The names of the access lists of `source` and `profile`, where there are any."""
        own = self.target.access_list if isinstance(self.target, PortMirror) else None
        return {whose: name for whose, name in (("source", own), ("profile", self.profile.access_list)) if name is not None}

    def concerns(self, name: str) -> bool:
        """Whether it is, or has to do with, what is called so."""
        return name in (self.name, self.profile_name, *self.profile.destinations)


def mirrored(config: Config) -> list[Mirrored]:
    """All sources, virtual servers first."""
    numbers = profile_numbers(config)

    def source(kind: str, name: str, number: int, target: MirrorTarget, off: str | None) -> Mirrored:
        profile = config.mirror_profile[target.name] if target.kind == "profile" else _direct(target.name)
        return Mirrored(kind, name, number, target, profile, profile_number(numbers, target), off=off)

    servers = [
        replace(source("virtual-server", v.name, v.id, v.mirror_traffic, reason_not_served(v)), **_view(v.type, v.mirror_traffic))
        for v in config.virtual_server.values()
        if v.mirror_traffic
    ]
    ports = [
        source("interface", e.name, source_id(e.name), e.mirror_traffic, "shutdown" if e.shutdown else None)
        for e in config.ethernet.values()
        if e.mirror_traffic
    ]
    return servers + ports


def _view(kind: str, mirror: ServerMirror) -> dict[str, Any]:
    """What is copied of a virtual server of that type."""
    if kind not in TLS_TYPES:
        return {}
    return {"view": mirror.view, "port": mirror.port if mirror.view == "decrypted" else None}


def off(session: Session, source: Mirrored) -> str | None:
    """Why nothing of a source is copied, in words; None when that is a matter of the destinations."""
    if source.off is not None:
        return f"{source.title} is not in force: {source.off}"
    intent = session.device.dataplane.intent if session.device.dataplane else None
    tapped = {tap.device for tap in intent.taps} if intent else set()
    if intent and any(mirror.id == source.id and mirror.device not in tapped for mirror in intent.port_mirrors):
        return f"the packets of {source.title} are looked at on the device that it belongs to"
    return None


def _direct(interface: str) -> MirrorProfile:
    return MirrorProfile("", destinations={interface: interface})


def check_name(config: Config, name: str | None) -> None:
    """Refuse the name of what cannot have to do with the mirror.

    Raises:
        DanglingReference: nothing is called so.
    """
    known = config.virtual_server, config.ethernet, config.tunnel_interface, config.mirror_profile
    if name is not None and not any(name in section for section in known):
        raise DanglingReference("", f'"{name}" is no virtual server, interface or mirror profile')


def bound_to(config: Config, interface: str) -> Row:
    """Kind and name of the tunnel that an interface sends through; kind `none` for an Ethernet interface."""
    tunnel = config.tunnel_interface.get(interface)
    if tunnel is None:
        return {"kind": "none" if interface.startswith("ethernet") else None, "tunnel": None}
    binding = tunnel.tunnel
    return {"kind": binding.kind if binding else None, "tunnel": binding.name if binding else None}
