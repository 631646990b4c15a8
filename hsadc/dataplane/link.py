"""Links: the MTU and the administrative state of devices that the system made.

A device is not created or deleted: to create a link object is to take a device under our rule, to delete it is to put back
what was changed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from pyroute2 import NetlinkError

from hsadc.dataplane.netlink import Link, Netlink
from hsadc.dataplane.originals import Originals, Setting
from hsadc.intent.link import LinkIntent

_NAMES = ("mtu_bytes", "up")
"""The settings that are this driver's to put back."""


class LinkDriver:
    """The driver of `LinkIntent`. It owns neither the socket nor the originals."""

    kind = "link"

    def __init__(self, netlink: Netlink, originals: Originals) -> None:
        self._netlink = netlink
        self._originals = originals

    def observe(self, wanted: Mapping[Hashable, LinkIntent]) -> Mapping[Hashable, LinkIntent]:
        """The devices that are wanted or have a setting that hsadc changed, as they are now.

        `mtu_bytes` is None where the original MTU is in force and no other is asked for: equal to what is wanted then.
        """
        changed = {(s.device, s.index) for s in self._originals.settings() if s.name in _NAMES}
        return {
            link.name: self._observed(link, wanted.get(link.name))
            for link in self._netlink.links()
            if link.name in wanted or (link.name, link.index) in changed
        }

    def prepare(self, wanted: Mapping[Hashable, LinkIntent]) -> None:
        """Nothing: only the kernel knows what a device accepts."""

    def create(self, new: LinkIntent) -> None:
        """Take a device under our rule."""
        self._apply(new)

    def change(self, old: LinkIntent, new: LinkIntent) -> None:  # noqa: ARG002  what is in force is read, not believed
        """Set what differs; what is as it was originally leaves our rule."""
        self._apply(new)

    def delete(self, old: LinkIntent) -> None:
        """Put the original settings back."""
        link = self._netlink.find_link(old.device)
        if link is not None:
            self._set(link, self._original(link, "mtu_bytes"), bool(self._original(link, "up")))

    def _observed(self, link: Link, wanted: LinkIntent | None) -> LinkIntent:
        free = wanted is None or wanted.mtu_bytes is None
        untouched = free and link.mtu_bytes == self._original(link, "mtu_bytes")
        return LinkIntent(link.name, link.up, None if untouched else link.mtu_bytes)

    def _apply(self, wanted: LinkIntent) -> None:
        link = self._netlink.link(wanted.device)
        mtu_bytes = self._original(link, "mtu_bytes") if wanted.mtu_bytes is None else wanted.mtu_bytes
        self._set(link, mtu_bytes, wanted.up)

    def _set(self, link: Link, mtu_bytes: int, up: bool) -> None:
        """All or nothing; the original is on disk before the kernel hears of another value."""
        if mtu_bytes != link.mtu_bytes:
            self._originals.remember(_setting(link, "mtu_bytes"), link.mtu_bytes)
        if up != link.up:
            self._originals.remember(_setting(link, "up"), link.up)
        try:
            if (mtu_bytes, up) != (link.mtu_bytes, link.up):
                self._netlink.set_link(
                    link.index,
                    mtu_bytes=mtu_bytes if mtu_bytes != link.mtu_bytes else None,
                    up=up if up != link.up else None,
                )
        except NetlinkError:
            # The kernel sets one after the other and does not go back.
            self._netlink.set_link(link.index, mtu_bytes=link.mtu_bytes, up=link.up)
            self._forget_restored(link, link.mtu_bytes, link.up)
            raise
        self._forget_restored(link, mtu_bytes, up)

    def _original(self, link: Link, name: str) -> int:
        value = self._originals.get(_setting(link, name))
        if value is not None:
            return value
        return link.mtu_bytes if name == "mtu_bytes" else link.up

    def _forget_restored(self, link: Link, mtu_bytes: int, up: bool) -> None:
        for name, now in (("mtu_bytes", mtu_bytes), ("up", up)):
            setting = _setting(link, name)
            if self._originals.get(setting) == now:
                self._originals.forget(setting)


def _setting(link: Link, name: str) -> Setting:
    return Setting(link.name, link.index, name)
