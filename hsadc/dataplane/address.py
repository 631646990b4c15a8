"""Addresses of devices."""

from __future__ import annotations

import errno
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv6Interface
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane.netlink import Address, Netlink
from hsadc.errors import ApplyError, Unsupported
from hsadc.intent.address import AddressIntent

_SYSCTL = Path("/proc/sys/net/ipv4/conf")
"""Of the reading thread's network namespace, the same that its netlink socket was made in."""


class AddressDriver:
    """The driver of `AddressIntent`. It does not own the socket."""

    kind = "address"

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink

    def observe(self, wanted: Mapping[Hashable, AddressIntent]) -> Mapping[Hashable, AddressIntent]:
        """Our addresses, and the wanted ones that the system has given itself."""
        names = {link.index: link.name for link in self._netlink.links()}
        found: dict[Hashable, AddressIntent] = {}
        for a in self._netlink.addresses():
            intent = AddressIntent(names.get(a.index, ""), a.interface)
            # Without a name the device came after the first question; its addresses are seen next time.
            if intent.device and (a.ours or intent.key in wanted):
                found[intent.key] = intent
        return found

    def prepare(self, wanted: Mapping[Hashable, AddressIntent]) -> None:
        """Nothing: only the kernel knows."""

    def create(self, new: AddressIntent) -> None:
        """Add the address; the device's other ones, and what uses them, notice nothing."""
        index = self._netlink.link(new.device).index
        self._add(index, new)
        added = self._find(index, new)
        if added is None or not added.ours:
            self._netlink.delete_address(index, new.address)
            raise Unsupported(f"create address {new}", "this kernel does not keep who made an address: Linux 5.18 does")

    def change(self, old: AddressIntent, new: AddressIntent) -> None:
        """Give an IPv6 address another prefix length, which takes a moment without it; the key of an IPv4 address is the whole.

        Raises:
            ApplyError: the address with its old length is the system's.
        """
        index = self._netlink.link(new.device).index
        held = self._find(index, old)
        if held is not None and not held.ours:
            raise ApplyError(f"change address {new}", f"the system gave it as {old.address}: configure that, or remove it there")
        if held is not None:
            self._netlink.delete_address(index, old.address)
        try:
            self.create(new)
        except BaseException:
            self._netlink.add_address(index, old.address)
            raise

    def _add(self, index: int, new: AddressIntent) -> None:
        try:
            self._netlink.add_address(index, new.address)
        except NetlinkError as e:
            if e.code == errno.EACCES and isinstance(new.address, IPv6Interface):
                switch = f"net.ipv6.conf.{new.device}.disable_ipv6"
                raise ApplyError(f"create address {new}", f"IPv6 is switched off on {new.device}: {switch}=0 allows it") from e
            raise

    def delete(self, old: AddressIntent) -> None:
        """Remove the address if it is ours, and no other with it."""
        link = self._netlink.find_link(old.device)
        gone = self._find(link.index, old) if link else None
        if link is None or gone is None or not gone.ours:
            return
        if any(_follows(a, gone) for a in self._netlink.addresses()):
            with _promotion(link.name):
                self._netlink.delete_address(link.index, old.address)
        else:
            self._netlink.delete_address(link.index, old.address)

    def _find(self, index: int, wanted: AddressIntent) -> Address | None:
        addresses = self._netlink.addresses()
        return next((a for a in addresses if a.index == index and a.interface == wanted.address), None)


def _follows(address: Address, primary: Address) -> bool:
    """Whether the kernel would delete `address` with `primary`."""
    same_subnet = address.index == primary.index and address.interface.network == primary.interface.network
    return same_subnet and address.secondary and not primary.secondary


@contextmanager
def _promotion(device: str) -> Iterator[None]:
    """While it lasts, a secondary address takes the place of a primary one that is deleted.

    Otherwise Linux deletes the subnet's other addresses too, those of others included, and with the last address of the device
    every route through it; to add them again afterwards would be too late for the packets in between, and for the routes.
    """
    switch = _SYSCTL / device / "promote_secondaries"
    before = switch.read_text()
    switch.write_text("1")
    try:
        yield
    finally:
        switch.write_text(before)
