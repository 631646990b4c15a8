"""Interfaces of the running-config on the devices of the machine, and the addresses that are ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from hsadc.errors import ConfigError, Conflict
from hsadc.intent.inventory import Device, Inventory
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet
from hsadc.model.title import title
from hsadc.model.tunnel import TUNNELS, Tunnel


@dataclass(frozen=True, slots=True)
class Port:
    """An Ethernet interface and the device that it is.

    Attributes:
        ethernet: its section; one with defaults when the running-config has none.
        device: what the machine has.
    """

    ethernet: Ethernet
    device: Device

    @property
    def configured(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """The addresses of the running-config, of both families."""
        return (*self.ethernet.addresses, *self.ethernet.ipv6_addresses)

    @property
    def addresses(self) -> tuple[IPv4Interface, ...]:
        """Its IPv4 addresses, those of the running-config first, then those that the system gave."""
        mine = self.ethernet.addresses
        return mine + tuple(a for a in self.device.addresses if a not in mine)

    @property
    def ipv6_addresses(self) -> tuple[IPv6Interface, ...]:
        """As `addresses`; without link-local ones of the system."""
        mine = tuple(self.ethernet.ipv6_addresses)
        return mine + tuple(a for a in self.device.ipv6_addresses if a.ip not in {m.ip for m in mine})

    @property
    def all_addresses(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """Those of both families."""
        return (*self.addresses, *self.ipv6_addresses)

    @property
    def mtu_bytes(self) -> int:
        """The largest IP packet that it takes."""
        return self.ethernet.mtu or self.device.mtu_bytes


@dataclass(frozen=True, slots=True)
class Ports:
    """All interfaces that the running-config has or names, by name."""

    by_name: dict[str, Port]

    def __getitem__(self, name: str) -> Port:
        return self.by_name[name]

    def __iter__(self) -> Iterator[Port]:
        return iter(self.by_name.values())

    def owner(self, address: IPv4Address | IPv6Address) -> Port | None:
        """The interface that has this address."""
        return next((p for p in self.by_name.values() if any(a.ip == address for a in p.all_addresses)), None)

    def reaches(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether the address is in a network that an interface which is not shut down is connected to."""
        up = (p for p in self.by_name.values() if not p.ethernet.shutdown)
        return any(address in a.network for p in up for a in p.all_addresses)

    @property
    def addresses(self) -> list[IPv4Address | IPv6Address]:
        """All addresses of the device, of both families."""
        return [a.ip for p in self.by_name.values() for a in p.all_addresses]


def resolve_ports(config: Config, inventory: Inventory) -> Ports:
    """Find the device behind each interface: those of the running-config, and the machine's other physical ones.

    Raises:
        ConfigError: an interface is not on this machine.
        Conflict: two interfaces are one device, or have one address.
    """
    ports: dict[str, Port] = {}
    for name in sorted({*config.ethernet, *_named(config)}):
        ethernet = config.ethernet.get(name) or Ethernet(name)
        ports[name] = Port(ethernet, _device(inventory, ethernet))
    taken: dict[object, str] = {}
    for name, port in ports.items():
        for thing in (port.device.name, *(a.ip for a in port.configured)):
            if (other := taken.setdefault(thing, name)) != name:
                raise Conflict(title("ethernet", name), f"{thing} is {other} already")
    unused = [d for d in inventory.devices if d.physical and d.name not in taken]
    numbers = {d.name: f"ethernet0/{n}" for n, d in enumerate(d for d in inventory.devices if d.physical)}
    return Ports(ports | {numbers[d.name]: Port(Ethernet(numbers[d.name]), d) for d in unused if numbers[d.name] not in ports})


def _named(config: Config) -> Iterable[str]:
    """Interfaces that other sections name; each of them must be on the machine, with a section or without."""
    tunnels: Iterable[Tunnel] = (t for section in TUNNELS.values() for t in getattr(config, section).values())
    for tunnel in tunnels:
        yield from (i for i in (tunnel.source, tunnel.interface) if isinstance(i, str))
    yield from (d for p in config.mirror_profile.values() for d in p.destinations if d.startswith("ethernet"))
    yield from (r.next_hop for r in config.routes.values() if isinstance(r.next_hop, str))


def _device(inventory: Inventory, ethernet: Ethernet) -> Device:
    if (device := inventory.find(ethernet.name, ethernet.device)) is not None:
        return device
    names = ", ".join(d.name for d in inventory.devices) or "none"
    if ethernet.device is not None:
        raise ConfigError(title("ethernet", ethernet.name), f'device "{ethernet.device}" is not on this machine, it has {names}')
    last = sum(d.physical for d in inventory.devices) - 1
    have = f"it has ethernet0/0 to ethernet0/{last}" if last > 0 else "it has only ethernet0/0" if last == 0 else "it has none"
    raise ConfigError(title("ethernet", ethernet.name), f"this machine has no such interface, {have}")
