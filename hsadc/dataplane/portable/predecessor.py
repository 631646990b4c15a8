"""What the BPF path of an earlier run left in force.

Its programs outlive their process; beside them this path would have each packet copied twice.
"""

from __future__ import annotations

import errno

from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane.bpf import clsact
from hsadc.dataplane.helper_device import helpers, remove
from hsadc.dataplane.netlink import Netlink


def remove_programs(netlink: Netlink) -> None:
    """End that mirror; what others made stays. It needs CAP_NET_ADMIN alone: who starts without BPF may have no more.

    Raises:
        NetlinkError, OSError: the kernel refuses.
    """
    for attachment in _attachments(netlink):
        if attachment.name != "hsadc_encap":  # goes with its device
            clsact.detach(netlink, attachment.ifindex, attachment.name)
    for interface in helpers(netlink):
        remove(netlink, interface)


def _attachments(netlink: Netlink) -> list[clsact.Attachment]:
    try:
        return list(clsact.attachments(netlink))
    except NetlinkError as e:
        if e.code == errno.EOPNOTSUPP:  # a kernel without traffic control
            return []
        raise
