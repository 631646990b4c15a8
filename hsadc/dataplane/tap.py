"""Driver of taps: the programs that look at a device's packets, both those that come in and those that go out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping

from hsadc.dataplane.bpf import clsact
from hsadc.dataplane.bpf.loader import Objects
from hsadc.errors import ApplyError
from hsadc.intent.hop import DEVICE
from hsadc.intent.mirror import TapIntent

_ON_INTERFACES = ("hsadc_tap_in", "hsadc_tap_out")
_ON_HOP = ("hsadc_hop_in", "hsadc_hop_out")
"""For the clear hop, which has rules of its own."""


class TapDriver:
    """Makes taps; see `Driver`. Traffic passes a tap unchanged whatever becomes of the copies."""

    kind = "mirror tap"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def observe(self, wanted: Mapping[Hashable, TapIntent]) -> Mapping[Hashable, TapIntent]:
        """The devices with our filters; one that lacks a filter is left out while it is wanted, so that it is made again."""
        with self._objects.lock:
            if not self._objects.adopt():
                return {}
            netlink, hooks = self._objects.netlink, defaultdict[int, set[str]](set)
            for attachment in clsact.attachments(netlink):
                if attachment.name in (*_ON_INTERFACES, *_ON_HOP):
                    hooks[attachment.ifindex].add(attachment.name)
            found = [(TapIntent(link.name), hooks[link.index]) for link in netlink.links() if link.index in hooks]
            return {tap.key: tap for tap, attached in found if attached == {*_programs(tap)} or tap.key not in wanted}

    def prepare(self, wanted: Mapping[Hashable, TapIntent]) -> None:
        """Load the programs when there is a tap to make."""
        if wanted:
            with self._objects.lock:
                self._objects.load()

    def create(self, new: TapIntent) -> None:
        """Attach both programs."""
        with self._objects.lock:
            self._objects.load()
            link = self._objects.netlink.find_link(new.device)
            if link is None:
                raise ApplyError(f"tap {new.device}", "the device does not exist")
            try:
                for name in _programs(new):
                    self._objects.attach(link.index, name)
            except BaseException:
                self.delete(new)
                raise

    def change(self, old: TapIntent, new: TapIntent) -> None:
        """Nothing can differ between taps of one device."""

    def delete(self, old: TapIntent) -> None:
        """Detach both programs, and remove the clsact when nobody has a filter on it."""
        with self._objects.lock:
            link = self._objects.netlink.find_link(old.device)
            if link is not None:
                for name in _programs(old):
                    clsact.detach(self._objects.netlink, link.index, name)
            self._objects.release()


def _programs(tap: TapIntent) -> tuple[str, str]:
    return _ON_HOP if tap.device == DEVICE else _ON_INTERFACES
