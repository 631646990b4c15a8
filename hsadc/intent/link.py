"""Links: settings of Ethernet devices that hsadc changes, and restores when they are no longer wanted."""

from __future__ import annotations

from dataclasses import dataclass

from hsadc.intent.ports import Ports
from hsadc.model.config import Config


@dataclass(frozen=True, slots=True)
class LinkIntent:
    """How a device must be.

    Attributes:
        device: Linux name.
        up: False takes it down (`shutdown`).
        mtu_bytes: None leaves what the system set.
    """

    device: str
    up: bool = True
    mtu_bytes: int | None = None

    @property
    def key(self) -> str:
        """One per device."""
        return self.device

    def __str__(self) -> str:
        """As an error names it."""
        mtu = "" if self.mtu_bytes is None else f" with mtu {self.mtu_bytes}"
        return f"{self.device} {'up' if self.up else 'down'}{mtu}"


def compile_links(config: Config, ports: Ports) -> tuple[LinkIntent, ...]:
    """The devices of the interfaces that the running-config has; others are left as they are."""
    return tuple(LinkIntent(ports[e.name].device.name, not e.shutdown, e.mtu) for e in config.ethernet.values())
