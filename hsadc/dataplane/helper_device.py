"""Helper devices: where a copy becomes an outer packet.

A tunnel has one device (`ifb`) whose egress runs the encapsulator; nothing is ever sent by the device itself. Where packets
must be dealt with one by one as they are on the wire (numbered, checksummed, cut), copies are handed to a bridge that has it as
its only port: the kernel segments what it sends through a device without offloads, and fills in checksums, in the same call, in
order, without a queue in between.

    tunnel1      hsadc-tun1      hsadc-brt1
    ethernet0/2  hsadc-eth0.2    hsadc-bre0.2
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path

from pyroute2.netlink import NLM_F_CREATE, NLM_F_REPLACE
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_NEWQDISC

from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.offload import finish_frames
from hsadc.errors import Unsupported

_HELPER = re.compile(r"hsadc-(?:tun(\d+)|eth(\d+)\.(\d+))")
_BRIDGE = re.compile(r"hsadc-br(?:t(\d+)|e(\d+)\.(\d+))")
_KIND, _MTU = "ifb", 65535
_ROOT = 0xFFFFFFFF
"""TC_H_ROOT: where a device's own queueing discipline is."""
_MISSING = {"ifb": "ifb devices (CONFIG_IFB)", "bridge": "bridges (CONFIG_BRIDGE), which numbered or shortened copies need"}
_SILENT = {"IFLA_BR_STP_STATE": 0, "IFLA_BR_FORWARD_DELAY": 0, "IFLA_BR_MCAST_SNOOPING": 0}


def helper_name(interface: str) -> str:
    """The helper device of a tunnel or Ethernet interface."""
    return f"hsadc-{_short(interface)}"


def bridge_name(interface: str) -> str:
    """The bridge on it."""
    short = _short(interface)
    return f"hsadc-br{short[0]}{short[3:]}"


def _short(interface: str) -> str:
    return interface.replace("tunnel", "tun").replace("ethernet", "eth").replace("/", ".")


def helpers(netlink: Netlink) -> dict[str, int]:
    """Index of the helper device of each interface that has one."""
    return {
        _interface(name): link.index for link in netlink.links() if link.kind == _KIND and (name := _HELPER.fullmatch(link.name))
    }


def bridged(netlink: Netlink) -> set[str]:
    """The interfaces that have a bridge, with a helper device or without."""
    return {_interface(name) for link in netlink.links() if link.kind == "bridge" and (name := _BRIDGE.fullmatch(link.name))}


def _interface(name: re.Match[str]) -> str:
    return f"tunnel{name[1]}" if name[1] else f"ethernet{name[2]}/{name[3]}"


def make_helper(netlink: Netlink, interface: str) -> int:
    """Make the device, or take the one that is there. It must stay silent: what it sent of its own would be encapsulated.

    Returns:
        Its index.

    Raises:
        Unsupported: the kernel has no such devices.
    """
    index = _make(netlink, helper_name(interface), _KIND, {})
    _swallow(netlink, index)
    return index


def make_bridge(netlink: Netlink, interface: str) -> int:
    """Make the bridge on a helper device that is there, or take the one that is there.

    Returns:
        Its index.

    Raises:
        Unsupported: the kernel has no bridges.
    """
    name = bridge_name(interface)
    port = netlink.link(helper_name(interface))
    index = _make(netlink, name, "bridge", _SILENT)
    finish_frames(name)
    if port.master != index:
        netlink.set_master(port.index, index)
    return index


def remove(netlink: Netlink, interface: str) -> None:
    """Remove both devices; also right when they are gone already."""
    for name in (bridge_name(interface), helper_name(interface)):
        if (link := netlink.find_link(name)) is not None:
            netlink.delete_link(link.index)


def _swallow(netlink: Netlink, index: int) -> None:
    """Drop what the encapsulator does not take, because somebody has removed it by hand.

    Left to itself an `ifb` gives a redirected packet back to the device that it was received on: the traffic's receiver would get
    each packet twice. A queueing discipline comes after the encapsulator's hook and before the device.
    """
    netlink.request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, {"TCA_KIND": "blackhole"}, index=index, parent=_ROOT)


def _make(netlink: Netlink, name: str, kind: str, settings: Mapping[str, int]) -> int:
    if netlink.find_link(name) is None:
        try:
            netlink.add_link(name, kind, settings)
        except NetlinkError as e:
            if e.code == errno.EOPNOTSUPP:
                raise Unsupported(f"create device {name}", f"this kernel has no {_MISSING[kind]}") from e
            raise
    index = netlink.link(name).index
    ipv6 = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1")
    netlink.set_link(index, mtu_bytes=_MTU, arp=False, up=True)
    return index
