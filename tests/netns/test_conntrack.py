"""Flows of UDP in the kernel's table: many, of both families, forgotten and gone."""

import socket
import time
from ipaddress import ip_address

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane import nft
from hsadc.dataplane.conntrack import Conntrack
from tests.netns.conftest import inside

pytestmark = pytest.mark.netns

HERE = {4: "10.1.0.1", 6: "fd01::1"}
THERE = {4: "10.1.0.9", 6: "fd01::9"}
TRACK = "table inet t {\nchain c {\ntype filter hook input priority 0; ct state new accept\n}\n}"


@pytest.fixture
def tracked(net):
    """`near` is 10.1.0.1 and fd01::1 and tracks what comes to it."""
    for version, width in ((4, 24), (6, 64)):
        net.ip(f"address add {HERE[version]}/{width} dev eth0 {'nodad' if version == 6 else ''}")
    net.far_ip("address add fd01::9/64 dev eth0 nodad")
    nft.apply(TRACK)
    return net


def send(net, ports, version=4):
    with inside(net.far), socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((THERE[version], 0))
        for port in ports:
            sock.sendto(b"x", (HERE[version], port))
        return sock.getsockname()[1]


def flows(version, port):
    with Conntrack() as conntrack:
        return list(conntrack.flows([(ip_address(HERE[version]), port)]))


@pytest.mark.parametrize("version", [4, 6])
def test_flows_are_found_by_where_the_client_sent_them(tracked, version):
    listener = _listen(version, 53)
    other = _listen(version, 54)
    ports = {send(tracked, [53, 54], version) for _ in range(3)}
    found = flows(version, 53)
    assert {(str(f.client), f.client_port) for f in found} == {(THERE[version], p) for p in ports}
    assert {(str(f.listener), f.listener_port, str(f.target), f.target_port) for f in found} == {
        (HERE[version], 53, HERE[version], 53)
    }
    assert all(0 < f.expires_s <= 30 for f in found)
    with Conntrack() as conntrack:
        conntrack.forget(found[:2])
        conntrack.forget(found)  # two are gone already
    assert flows(version, 53) == []
    assert len(flows(version, 54)) == 3
    listener.close()
    other.close()


def test_flows_to_several_places(tracked):
    listeners = [_listen(version, port) for version in (4, 6) for port in (53, 54, 55)]
    for version in (4, 6):
        send(tracked, [53, 54, 55], version)
    places = [(ip_address(HERE[4]), 53), (ip_address(HERE[4]), 54), (ip_address(HERE[6]), 54), (ip_address("10.9.9.9"), 55)]
    with Conntrack() as conntrack:
        assert sorted((f.listener.version, f.listener_port) for f in conntrack.flows(places)) == [(4, 53), (4, 54), (6, 54)]
        assert list(conntrack.flows([])) == []
    for listener in listeners:
        listener.close()


def test_many_flows(tracked):
    listener = _listen(4, 53)
    with inside(tracked.far), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        for port in range(1024, 21024):
            raw.sendto(port.to_bytes(2) + (53).to_bytes(2) + (8).to_bytes(2) + bytes(2), (HERE[4], 53))
    began = time.monotonic()
    found = flows(4, 53)
    assert len(found) == 20000
    with Conntrack() as conntrack:
        conntrack.forget(found)
    assert time.monotonic() - began < 5
    assert flows(4, 53) == []
    listener.close()


@pytest.mark.usefixtures("tracked")
def test_what_the_kernel_refuses(monkeypatch):
    monkeypatch.setattr("hsadc.dataplane.conntrack._DESTINATION_IPV4", 9)
    with pytest.raises(NetlinkError):
        flows(4, 53)


def _listen(version, port):
    sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind((HERE[version], port))
    return sock
