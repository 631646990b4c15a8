"""Driver of taps without BPF: see `hsadc.dataplane.tap` for those with."""

from __future__ import annotations

import errno
import socket
from collections.abc import Hashable, Mapping

from hsadc.dataplane.portable.copier import Copier
from hsadc.dataplane.portable.tap import Tap
from hsadc.errors import ApplyError
from hsadc.intent.mirror import TapIntent


class TapDriver:
    """Makes taps; see `Driver`. Traffic passes a tap unchanged whatever becomes of the copies."""

    kind = "mirror tap"

    def __init__(self, copier: Copier) -> None:
        self._copier = copier

    def observe(self, wanted: Mapping[Hashable, TapIntent]) -> Mapping[Hashable, TapIntent]:
        """The taps; one whose device is gone is left out while it is wanted, so that it is made again on the new one."""
        taps = self._copier.taps().values()
        return {tap.device: TapIntent(tap.device) for tap in taps if tap.device not in wanted or _is_in_place(tap)}

    def prepare(self, wanted: Mapping[Hashable, TapIntent]) -> None:
        """Nothing can fail later that could be tried now."""

    def create(self, new: TapIntent) -> None:
        """Open it, in place of one that has lost its device.

        Raises:
            ApplyError: the device does not exist.
            OSError: there is no memory.
        """
        try:
            tap = Tap(new.device)
        except OSError as e:
            if e.errno == errno.ENODEV:
                raise ApplyError(f"tap {new.device}", "the device does not exist") from e
            raise
        self.delete(new)
        self._copier.add_tap(tap)

    def change(self, old: TapIntent, new: TapIntent) -> None:
        """Nothing can differ between taps of one device."""

    def delete(self, old: TapIntent) -> None:
        """Close it; also right when it is gone already."""
        tap = self._copier.taps().get(old.device)
        if tap is not None:
            self._copier.remove_tap(tap)


def _is_in_place(tap: Tap) -> bool:
    """Whether its device is still the one of that name."""
    try:
        return socket.if_nametoindex(tap.device) == tap.ifindex
    except OSError:
        return False
