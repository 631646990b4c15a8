"""The clear hop: a cable between this network namespace and one of its own, which HAProxy crosses with what TLS hides.

    this namespace                                                        hsadc-hop-...
    TLS leg   --- its sockets are bound to the device --> hsadc-hop ====== hsadc-hop --> clear leg: listens on the virtual
              <-- from those addresses -----------------                                 servers' addresses

Both ends take all that comes from the cable as their own, whatever its addresses are: the clients' and the virtual servers'.
Neither asks for hardware addresses: both have the same one, so each frame is for the end that it comes to. Connection tracking
is left out, as the hop repeats the addresses and ports of the connections that it is for.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Hashable, Mapping

from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane import lost_namespace, namespace, source_check
from hsadc.dataplane.claim import is_claimed
from hsadc.dataplane.fixed_table import Chain, FixedTable
from hsadc.dataplane.hop_end import FAR, NEAR
from hsadc.dataplane.netlink import Link, Netlink
from hsadc.dataplane.originals import Originals, kernel_identity
from hsadc.errors import Unsupported
from hsadc.intent.hop import DEVICE, HopIntent

_UNTRACKED = FixedTable(
    "hsadc_hop",
    (
        Chain("received", "hook prerouting priority raw", (f'iifname "{DEVICE}" notrack',)),
        Chain("sent", "hook output priority raw", (f'oifname "{DEVICE}" notrack',)),
    ),
    "what exempts packets from connection tracking (CONFIG_NFT_CT)",
)


def hop_namespace() -> str:
    """The name of the hop's other namespace: of this one there is no other.

    Raises:
        OSError: the kernel is older than 5.14.
    """
    return f"{DEVICE}-{kernel_identity().rpartition('/')[2]}"


_INCOMPLETE = HopIntent("")
"""One that lacks a piece: HAProxy may use the others."""


class HopDriver:
    """The driver of `HopIntent`, for one transaction, in the thread's network namespace. It owns neither socket nor originals."""

    kind = "clear hop"

    def __init__(self, netlink: Netlink, originals: Originals) -> None:
        self._netlink = netlink
        self._originals = originals

    def observe(self, wanted: Mapping[Hashable, HopIntent]) -> Mapping[Hashable, HopIntent]:
        """The hop; while it is wanted, one that lacks a piece is told as another, so that the piece is made again."""
        found = next(iter(wanted.values()), HopIntent(hop_namespace()))
        if not self._is_there(found.namespace):
            return {}
        return {found.key: _INCOMPLETE if wanted and not self._is_right(found.namespace) else found}

    def prepare(self, wanted: Mapping[Hashable, HopIntent]) -> None:
        """Nothing can fail later that could be tried now."""

    def create(self, new: HopIntent) -> None:
        """Make it.

        Raises:
            Unsupported: the kernel lacks something.
        """
        try:
            self._make(new.namespace)
        except BaseException:
            self.delete(new)
            raise

    def change(self, old: HopIntent, new: HopIntent) -> None:  # noqa: ARG002  what is missing is looked for
        """Make what is missing; connections that cross it go on where the cable is there. To go back there is nothing to do.

        Raises:
            Unsupported: the kernel lacks something.
        """
        if new != _INCOMPLETE:
            self._make(new.namespace)

    def delete(self, old: HopIntent) -> None:
        """Remove it, with its namespace, and what it changed of other devices."""
        NEAR.remove()
        with namespace.alone():
            namespace.remove(old.namespace)
        source_check.restore(self._netlink, self._originals)
        _UNTRACKED.remove()

    def _is_right(self, name: str) -> bool:
        return (
            self._is_cable(name)
            and NEAR.is_right()
            and namespace.within(name, FAR.is_right)
            and source_check.is_open(DEVICE)
            and _UNTRACKED.is_right()
        )

    def _is_there(self, name: str) -> bool:
        # A table alone, of a process that was killed half way, concerns no packet; to look for it would cost every transaction.
        return NEAR.is_there() or namespace.exists(name) or source_check.is_changed(self._originals)

    def _is_cable(self, name: str) -> bool:
        """Whether the device leads to that namespace."""
        return namespace.exists(name) and self._leads_to(name)

    def _leads_to(self, which: str | int) -> bool:
        near, far = self._netlink.find_link(DEVICE), namespace.within(which, _find_device)
        return near is not None and far is not None and (near.other_end, near.index) == (far.index, far.other_end)

    def _make(self, name: str) -> None:
        _UNTRACKED.make()
        if not self._is_cable(name):
            with namespace.alone():
                _remove_orphans(name)
                self._find_namespace(name)
                if not self._is_cable(name):
                    self._lay_cable(name)
        namespace.within(name, FAR.make)
        NEAR.make()
        source_check.open_for(DEVICE, self._netlink, self._originals)

    def _find_namespace(self, name: str) -> None:
        """Give the namespace that was the hop's its name again, when it has lost that and can be found."""
        if namespace.exists(name) or (found := lost_namespace.find(_has_far_end)) is None:
            return
        try:
            namespace.rename(found, name)
        finally:
            os.close(found)

    def _lay_cable(self, name: str) -> None:
        """In place of one that leads nowhere."""
        if (near := self._netlink.find_link(DEVICE)) is not None:
            self._netlink.delete_link(near.index)
        if not namespace.exists(name):
            namespace.create(name)
        with (namespace.FOLDER / name).open("rb") as other:
            try:
                self._netlink.add_cable(DEVICE, other.fileno())
            except NetlinkError as e:
                if e.code == errno.EOPNOTSUPP:
                    raise Unsupported("make the clear hop", "this kernel has no veth devices (CONFIG_VETH)") from e
                raise


def _remove_orphans(own: str) -> None:
    """Remove other hops' namespaces that lead nowhere: the near end went with the network that it was in, and its process."""
    for name in namespace.names(f"{DEVICE}-"):
        if name != own and not is_claimed(name.rpartition("-")[2]) and namespace.within(name, _find_device) is None:
            namespace.remove(name)


def _has_far_end(which: int) -> bool:
    """Whether there is anything of a hop's far end: its rules stay when the cable is gone."""
    return namespace.within(which, FAR.is_there)


def _find_device() -> Link | None:
    """That of this thread's namespace."""
    with Netlink() as netlink:
        return netlink.find_link(DEVICE)
