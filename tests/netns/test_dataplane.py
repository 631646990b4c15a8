"""The dataplane as a whole: what the system refuses, and a start that fails."""

import os
import resource
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

import hsadc
from hsadc.dataplane.dataplane import Dataplane
from hsadc.dataplane.reconcile import Outcome
from hsadc.errors import ApplyError
from hsadc.intent.address import AddressIntent
from hsadc.intent.compile import Intent
from hsadc.intent.mirror import TunnelIntent
from hsadc.intent.route import RouteIntent
from hsadc.model.config import Config
from hsadc.model.server_pool import ServerPool
from hsadc.model.trust_domain import TrustDomain
from hsadc.wire.encapsulation import Encapsulation
from tests import pki

pytestmark = pytest.mark.netns

GRE = Encapsulation("gre", IPv4Address("10.1.0.1"), IPv4Address("10.1.0.9"))
TUNNEL = TunnelIntent("tunnel1", "eth0", GRE)
STARTUP = """
interface ethernet0/0
  ip address 10.1.0.1/24
exit
slb real-server "real"
  ip 10.1.0.9
  port 80
exit
slb server-pool "pool"
  real-server "real"
exit
slb virtual-server "taken" type http id 1
  server-pool "pool"
  auto-snat
  ip 10.1.0.1 port 8087
exit
"""


def test_the_inventory_has_what_files_hold(net, tmp_path):
    pair = pki.self_signed("www.example.com")
    for name, text in (("pki/web.pem", pair.pem + pair.key_pem), ("files/sorry.html", "later"), ("files/web.pem", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    pools = {name: ServerPool(name, sorry_page=page) for name, page in (("p", "sorry.html"), ("q", "no.html"), ("r", None))}
    dataplane = Dataplane(tmp_path)
    try:
        inventory = dataplane.inventory(Config(trust_domain={"x": TrustDomain("x", None, "web.pem")}, server_pool=pools))
        assert replace(inventory, materials={}, pages={}, now=dataplane.machine().now) == dataplane.machine()
    finally:
        dataplane.stop()
    assert inventory.materials["x"].identity.decode() == pair.pem + pair.key_pem
    assert inventory.pages == {"sorry.html": "later"}
    assert datetime.now(UTC) - inventory.now < timedelta(minutes=1)


@contextmanager
def no_descriptor_left():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("ask", "step"),
    [
        (Dataplane.network, "read the kernel's routes"),
        (Dataplane.machine, "read the kernel's devices"),
        (lambda dataplane: dataplane.apply(Intent()), "start to watch"),
    ],
)
def test_what_the_system_refuses_is_an_error_with_its_step(net, tmp_path, ask, step):
    dataplane = Dataplane(tmp_path)
    with no_descriptor_left(), pytest.raises(ApplyError) as refused:
        ask(dataplane)
    assert str(refused.value) == f"{step}: too many open files; nothing was changed"
    dataplane.stop()


def test_a_dataplane_that_cannot_be_made_or_removed(net, tmp_path):
    with no_descriptor_left(), pytest.raises(ApplyError, match=r"^start the dataplane: too many open files"):
        Dataplane(tmp_path)
    dataplane = Dataplane(tmp_path)
    with no_descriptor_left(), pytest.raises(ApplyError, match=r"^open a netlink socket: too many open files"):
        dataplane.stop()


# Not IPv6: the kernel makes link-local routes at a moment of its own.
IPV4 = ("-o link", "-4 -o address", "-4 route show table all")


def processes(net):
    """Numbers of the processes in `near` that still run; ip(8) lists itself."""
    listed = net.ip(f"netns pids {net.near}").split()
    return {number for number in listed if Path(f"/proc/{number}").exists()}


def test_a_daemon_whose_start_fails_ends_and_leaves_nothing(net, tmp_path):
    """The threads that watch run already when the virtual server's port turns out to be in use."""
    (tmp_path / "startup.cfg").write_text(STARTUP)
    net.ip("address add 10.1.0.7/24 dev eth0")
    before = [net.ip(command) for command in IPV4]
    command = [sys.executable, "-m", "hsadc", "daemon", "--state-dir", str(tmp_path), "--ssh", "off"]
    environment = os.environ | {"PYTHONPATH": str(Path(hsadc.__file__).parents[1])}
    with socket.create_server(("0.0.0.0", 8087)):
        daemon = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    last = daemon.stderr.splitlines()[-1]
    assert daemon.returncode == 1, daemon.stderr
    assert last.startswith('hsadc: create haproxy services: slb virtual-server "taken": another program uses 10.1.0.1:8087')
    assert last.endswith("nothing was changed")
    assert [net.ip(command) for command in IPV4] == before
    assert processes(net) == {str(os.getpid())}


@pytest.mark.parametrize(
    ("sabotage", "reason"),
    [
        ("ip link del hsadc-tun1", "its helper device is gone"),
        ("tc qdisc del dev hsadc-tun1 clsact", "its encapsulator is gone"),
    ],
)
def test_a_tunnel_that_somebody_took_apart_is_down_until_it_is_repaired(net, tmp_path, sabotage, reason):
    net.ip("link set eth0 up")
    net.ip("addr add 10.1.0.1/24 dev eth0")
    intent = Intent(tunnels=(TUNNEL,))
    dataplane = Dataplane(tmp_path)
    dataplane.apply(intent)
    try:
        subprocess.run(sabotage.split(), check=True)
        state = dataplane.tunnel_state("tunnel1")
        assert (state.state, state.reason) == ("down", f"{reason}: it is made again within seconds")
        assert dataplane.apply(intent) == Outcome()
        assert dataplane.repair().created == 1
        assert "gone" not in dataplane.tunnel_state("tunnel1").reason
    finally:
        dataplane.stop()


def test_only_what_a_change_may_touch_is_looked_at(net, tmp_path):
    net.ip("link set eth0 up")
    net.ip("addr add 10.1.0.1/24 dev eth0")
    route = RouteIntent(IPv4Network("10.20.0.0/16"), IPv4Address("10.1.0.254"), None, 1)
    dataplane = Dataplane(tmp_path)
    dataplane.apply(Intent(tunnels=(TUNNEL,)))
    try:
        subprocess.run(["ip", "link", "del", "hsadc-tun1"], check=True)
        assert dataplane.apply(Intent(tunnels=(TUNNEL,), routes=(route,))) == Outcome(created=1)
        with pytest.raises(ApplyError, match="network is unreachable"):
            dataplane.apply(Intent(tunnels=(TUNNEL,), routes=(replace(route, gateway=IPv4Address("10.99.0.1")),)))
        assert dataplane.apply(Intent(tunnels=(TUNNEL,), routes=(route,))) == Outcome(created=1), (
            "after a failure it looks at all"
        )
    finally:
        dataplane.stop()


def test_an_earlier_kind_that_somebody_took_apart_is_mended_by_a_repair(net, tmp_path):
    net.ip("link set eth0 up")
    address = AddressIntent("eth0", IPv4Interface("10.1.0.1/24"))
    second = replace(TUNNEL, interface="tunnel2", encapsulation=replace(GRE, destination=IPv4Address("10.1.0.10")))
    dataplane = Dataplane(tmp_path)
    dataplane.apply(Intent(addresses=(address,), tunnels=(TUNNEL,)))
    try:
        net.ip("address delete 10.1.0.1/24 dev eth0")
        assert dataplane.apply(Intent(addresses=(address,), tunnels=(TUNNEL, second))) == Outcome(created=1)
        assert "10.1.0.1/24" not in net.ip("address show dev eth0")
        assert dataplane.repair() == Outcome(created=1)
        assert "10.1.0.1/24" in net.ip("address show dev eth0")
        assert dataplane.repair() == Outcome()
    finally:
        dataplane.stop()
