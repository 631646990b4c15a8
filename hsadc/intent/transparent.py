"""Connections to real servers from the clients' own addresses, for virtual servers without auto-snat: their answers are ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransparentIntent:
    """Packets to a connection that HAProxy made from a client's address are taken as this device's own.

    Attributes:
        families: of the virtual servers that need it: 4, 6 or both, in this order.
    """

    families: tuple[int, ...]

    @property
    def key(self) -> str:
        """There is one."""
        return "transparent"

    def __str__(self) -> str:
        """As an error names it."""
        return " and ".join(f"IPv{family}" for family in self.families)
