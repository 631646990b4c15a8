"""What this machine can: tried for real, in a network namespace that goes again, so that nothing is left behind.

A process that may not make namespaces tries in its own, on a device that it makes and removes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface
from pathlib import Path

from pyroute2.netlink import NLM_F_CREATE
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_NEWQDISC

from hsadc.dataplane.bpf import clsact
from hsadc.dataplane.bpf.syscall import PERCPU_HASH, Map, MapShape, load_program
from hsadc.dataplane.netlink import Link, Netlink
from hsadc.dataplane.portable.output import Output, Way
from hsadc.dataplane.portable.tap import Tap
from hsadc.errors import Unsupported

YES = "yes"
_NAME = "hsadc-try"
_CLONE_NEWNET = 0x40000000
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_BPF": 39}
_LIBC = ctypes.CDLL(None, use_errno=True)
_INSTRUCTION = struct.Struct("=BBhi")
_SET, _CALL, _EXIT = 0xB7, 0x85, 0x95  # register = number; call a helper function; end
_STORE, _ATOMIC, _FETCH_ADD = 0x7B, 0xDB, 1  # store 64 bits; change them atomically; add, and return what was there
_TOP_OF_STACK, _ONE = 10, 1  # registers
_KTIME_COARSE = 160

_NO_WORDS: Mapping[int, str] = {}
_NO_CLSACT = {errno.ENOENT: "this kernel has no clsact queueing discipline (CONFIG_NET_SCH_INGRESS)"}
_NO_FILTER = {errno.ENOENT: "this kernel has no BPF traffic filters (CONFIG_NET_CLS_BPF)"}
_BPF_WORDS = {
    errno.ENOSYS: "this kernel has no bpf system call (CONFIG_BPF_SYSCALL)",
    errno.EINVAL: "this kernel is too old (Linux 5.12 has what the programs need)",
}
_BPF_NEEDS = ("CAP_BPF", "CAP_NET_ADMIN")


@dataclass(frozen=True, slots=True)
class Abilities:
    """Each is `yes`, or a line that says what is missing.

    Attributes:
        kernel: its release; no ability.
        bpf_map: maps of the kind that counters are in.
        bpf_program: programs for traffic control, with what ours need (Linux 5.12).
        clsact: the queueing discipline that programs hang on.
        bpf_filter: filters of such programs.
        ifb: the helper devices of tunnels.
        veth: pairs of devices.
        bridge: bridges.
        packet_socket: reading packets from AF_PACKET rings, and sending marked ones.
        address_protocol: addresses that say whose they are (IFA_PROTO).
    """

    kernel: str
    bpf_map: str
    bpf_program: str
    clsact: str
    bpf_filter: str
    ifb: str
    veth: str
    bridge: str
    packet_socket: str
    address_protocol: str

    @property
    def missing_for_bpf(self) -> str | None:
        """Why the mirror cannot be made of BPF programs; None when it can."""
        return self._first_missing("bpf_map", "bpf_program", "ifb", "clsact", "bpf_filter")

    @property
    def missing_for_portable(self) -> str | None:
        """Why the mirror cannot be made without BPF either; None when it can."""
        return self._first_missing("packet_socket")

    def _first_missing(self, *names: str) -> str | None:
        return next((text for name in names if (text := getattr(self, name)) != YES), None)


def abilities() -> Abilities:
    """Try everything.

    Raises:
        OSError: there is no rtnetlink, or no file descriptor left.
    """
    with ThreadPoolExecutor(1, "hsadc-ability") as thread:  # a namespace belongs to a thread, and goes with it
        return thread.submit(_try_all).result()


def _try_all() -> Abilities:
    _LIBC.unshare(_CLONE_NEWNET)  # when that is refused, the device below comes and goes in the process's own
    programs: list[int] = []
    try:
        bpf_map = _attempt(_make_map, _BPF_WORDS, _BPF_NEEDS)
        bpf_program = _attempt(lambda: programs.append(_load()), _BPF_WORDS, _BPF_NEEDS)
        with Netlink() as netlink:
            links = {kind: _attempt(partial(_make_link, netlink, kind), _no_link(kind)) for kind in ("ifb", "veth", "bridge")}
            kind = next((kind for kind, text in links.items() if text == YES), None)
            on_link = _try_on_link(netlink, kind, programs)
    finally:
        for program in programs:
            os.close(program)
    return Abilities(os.uname().release, bpf_map, bpf_program, **links, **on_link)


def _try_on_link(netlink: Netlink, kind: str | None, programs: Sequence[int]) -> dict[str, str]:
    """What is tried on a device of that kind."""
    if kind is None:
        untried = "not tried: no device can be made to try it on"
        found = dict.fromkeys(("clsact", "bpf_filter", "address_protocol"), untried)
        return found | {"packet_socket": _attempt(lambda: Output(Way(0)).close())}
    with _link(netlink, kind) as link:
        found = {
            "clsact": _attempt(partial(_add_clsact, netlink, link), _NO_CLSACT),
            "bpf_filter": "not tried: no program can be loaded",
            "packet_socket": _attempt(partial(_tap, link)),
            "address_protocol": _attempt(partial(_add_address, netlink, link)),
        }
        if programs:
            found["bpf_filter"] = _attempt(partial(clsact.attach, netlink, link.index, "hsadc_tap_in", programs[0]), _NO_FILTER)
    return found


def _attempt(action: Callable[[], None], words: Mapping[int, str] = _NO_WORDS, needed: Sequence[str] = ("CAP_NET_ADMIN",)) -> str:
    """`yes`, or why not: what its errno means, or which of the needed capabilities is missing."""
    try:
        action()
    except Unsupported as e:
        return e.cause
    except (OSError, NetlinkError) as e:
        code = (e.code if isinstance(e, NetlinkError) else e.errno) or errno.EIO
        if code in (errno.EPERM, errno.EACCES):
            return _refused(needed)
        return words.get(code, f"the kernel refuses: {os.strerror(code)}")
    return YES


def _refused(needed: Sequence[str]) -> str:
    status = Path("/proc/thread-self/status").read_text(encoding="utf-8", errors="replace")
    effective = int(status.split("CapEff:", 1)[1].split(None, 1)[0], 16)
    missing = [name for name in needed if not effective >> _CAPABILITIES[name] & 1]
    if missing:
        return f"the capabilit{'ies' if missing[1:] else 'y'} {' and '.join(missing)} {'are' if missing[1:] else 'is'} missing"
    return f"not allowed in this container: {' and '.join(needed)} of the machine itself would be needed"


def _make_map() -> None:
    Map.create("hsadc_try", MapShape(PERCPU_HASH, 4, 8, 1)).close()


def _load() -> int:
    """A program of the newest things that ours need: atomic operations that return a value (Linux 5.12), for one.

    The caller closes the descriptor.
    """
    pair = _ONE << 4 | _TOP_OF_STACK
    code = (
        (_SET, _ONE, 0, 1),
        (_STORE, pair, -8, 0),
        (_ATOMIC, pair, -8, _FETCH_ADD),
        (_CALL, 0, 0, _KTIME_COARSE),
        (_SET, 0, 0, 0),
        (_EXIT, 0, 0, 0),
    )
    return load_program("hsadc_try", b"".join(_INSTRUCTION.pack(*step) for step in code), "GPL")


def _no_link(kind: str) -> Mapping[int, str]:
    return {errno.EOPNOTSUPP: f"this kernel has no {kind} devices (CONFIG_{kind.upper()})"}


def _make_link(netlink: Netlink, kind: str) -> None:
    with _link(netlink, kind):
        pass


@contextmanager
def _link(netlink: Netlink, kind: str) -> Iterator[Link]:
    """A device of a kind, for as long as the block lasts."""
    netlink.add_link(_NAME, kind)
    link = netlink.link(_NAME)
    try:
        yield link
    finally:
        netlink.delete_link(link.index)


def _add_clsact(netlink: Netlink, link: Link) -> None:
    netlink.request(RTM_NEWQDISC, NLM_F_CREATE, {"TCA_KIND": "clsact"}, index=link.index, handle=0xFFFF0000, parent=0xFFFFFFF1)


def _tap(link: Link) -> None:
    Output(Way(link.index)).close()
    Tap(link.name, 8).close()


def _add_address(netlink: Netlink, link: Link) -> None:
    netlink.add_address(link.index, IPv4Interface("192.0.2.1/32"))  # for documentation (RFC 5737); the device is down
    if not any(address.index == link.index and address.ours for address in netlink.addresses()):
        raise Unsupported("mark an address", "this kernel forgets whose addresses are (IFA_PROTO is in Linux 5.18)")
