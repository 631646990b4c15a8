"""Virtual servers of type udp: which real server a client's datagrams go to, and what clients get when one is gone."""

from __future__ import annotations

from itertools import count

import pytest

from tests.external.slb.device import real_servers, virtual
from tests.external.slb.network import BACK, address

pytestmark = pytest.mark.netns

VIP = address("adc")
_ONE_PORT, _ports = 6000, count(10_000)
MONITOR = 'slb monitor "m" type udp\ninterval 1\ntimeout 1\nrise 1\nfall 1\nport 53\nudp send 6869\nudp answer\nexit\n'


def configure(site, *members: str, settings: str = "", snat: bool = True, family: int = 4, more: str = "") -> None:
    words = (member.partition(" ") for member in members)
    lines = "".join(f"  real-server {name} port 53 {more}\n" for name, _, more in words)
    text = MONITOR + real_servers(family) + more + f'slb server-pool "web"\n{lines}{settings}\nexit\n'
    site.device.configure(text + virtual("udp", "auto-snat" if snat else "", port=53, family=family))


def spread(client, datagrams: int, *, target: str = VIP, one_port: bool = False) -> dict[str, int]:
    """How many datagrams, each from a port that was never used unless `one_port`, were answered by which real server."""
    found: dict[str, int] = {}
    for _ in range(datagrams):
        port = _ONE_PORT if one_port else next(_ports)
        name = client.datagram(target, 53, b"q", source_port=port).split()[0].decode()
        found[name] = found.get(name, 0) + 1
    return found


@pytest.mark.parametrize("family", [4, 6])
def test_clients_are_spread_over_the_real_servers(site, family):
    configure(site, "rs1", "rs2", "rs3", family=family)
    assert set(spread(site.client, 30, target=address("adc", family))) == {"rs1", "rs2", "rs3"}


def test_weights_are_followed(site):
    configure(site, "rs1 weight 3", "rs2 weight 1")
    found = spread(site.client, 40)
    assert found == {"rs1": 30, "rs2": 10}


def test_datagrams_of_one_flow_go_to_one_server(site):
    configure(site, "rs1", "rs2", "rs3")
    assert len(spread(site.client, 20, one_port=True)) == 1


def test_source_hash_keeps_a_client_at_its_server(site):
    configure(site, "rs1", "rs2", "rs3", settings="load-balance source-hash")
    assert len(spread(site.client, 20)) == 1
    assert len(spread(site.other, 20)) == 1


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("snat", [True, False], ids=["replaced", "kept"])
def test_real_servers_see_the_address_that_they_shall_see(site, snat, family):
    configure(site, "rs1", snat=snat, family=family)
    _, seen, _, data = site.client.datagram(address("adc", family), 53, b"x" * 1200).split(b" ", 3)
    assert seen.decode() == (BACK[family] if snat else address("client1", family))
    assert data == b"x" * 1200


@pytest.mark.parametrize("family", [4, 6])
def test_datagrams_larger_than_the_mtu_arrive_whole_both_ways(site, family):
    configure(site, "rs1", family=family)
    assert site.client.datagram(address("adc", family), 53, b"y" * 8000).endswith(b" " + b"y" * 8000)


def test_a_server_that_does_not_answer_gets_nothing_and_then_something_again(site):
    configure(site, "rs1", "rs2", settings="monitor m")
    site.servers.stop_app("rs1")
    try:
        site.eventually(lambda: _answered(site, 10) == {"rs2": 10})
        assert spread(site.client, 20, one_port=True) == {"rs2": 20}
    finally:
        site.servers.restart_app("rs1")
    site.eventually(lambda: set(_answered(site, 10)) == {"rs1", "rs2"})


def _answered(site, datagrams: int) -> dict[str, int]:
    try:
        return spread(site.client, datagrams)
    except OSError:
        return {}


def test_a_flow_moves_when_its_server_is_down(site):
    configure(site, "rs1", "rs2", settings="monitor m")
    (server,) = spread(site.client, 2, one_port=True)
    site.servers.stop_app(server)
    try:
        (other,) = {"rs1", "rs2"} - {server}

        def moved() -> bool:
            try:
                return spread(site.client, 1, one_port=True) == {other: 1}
            except OSError:
                return False

        site.eventually(moved)
    finally:
        site.servers.restart_app(server)


def test_a_drained_server_keeps_its_flows_and_gets_no_new_ones(site):
    configure(site, "rs1", "rs2")
    (server,) = spread(site.client, 2, one_port=True)
    (other,) = {"rs1", "rs2"} - {server}
    site.device.configure_lines(f'slb real-server "{server}"', "drain")
    assert spread(site.client, 5, one_port=True) == {server: 5}
    assert spread(site.client, 10) == {other: 10}
    site.device.configure_lines(f'slb real-server "{server}"', "disable")
    assert spread(site.client, 5, one_port=True) == {other: 5}
    site.device.configure_lines(f'slb real-server "{server}"', "enable")
    site.eventually(lambda: len(spread(site.client, 10)) == 2)


def test_priorities_and_a_backup_pool_serve_in_their_order(site):
    backup = 'slb server-pool "backup"\n  real-server rs3 port 53\nexit\n'
    configure(site, "rs1 priority 2", "rs2", settings='monitor m\nbackup-pool "backup"', more=backup)
    assert spread(site.client, 5) == {"rs1": 5}
    site.servers.stop_app("rs1")
    try:
        site.eventually(lambda: _answered(site, 5) == {"rs2": 5})
        site.servers.stop_app("rs2")
        try:
            site.eventually(lambda: _answered(site, 5) == {"rs3": 5})
        finally:
            site.servers.restart_app("rs2")
    finally:
        site.servers.restart_app("rs1")
    site.eventually(lambda: _answered(site, 5) == {"rs1": 5})


def test_when_nothing_serves_clients_get_an_icmp_error(site):
    configure(site, "rs1", settings="monitor m")
    site.servers.stop_app("rs1")
    try:
        site.eventually(lambda: _refused(site))
    finally:
        site.servers.restart_app("rs1")
    site.eventually(lambda: _answered(site, 2) == {"rs1": 2})


def _refused(site) -> bool:
    try:
        site.client.datagram(VIP, 53, b"q", timeout_s=1)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_the_same_port_serves_tcp_beside(site):
    text = (
        real_servers()
        + 'slb server-pool "web"\n  real-server rs1\nexit\nslb server-pool "echo"\n  real-server rs2 port 7\nexit\n'
    )
    site.device.configure(text + virtual("udp", port=53) + virtual("tcp", port=53, name="t", number=2, serves="echo"))
    assert site.client.datagram(VIP, 53, b"q").startswith(b"rs1 ")
    with site.client.connect(VIP, 53) as link:
        assert link.recv(100).startswith(b"rs2 ")
