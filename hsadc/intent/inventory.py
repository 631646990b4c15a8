"""What the compiler must know of the machine: its Ethernet devices, and what configured files hold.

Observed by the dataplane, plain values here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Interface, IPv6Interface

from hsadc.intent.material import Material
from hsadc.model.virtual_server import Listener


@dataclass(frozen=True, slots=True)
class Device:
    """A Linux network device.

    Attributes:
        name: as the kernel names it.
        mtu_bytes: the MTU that it has, or had before hsadc changed it.
        addresses: IPv4 addresses that the system gave it; those that hsadc made are not among them.
        physical: True for a port (or the virtual one of a container); False for tunnels, bridges and the like.
        seen_at: the device at which all its packets pass as well: a bridge's or a bond's for its ports, the one below for a VLAN.
        ipv6_addresses: as `addresses`; link-local and temporary ones are not among them, for nothing can be built on those.
    """

    name: str
    mtu_bytes: int = 1500
    addresses: tuple[IPv4Interface, ...] = ()
    physical: bool = True
    seen_at: str | None = None
    ipv6_addresses: tuple[IPv6Interface, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """The machine.

    Attributes:
        devices: its Ethernet devices, in the kernel's order (by index).
        materials: what the files of the configured trust domains hold, by trust domain.
        pages: the configured HTML files, by name; a file that cannot be used is missing.
        page_problems: why some of those cannot be used, by name.
        hop_namespace: name of the network namespace that the hop leads to, there or not.
        hop_present: whether the hop is there.
        clear_legs: where HAProxy listens on it now, by the virtual server's number.
        transparent: the families (4, 6) of which connections from clients' addresses are taken as this device's own.
        now: the time, UTC.
    """

    devices: tuple[Device, ...] = ()
    materials: Mapping[str, Material] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    page_problems: Mapping[str, str] = field(default_factory=dict)
    hop_namespace: str = "hsadc-hop"
    hop_present: bool = False
    clear_legs: Mapping[int, tuple[Listener, ...]] = field(default_factory=dict)
    transparent: tuple[int, ...] = ()
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def find(self, interface: str, device: str | None) -> Device | None:
        """The device behind `interface ethernetX/Y`: the one named, else the Y-th physical one (slot X is always 0)."""
        if device is not None:
            return next((d for d in self.devices if d.name == device), None)
        slot, _, port = interface.removeprefix("ethernet").partition("/")
        ports = [d for d in self.devices if d.physical]
        return ports[int(port)] if slot == "0" and int(port) < len(ports) else None
