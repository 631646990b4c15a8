"""What a machine can: told by a process that has lost a privilege, from what really happens to it."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from hsadc.dataplane import ability, netlink
from hsadc.dataplane.ability import abilities
from hsadc.errors import Unsupported
from tests.netns.conftest import Net

pytestmark = pytest.mark.netns
_ASK = "import dataclasses, json; from hsadc.dataplane.ability import abilities as a; print(json.dumps(dataclasses.asdict(a())))"


def told(net: Net, *start: str) -> dict[str, str]:
    """What a process says that is started so; afterwards the namespace has the devices that it had."""
    before = net.ip("-o link")
    command = ["ip", "netns", "exec", net.near, *start, sys.executable, "-c", _ASK]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert net.ip("-o link") == before
    return json.loads(done.stdout)


def without(capabilities: str) -> list[str]:
    return ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]


def test_this_machine_can_do_everything(net: Net) -> None:
    found = told(net)
    assert found.pop("kernel") == os.uname().release
    assert set(found.values()) == {"yes"}


def test_nothing_is_left_open(net: Net) -> None:
    abilities()  # what is opened once and for all
    before = sorted(os.listdir("/proc/self/fd")), net.ip("-o link"), net.ip("address"), os.readlink("/proc/thread-self/ns/net")
    found = abilities()
    after = sorted(os.listdir("/proc/self/fd")), net.ip("-o link"), net.ip("address"), os.readlink("/proc/thread-self/ns/net")
    assert before == after
    assert (found.missing_for_bpf, found.missing_for_portable) == (None, None)


def test_without_cap_bpf(net: Net) -> None:
    """Nor CAP_SYS_ADMIN, which stands for it; so all is tried in the process's own namespace."""
    found = told(net, *without("-bpf,-sys_admin"))
    assert found["bpf_map"] == found["bpf_program"] == "the capability CAP_BPF is missing"
    assert found["bpf_filter"] == "not tried: no program can be loaded"
    assert {found[name] for name in ("clsact", "ifb", "veth", "bridge", "packet_socket", "address_protocol")} == {"yes"}


def test_without_cap_net_raw(net: Net) -> None:
    found = told(net, *without("-net_raw"))
    assert found["packet_socket"] == "the capability CAP_NET_RAW is missing"
    assert found["bpf_filter"] == "yes"


def test_without_cap_net_admin(net: Net) -> None:
    found = told(net, *without("-net_admin"))
    assert found["ifb"] == found["veth"] == found["bridge"] == "the capability CAP_NET_ADMIN is missing"
    assert found["clsact"] == found["address_protocol"] == "not tried: no device can be made to try it on"


def test_without_any_capability(net: Net) -> None:
    found = told(net, *without("-all"))
    assert found["bpf_program"] == "the capabilities CAP_BPF and CAP_NET_ADMIN are missing"
    assert found["packet_socket"] == "the capability CAP_NET_RAW is missing"


def test_in_a_container(net: Net) -> None:
    """Root of a user namespace has all capabilities, but BPF asks for those of the machine."""
    found = told(net, "unshare", "--user", "--map-root-user", "--net")
    wanted = "not allowed in this container: CAP_BPF and CAP_NET_ADMIN of the machine itself would be needed"
    assert found["bpf_map"] == found["bpf_program"] == wanted
    assert {found[name] for name in ("clsact", "ifb", "veth", "bridge", "packet_socket", "address_protocol")} == {"yes"}


@pytest.mark.parametrize(
    ("name", "error", "ability_name", "text"),
    [
        ("_make_map", errno.ENOSYS, "bpf_map", "this kernel has no bpf system call (CONFIG_BPF_SYSCALL)"),
        ("_load", errno.EINVAL, "bpf_program", "this kernel is too old (Linux 5.12 has what the programs need)"),
        ("_make_link", errno.EOPNOTSUPP, "ifb", "this kernel has no ifb devices (CONFIG_IFB)"),
        ("_add_clsact", errno.ENOENT, "clsact", "this kernel has no clsact queueing discipline (CONFIG_NET_SCH_INGRESS)"),
        ("_add_clsact", errno.EBUSY, "clsact", "the kernel refuses: Device or resource busy"),
        ("_tap", errno.ENOMEM, "packet_socket", "the kernel refuses: Cannot allocate memory"),
    ],
)
def test_what_a_poorer_kernel_says(net: Net, monkeypatch, name: str, error: int, ability_name: str, text: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(ability, name, refuse)
    found = abilities()
    assert getattr(found, ability_name) == text
    assert text in (found.missing_for_bpf, found.missing_for_portable)


def test_addresses_that_forget_whose_they_are(net: Net, monkeypatch) -> None:
    whole = netlink.Netlink.addresses
    monkeypatch.setattr(netlink.Netlink, "addresses", lambda self: tuple(replace(a, ours=False) for a in whole(self)))
    assert abilities().address_protocol == "this kernel forgets whose addresses are (IFA_PROTO is in Linux 5.18)"


def test_the_cause_of_an_unsupported_step_is_told() -> None:
    def refuse() -> None:
        raise Unsupported("try", "it is missing")

    assert ability._attempt(refuse) == "it is missing"
