"""Addresses that devices must have."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface

from hsadc.intent.ports import Ports
from hsadc.model.config import Config


@dataclass(frozen=True, slots=True)
class AddressIntent:
    """An address with its prefix length on a Linux device."""

    device: str
    address: IPv4Interface | IPv6Interface

    @property
    def key(self) -> tuple[str, IPv4Interface | IPv6Address]:
        """IPv4: the whole, an address is there or not. An IPv6 address is on a device once, with one prefix length or another."""
        return self.device, self.address.ip if isinstance(self.address, IPv6Interface) else self.address

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.address} on {self.device}"


def compile_addresses(config: Config, ports: Ports) -> tuple[AddressIntent, ...]:
    """The addresses of the running-config."""
    return tuple(AddressIntent(p.device.name, a) for p in (ports[name] for name in config.ethernet) for a in p.configured)
