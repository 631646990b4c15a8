"""Filters at a device's clsact hooks: how programs are attached, recognised and removed.

A filter of ours is recognised by its handle and by a name that begins with `hsadc_`. It goes on working when its process dies,
and the kernel removes it with its device.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import (
    RTM_DELQDISC,
    RTM_DELTFILTER,
    RTM_GETQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
)

from hsadc.dataplane.rtnetlink import RtnetlinkSocket
from hsadc.errors import Unsupported

INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
HOOKS = {
    "hsadc_tap_in": INGRESS,
    "hsadc_tap_out": EGRESS,
    "hsadc_hop_in": INGRESS,
    "hsadc_hop_out": EGRESS,
    "hsadc_encap": EGRESS,
}
"""Where the program of each name belongs."""

# First in order, so that no other filter's verdict hides a packet; the handle keeps filters of others apart that are first too.
_PRIORITY, _HANDLE, _ETH_P_ALL = 1, 0x4853, 3
_WHICH = {"handle": _HANDLE, "info": _PRIORITY << 16 | socket.htons(_ETH_P_ALL)}
_CLSACT = {"handle": 0xFFFF0000, "parent": 0xFFFFFFF1}
_TCA_BPF_FLAG_ACT_DIRECT = 1
_TCA_BPF_ID = 11
_GONE = (errno.ENOENT, errno.ENODEV, errno.EINVAL)
"""What the kernel says when filter, device or clsact do not exist."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A filter of ours: the device's index, the filter's name and the id of its program."""

    ifindex: int
    name: str
    program_id: int


def attach(netlink: RtnetlinkSocket, ifindex: int, name: str, program_fd: int) -> None:
    """Attach the program at its hook; one that is there already is replaced in one step.

    Raises:
        Unsupported: the kernel has no clsact or no BPF filters.
        NetlinkError: it refuses otherwise.
    """
    try:
        netlink.request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, {"TCA_KIND": "clsact"}, index=ifindex, **_CLSACT)
    except NetlinkError as e:
        if e.code == errno.ENOENT:
            raise Unsupported(
                "attach the mirror", "this kernel has no clsact queueing discipline (CONFIG_NET_SCH_INGRESS)"
            ) from e
        if e.code != errno.EEXIST:
            raise
    options = [
        ("TCA_BPF_CLASSID", 1),
        ("TCA_BPF_FD", program_fd),
        ("TCA_BPF_NAME", name),
        ("TCA_BPF_FLAGS", _TCA_BPF_FLAG_ACT_DIRECT),
    ]
    attributes = {"TCA_KIND": "bpf", "TCA_OPTIONS": {"attrs": options}}
    try:
        netlink.request(RTM_NEWTFILTER, NLM_F_CREATE, attributes, index=ifindex, parent=HOOKS[name], **_WHICH)
    except NetlinkError as e:
        if e.code == errno.ENOENT:
            raise Unsupported("attach the mirror", "this kernel has no BPF traffic filters (CONFIG_NET_CLS_BPF)") from e
        raise


def detach(netlink: RtnetlinkSocket, ifindex: int, name: str) -> None:
    """Remove the filter, and the clsact when nobody has a filter on it; also right when device or filter are gone already."""
    try:
        netlink.request(RTM_DELTFILTER, 0, {"TCA_KIND": "bpf"}, index=ifindex, parent=HOOKS[name], **_WHICH)
    except NetlinkError as e:
        if e.code not in _GONE:
            raise
    try:
        if not any(netlink.dump(RTM_GETTFILTER, index=ifindex, parent=hook) for hook in (INGRESS, EGRESS)):
            netlink.request(RTM_DELQDISC, 0, {"TCA_KIND": "clsact"}, index=ifindex, **_CLSACT)
    except NetlinkError as e:
        if e.code not in _GONE:
            raise


def attachments(netlink: RtnetlinkSocket) -> Iterator[Attachment]:
    """All filters of ours in the socket's network namespace."""
    for qdisc in netlink.dump(RTM_GETQDISC):
        if qdisc.get_attr("TCA_KIND") == "clsact":
            for hook in (INGRESS, EGRESS):
                yield from _on(netlink, qdisc["index"], hook)


def _on(netlink: RtnetlinkSocket, ifindex: int, hook: int) -> Iterator[Attachment]:
    for found in netlink.dump(RTM_GETTFILTER, index=ifindex, parent=hook):
        if found["handle"] != _HANDLE or found.get_attr("TCA_KIND") != "bpf":
            continue
        options = found.get_attr("TCA_OPTIONS")
        if options is None:
            continue
        name = options.get_attr("TCA_BPF_NAME") or ""
        if HOOKS.get(name) == hook:
            yield Attachment(ifindex, name, _program_id(options))


def _program_id(options: Any) -> int:
    """The program's id, an attribute that pyroute2 hands on undecoded (after its header of 4 bytes)."""
    raw = next(value for name, value in options["attrs"] if name == "UNKNOWN" and value["header"]["type"] == _TCA_BPF_ID)
    return int.from_bytes(raw.data[raw.offset + 4 : raw.offset + 8], sys.byteorder)
