"""The article's network as values: who is in it, and with which addresses.

client   192.168.131.1  ---+
adc      192.168.131.2  ---+                 192.168.141.0/24
rs33-35  192.168.131.33-35 +-- switch -- router ------------- analyzer 192.168.141.2
                                .131.254       .141.254
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

PREFIX = "hsadc-lab"
"""What the names of the namespaces begin with, unless told."""

CLIENT = IPv4Address("192.168.131.1")
ADC = IPv4Address("192.168.131.2")
ANALYZER = IPv4Address("192.168.141.2")


@dataclass(frozen=True, slots=True)
class Leg:
    """A node's device, and what is known of it before anything runs.

    Attributes:
        node: whose it is; names its namespace.
        device: Linux name in that namespace.
        address: None where hsadc is to configure it.
        gateway: the node's default route; None for none.
    """

    node: str
    device: str
    address: IPv4Interface | None
    gateway: IPv4Address | None = None


REAL_SERVERS = {f"rs{n}": IPv4Address(f"192.168.131.{n}") for n in (33, 34, 35)}

_ROUTER = IPv4Interface("192.168.131.254/24")

SWITCHED = (
    Leg("client", "eth0", IPv4Interface((CLIENT, 24)), _ROUTER.ip),
    Leg("adc", "eth0", None),
    *(Leg(name, "eth0", IPv4Interface((address, 24)), _ROUTER.ip) for name, address in REAL_SERVERS.items()),
    Leg("router", "eth0", _ROUTER),
)
"""The devices on the switch."""

ROUTER_TO_ANALYZER = Leg("router", "eth1", IPv4Interface("192.168.141.254/24"))
ANALYZER_LEG = Leg("analyzer", "eth0", IPv4Interface((ANALYZER, 24)), IPv4Address("192.168.141.254"))

NODES = ("switch", *(leg.node for leg in SWITCHED), ANALYZER_LEG.node)


def namespace_of(prefix: str, node: str) -> str:
    """Name of a node's network namespace, such as `hsadc-lab-client`."""
    return f"{prefix}-{node}"
