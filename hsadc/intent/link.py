"""Links: settings of Ethernet devices that hsadc changes, and restores when they are no longer wanted."""

from __future__ import annotations

from dataclasses import dataclass


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
