"""What the compiler must know of the machine: its Ethernet devices. Observed by the dataplane, a plain value here."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface


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
    """The machine's Ethernet devices, in the kernel's order (by index)."""

    devices: tuple[Device, ...] = ()

    def find(self, interface: str, device: str | None) -> Device | None:
        """The device behind `interface ethernetX/Y`: the one named, else the Y-th physical one (slot X is always 0)."""
        if device is not None:
            return next((d for d in self.devices if d.name == device), None)
        slot, _, port = interface.removeprefix("ethernet").partition("/")
        ports = [d for d in self.devices if d.physical]
        return ports[int(port)] if slot == "0" and int(port) < len(ports) else None
