"""Forwarding of packets between devices: switched on where it is needed and was not, and off again afterwards.

With IPv6 a device that forwards takes no more advice from routers (`accept_ra` 1 means "unless forwarding", 2 means "always")
and forgets the default route that it had from them: those that listened go on listening.
"""

from __future__ import annotations

import socket
from contextlib import suppress

from hsadc.dataplane import sysctl
from hsadc.dataplane.originals import Originals, Setting

_SWITCHES = {4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}
_CONF = "ipv6/conf"
_ALWAYS = 2


class Forwarding:
    """The forwarding of this network namespace, by family: 4 or 6. It does not own the originals."""

    def __init__(self, originals: Originals) -> None:
        self._originals = originals

    def on(self, family: int) -> bool:
        """Whether packets are forwarded now.

        Raises:
            OSError: the kernel does not have the family.
        """
        return sysctl.read(_SWITCHES[family]) != 0

    def ours(self, family: int) -> bool:
        """Whether it would be off without hsadc."""
        return self._originals.get(_shared(_SWITCHES[family])) == 0

    def switch_on(self, family: int) -> None:
        """Forward packets; nothing when they are forwarded already.

        Raises:
            OSError: the kernel or the disk refuses.
        """
        if self.on(family):
            return
        if family == 6:
            self._listen_on()
        self._originals.remember(_shared(_SWITCHES[family]), 0)
        sysctl.write(_SWITCHES[family], 1)

    def put_back(self, family: int) -> None:
        """Have it as it was before `switch_on`; nothing when that did nothing.

        Raises:
            OSError: the kernel or the disk refuses.
        """
        if self.ours(family):
            if self.on(family):
                sysctl.write(_SWITCHES[family], 0)
            self._originals.forget(_shared(_SWITCHES[family]))
        if family == 6:
            self._listen_as_before()

    def _listen_on(self) -> None:
        for device in sysctl.children(_CONF):
            with suppress(FileNotFoundError):  # a device may go at any time
                self._listen_on_device(device)

    def _listen_on_device(self, device: str) -> None:
        name = _advice(device)
        if device == "all" or sysctl.read(name) != 1 or (index := _index(device)) is None:
            return
        self._originals.remember(Setting(device, index, name), 1)
        sysctl.write(name, _ALWAYS)

    def _listen_as_before(self) -> None:
        for setting in self._originals.settings():
            if setting.name != _advice(setting.device):
                continue
            with suppress(FileNotFoundError):
                if _index(setting.device) == setting.index and sysctl.read(setting.name) == _ALWAYS:
                    sysctl.write(setting.name, 1)
            self._originals.forget(setting)


def _shared(name: str) -> Setting:
    return Setting("", 0, name)


def _advice(device: str) -> str:
    return f"{_CONF}/{device}/accept_ra"


def _index(device: str) -> int | None:
    """The kernel's number of a device, 0 for what new ones begin with; None when it is gone."""
    if device == "default":
        return 0
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return None
