"""Addresses that devices must have."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface

from hsadc.intent.ports import Ports
from hsadc.model.config import Config


@dataclass(frozen=True, slots=True)
class AddressIntent:
    """An address with its prefix length on a Linux device."""

    device: str
    address: IPv4Interface

    @property
    def key(self) -> tuple[str, IPv4Interface]:
        """The whole: an address is there or not."""
        return self.device, self.address

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.address} on {self.device}"


def compile_addresses(config: Config, ports: Ports) -> tuple[AddressIntent, ...]:
    """The addresses of the running-config."""
    return tuple(AddressIntent(ports[e.name].device.name, a) for e in config.ethernet.values() for a in e.addresses)
