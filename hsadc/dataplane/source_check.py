"""Reverse path filters (rp_filter): switched off for one device and left in force for all others.

The kernel takes the larger one of two numbers (ip-sysctl.rst): the device's own and that of `all`. So `all` must become 0, and
each other device gets as its own number what was in force for it before; so does `default`, for devices that come later.
IPv6 has no such filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from hsadc.dataplane import sysctl
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.originals import Originals, Setting

_FOLDER = "ipv4/conf"
_NAME = "rp_filter"
_ALL, _DEFAULT = Setting("all", 0, _NAME), Setting("default", 0, _NAME)


def is_open(device: str) -> bool:
    """Whether no packet of a device is dropped for its source address; False when there is no such device."""
    return device in sysctl.children(_FOLDER) and _read(_ALL.device) == 0 == _read(device)


def open_for(device: str, netlink: Netlink, originals: Originals) -> None:
    """Switch the filter off for a device alone; what is changed of others is remembered first.

    Args:
        device: one of this thread's network namespace.
        netlink: a socket of that namespace.
        originals: of that namespace.

    Raises:
        OSError: the kernel refuses, or there is no such device.
    """
    _write(device, 0)
    if (most := _read(_ALL.device)) == 0:
        return
    originals.remember(_ALL, most)
    # First the others, so that none of them is open meanwhile.
    for setting in (_DEFAULT, *_devices(netlink)):
        with suppress(FileNotFoundError):  # a device may go at any time
            if setting.device != device and (own := _read(setting.device)) < most:
                originals.remember(setting, own)
                _write(setting.device, most)
    _write(_ALL.device, 0)


def is_changed(originals: Originals) -> bool:
    """Whether something is to be put back."""
    return any(s.name == _NAME for s in originals.settings())


def restore(netlink: Netlink, originals: Originals) -> None:
    """Put back what was changed; nothing when nothing was.

    A number that somebody else has set meanwhile stays as it is: only those that are as we made them are put back.
    """
    remembered = {s: own for s in originals.settings() if s.name == _NAME and (own := originals.get(s)) is not None}
    if (most := remembered.get(_ALL)) is not None and _read(_ALL.device) == 0:
        _write(_ALL.device, most)
    there = {_DEFAULT, *_devices(netlink)}
    for setting, own in remembered.items():
        with suppress(FileNotFoundError):
            if setting in there and _read(setting.device) == most:
                _write(setting.device, own)
        originals.forget(setting)


def _devices(netlink: Netlink) -> Iterator[Setting]:
    filtered = sysctl.children(_FOLDER)
    return (Setting(link.name, link.index, _NAME) for link in netlink.links() if link.name in filtered)


def _read(device: str) -> int:
    return sysctl.read(f"{_FOLDER}/{device}/{_NAME}")


def _write(device: str, number: int) -> None:
    sysctl.write(f"{_FOLDER}/{device}/{_NAME}", number)
