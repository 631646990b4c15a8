"""Connections to real servers from the clients' own addresses, for virtual servers without auto-snat: their answers are ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hsadc.intent.inventory import Inventory
from hsadc.model.virtual_server import VirtualServer


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


def compile_transparent(served: Iterable[VirtualServer], inventory: Inventory) -> tuple[TransparentIntent, ...]:
    """What virtual servers in force need that have no auto-snat; those of type udp do without, as HAProxy does not serve them.

    What is there stays as long as HAProxy serves anything: connections that were made before the configuration changed may still
    need it.
    """
    servers = [v for v in served if v.type != "udp"]
    families = {v.ip.address.version for v in servers if v.ip and not v.auto_snat} | {*(inventory.transparent if servers else ())}
    return (TransparentIntent(tuple(sorted(families))),) if families else ()
