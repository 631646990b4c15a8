"""The clear hop: between its two legs, one that speaks TLS with clients and one that serves, HAProxy crosses a cable of its own.

    client ==TLS==> [HAProxy, TLS leg] --clear, on the hop--> [HAProxy, clear leg] ----> real server

The packets on that cable have the client's address and port and the virtual server's: what TLS hides, as real TCP.
"""

from __future__ import annotations

from dataclasses import dataclass

DEVICE = "hsadc-hop"
"""The hop's end in the device's own network namespace, where the mirror looks at its packets."""


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
