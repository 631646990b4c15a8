"""Filters at a device's clsact hooks: how programs are attached, recognised and removed.

A filter of ours is recognised by its handle and by a name that begins with `hsadc_`. It goes on working when its process dies,
and the kernel removes it with its device.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hsadc.errors import Unsupported

INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
HOOKS = {"hsadc_tap_in": INGRESS, "hsadc_tap_out": EGRESS, "hsadc_encap": EGRESS}
"""Where the program of each name belongs."""

# First in order, so that no other filter's verdict hides a packet; the handle keeps filters of others apart that are first too.
_PRIORITY, _HANDLE, _ETH_P_ALL = 1, 0x4853, 3
_TCA_BPF_ID = 11
_EEXIST, _ENOENT, _ENODEV, _EINVAL = 17, 2, 19, 22


@dataclass(frozen=True, slots=True)
class Attachment:
    """A filter of ours: the device's index, the filter's name and the id of its program."""

    ifindex: int
    name: str
    program_id: int


def attach(netlink: IPRoute, ifindex: int, name: str, program_fd: int) -> None:
    """Attach the program at its hook; one that is there already is replaced in one step.

    Raises:
        Unsupported: the kernel has no clsact or no BPF filters.
        NetlinkError: it refuses otherwise.
    """
    try:
        netlink.tc("add", "clsact", ifindex)
    except NetlinkError as e:
        if e.code == _ENOENT:
            raise Unsupported(
                "attach the mirror", "this kernel has no clsact queueing discipline (CONFIG_NET_SCH_INGRESS)"
            ) from e
        if e.code != _EEXIST:
            raise
    try:
        netlink.tc(
            "replace-filter",
            "bpf",
            ifindex,
            handle=_HANDLE,
            fd=program_fd,
            name=name,
            parent=HOOKS[name],
            prio=_PRIORITY,
            protocol=_ETH_P_ALL,
            classid=1,
            direct_action=True,
        )
    except NetlinkError as e:
        if e.code == _ENOENT:
            raise Unsupported("attach the mirror", "this kernel has no BPF traffic filters (CONFIG_NET_CLS_BPF)") from e
        raise


def detach(netlink: IPRoute, ifindex: int, name: str) -> None:
    """Remove the filter, and the clsact when nobody has a filter on it; also right when device or filter are gone already."""
    try:
        netlink.tc("del-filter", "bpf", ifindex, handle=_HANDLE, parent=HOOKS[name], prio=_PRIORITY, protocol=_ETH_P_ALL)
    except NetlinkError as e:
        if e.code not in (_ENOENT, _ENODEV, _EINVAL):
            raise
    try:
        if not any(list(netlink.get_filters(index=ifindex, parent=hook)) for hook in (INGRESS, EGRESS)):
            netlink.tc("del", "clsact", ifindex)
    except NetlinkError as e:
        if e.code not in (_ENOENT, _ENODEV, _EINVAL):
            raise


def attachments(netlink: IPRoute) -> Iterator[Attachment]:
    """All filters of ours in this network namespace."""
    for qdisc in list(netlink.get_qdiscs()):
        if qdisc.get("kind") == "clsact":
            for hook in (INGRESS, EGRESS):
                yield from _on(netlink, qdisc["index"], hook)


def _on(netlink: IPRoute, ifindex: int, hook: int) -> Iterator[Attachment]:
    for found in list(netlink.get_filters(index=ifindex, parent=hook)):
        options = found.get_attr("TCA_OPTIONS")
        if found["handle"] != _HANDLE or found.get_attr("TCA_KIND") != "bpf" or options is None:
            continue
        name = options.get_attr("TCA_BPF_NAME") or ""
        if HOOKS.get(name) == hook:
            yield Attachment(ifindex, name, _program_id(options))


def _program_id(options: Any) -> int:
    """The program's id, an attribute that pyroute2 hands on undecoded (after its header of 4 bytes)."""
    raw = next(value for name, value in options["attrs"] if name == "UNKNOWN" and value["header"]["type"] == _TCA_BPF_ID)
    return int.from_bytes(raw.data[raw.offset + 4 : raw.offset + 8], sys.byteorder)
