"""The clear hop: between its two legs, one that speaks TLS with clients and one that serves, HAProxy crosses a cable of its own.

    client ==TLS==> [HAProxy, TLS leg] --clear, on the hop--> [HAProxy, clear leg] ----> real server

The packets on that cable have the client's address and port and the virtual server's: what TLS hides, as real TCP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hsadc.intent.inventory import Inventory
from hsadc.intent.mirror import RuleIntent
from hsadc.model.virtual_server import VirtualServer

DEVICE = "hsadc-hop"
"""The hop's end in the device's own network namespace, where the mirror looks at its packets."""

MTU_BYTES = 1452
"""The largest IP packet on it: 20 of IPv4, 32 of TCP with timestamps, 1400 of payload. With most tunnels' headers its copy still
fits a wire of 1500."""


@dataclass(frozen=True, slots=True)
class HopIntent:
    """The hop: a cable from DEVICE to a device of the same name in a network namespace of its own.

    Attributes:
        namespace: name of that namespace.
    """

    namespace: str

    @property
    def key(self) -> str:
        """There is one."""
        return "hop"

    def __str__(self) -> str:
        """As an error names it."""
        return f"to network namespace {self.namespace}"


def compile_hop(served: Iterable[VirtualServer], inventory: Inventory, rules: Iterable[RuleIntent]) -> tuple[HopIntent, ...]:
    """The hop, when a virtual server's clear text is copied, or none.

    One that is there stays as long as HAProxy serves anything: connections that were made before the configuration changed may
    still cross it.

    Args:
        served: the virtual servers in force.
        inventory: the machine.
        rules: what is copied.
    """
    used = any(rule.hop for rule in rules)
    crossed = inventory.hop_present and any(server.type != "udp" for server in served)
    return (HopIntent(inventory.hop_namespace),) if used or crossed else ()
