"""Monitors: each notices when what it checks breaks on a real server, and only that; and when it works again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.external.slb.client import Load
from tests.external.slb.device import real_servers, virtual
from tests.external.slb.network import address

pytestmark = pytest.mark.netns

VIP = address("adc")
QUICK = "interval 1\ntimeout 1\nrise 1\nfall 1"
CHECKS = {
    "icmp": "",
    "tcp": "port 7",
    "http": "http get /files/health\nhttp expect 200",
    "https": "port 8443\nhttp get /peer",
    "udp": "port 53\nudp send 6869\nudp answer",
}
PORTS = {kind: 8000 + n for n, kind in enumerate(CHECKS)}


@contextlib.contextmanager
def broken(site, kind: str) -> Iterator[None]:
    """Something is wrong with rs1 that the monitor of that type shall notice, while its web server works."""
    if kind == "icmp":
        site.network.set("rs1", "ipv4/icmp_echo_ignore_all", 1)
    elif kind == "http":
        site.servers.is_healthy("rs1", False)
    else:
        match = {"tcp": "tcp dport 7 reject with tcp reset", "https": "tcp dport 8443 drop", "udp": "udp dport 53 drop"}[kind]
        rule = f"add table inet b; add chain inet b in {{ type filter hook input priority 0; }}; add rule inet b in {match}"
        site.network.run("rs1", "nft", rule)
    try:
        yield
    finally:
        site.network.set("rs1", "ipv4/icmp_echo_ignore_all", 0)
        site.servers.is_healthy("rs1", True)
        site.network.run("rs1", "nft", "destroy table inet b", check=False)
        site.network.run("rs1", "nft", "delete table inet b", check=False)


@pytest.fixture(scope="module")
def watched(site):
    """A virtual server for each type of monitor, with two real servers."""
    text = real_servers(servers=("rs1", "rs2"))
    for number, (kind, settings) in enumerate(CHECKS.items(), 1):
        members = "".join(f'real-server "{rs}" port 80\n' for rs in ("rs1", "rs2"))
        text += f'slb monitor "{kind}" type {kind}\n{QUICK}\n{settings}\nexit\n'
        text += f'slb server-pool "{kind}"\n{members}monitor "{kind}"\nexit\n'
        text += virtual("http", port=PORTS[kind], name=kind, number=number, serves=kind)
    site.device.configure(text)
    return site


def serving(site, kind: str) -> set[str]:
    return set(site.client.spread(f"http://{VIP}:{PORTS[kind]}/", 4))


@pytest.mark.parametrize("kind", CHECKS)
def test_a_monitor_takes_a_server_out_and_in_again(watched, kind):
    both = {"rs1", "rs2"}
    watched.eventually(lambda: all(serving(watched, k) == both for k in CHECKS))
    with broken(watched, kind):
        watched.eventually(lambda: serving(watched, kind) == {"rs2"})
        assert [k for k in CHECKS if serving(watched, k) != both] == [kind]
    watched.eventually(lambda: serving(watched, kind) == both)


def test_one_failure_is_not_enough_where_two_must_follow_each_other(site):
    """The check fails every second time, and the server stays in service."""
    site.device.configure(
        real_servers(servers=("rs1",))
        + 'slb monitor "m" type http\ninterval 1\ntimeout 1\nrise 1\nfall 2\nport 8081\nhttp get /turns/2\nexit\n'
        + 'slb server-pool "web"\nreal-server "rs1" port 80\nmonitor "m"\nexit\n'
        + virtual("http", port=80)
    )
    with Load(site.client, VIP, 80, threads=1, pause_s=0.05) as load:
        site.eventually(lambda: load.answered > 80)  # four checks, two of which fail
    assert load.failed == {}


def test_one_success_is_not_enough_where_two_must_follow_each_other(site):
    site.device.configure(
        real_servers(servers=("rs1",))
        + 'slb monitor "m" type http\ninterval 1\ntimeout 1\nrise 2\nfall 1\nport 8081\nhttp get /turns/2\nexit\n'
        + 'slb server-pool "web"\nreal-server "rs1" port 80\nmonitor "m"\nexit\n'
        + virtual("http", port=80)
    )
    site.eventually(lambda: site.client.curl(f"http://{VIP}/").status == 503)
    assert [site.client.curl(f"http://{VIP}/").status for _ in range(8) if site.client.curl(f"http://{VIP}/slow/0.2")] == [
        503
    ] * 8


def test_a_real_server_may_have_a_monitor_of_its_own(site):
    site.device.configure(
        'slb monitor "page" type http\n' + QUICK + "\nhttp get /files/health\nexit\n"
        'slb monitor "port" type tcp\n' + QUICK + "\nexit\n"
        'slb real-server "rs1"\nip 10.73.0.21\nmonitor "port"\nexit\nslb real-server "rs2"\nip 10.73.0.22\nexit\n'
        'slb server-pool "web"\nreal-server "rs1" port 80\nreal-server "rs2" port 80\nmonitor "page"\nexit\n'
        + virtual("http", port=80)
    )
    for rs in ("rs1", "rs2"):
        site.servers.is_healthy(rs, False)
    try:
        site.eventually(lambda: set(site.client.spread(f"http://{VIP}/", 4)) == {"rs1"})
    finally:
        for rs in ("rs1", "rs2"):
            site.servers.is_healthy(rs, True)
