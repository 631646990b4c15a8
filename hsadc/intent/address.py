"""Addresses that devices must have."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface


@dataclass(frozen=True, slots=True)
class AddressIntent:
    """An address with its prefix length on a Linux device."""

    device: str
    address: IPv4Interface

    @property
    def key(self) -> tuple[str, IPv4Interface]:
        """The whole: an address is there or not."""
        return self.device, self.address
