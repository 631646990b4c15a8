"""Pools: which real server gets what, and who serves when some do not."""

from __future__ import annotations

import contextlib

import pytest

from tests.external.slb.client import Load, closing_all
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.network import address

pytestmark = pytest.mark.netns

VIP = address("adc")
URL = f"http://{VIP}"
MONITOR = 'slb monitor "m" type http\ninterval 1\ntimeout 1\nrise 1\nfall 1\nhttp get /files/health\nexit\n'


def members(*words: str, name: str = "web", settings: str = "") -> str:
    """A pool of members as they are written."""
    lines = "".join(f"  real-server {word}\n" for word in words)
    return f'slb server-pool "{name}"\n{lines}{settings}\nexit\n'


def configure(site, text: str, settings: str = "auto-snat", kind: str = "http", port: int = 80) -> None:
    site.device.configure(MONITOR + real_servers() + text + virtual(kind, settings, port=port))


def greeting(link) -> str:
    """The name of the real server behind a TCP connection."""
    return link.recv(100).split()[0].decode()


def test_weighted_round_robin_follows_the_weights(site):
    configure(site, members("rs1 weight 3", "rs2 weight 2", "rs3"))
    assert site.client.spread(f"{URL}/", 60) == {"rs1": 30, "rs2": 20, "rs3": 10}


def test_a_real_servers_own_weight_counts_where_the_pool_has_none(site):
    site.device.configure(real_servers(extra="weight 5") + members("rs1", "rs2 weight 1") + virtual("http", port=80))
    assert site.client.spread(f"{URL}/", 60) == {"rs1": 50, "rs2": 10}


def test_round_robin_does_not(site):
    configure(site, members("rs1 weight 3", "rs2 weight 2", "rs3", settings="load-balance round-robin"))
    assert site.client.spread(f"{URL}/", 60) == {"rs1": 20, "rs2": 20, "rs3": 20}


def test_least_connection_takes_the_server_with_the_fewest(site):
    configure(site, pool("load-balance least-connection", port=7), kind="tcp", port=7)
    with closing_all([site.client.connect(VIP, 7) for _ in range(6)]) as links:
        held = [greeting(link) for link in links]
        assert sorted(held) == ["rs1", "rs1", "rs2", "rs2", "rs3", "rs3"]
        links[held.index("rs2")].close()
        site.eventually(lambda: _connections(site, "rs2") == 1)
        with site.client.connect(VIP, 7) as another:
            assert greeting(another) == "rs2"


def _connections(site, server: str) -> int:
    return len(site.network.run(server, "ss", "-Hnt", "state", "established", "sport", "= :7").stdout.splitlines())


def test_source_hash_keeps_a_client_at_its_server_and_spreads_clients(site):
    configure(site, pool("load-balance source-hash"))
    addresses = [f"10.71.0.{n}" for n in range(100, 130)]
    site.network.ip("client1", *(f"addr add {a}/24 dev eth0" for a in addresses))
    try:
        servers = {a: site.client.spread(f"{URL}/", 4, "--interface", a) for a in addresses}
    finally:
        site.network.ip("client1", *(f"addr del {a}/24 dev eth0" for a in addresses))
    assert all(len(found) == 1 for found in servers.values())
    assert {server for found in servers.values() for server in found} == {"rs1", "rs2", "rs3"}


def test_uri_hash_keeps_what_is_asked_for_at_its_server(site):
    configure(site, pool("load-balance uri-hash"))
    servers = {n: {site.client.get(f"{URL}/who/{n}").server for _ in range(2)} for n in range(20)}
    assert all(len(found) == 1 for found in servers.values())
    assert {server for found in servers.values() for server in found} == {"rs1", "rs2", "rs3"}
    assert {n: {site.other.get(f"{URL}/who/{n}").server} for n in range(20)} == servers


def test_random_uses_all(site):
    configure(site, pool("load-balance random"))
    assert set(site.client.spread(f"{URL}/", 60)) == {"rs1", "rs2", "rs3"}


def test_only_the_highest_priority_serves_until_it_cannot(site):
    configure(site, members("rs1 priority 3", "rs2 priority 2", "rs3", settings="monitor m"))
    assert site.client.spread(f"{URL}/", 9) == {"rs1": 9}
    with failing(site, "rs1"):
        site.eventually(lambda: site.client.spread(f"{URL}/", 9) == {"rs2": 9})
        with failing(site, "rs2"):
            site.eventually(lambda: site.client.spread(f"{URL}/", 9) == {"rs3": 9})
    site.eventually(lambda: site.client.spread(f"{URL}/", 9) == {"rs1": 9})


@contextlib.contextmanager
def failing(site, *servers: str):
    """Their monitors fail meanwhile; they serve as ever."""
    for server in servers:
        site.servers.is_healthy(server, False)
    try:
        yield
    finally:
        for server in servers:
            site.servers.is_healthy(server, True)


def test_with_too_few_working_servers_the_backup_pool_serves(site):
    backup = members("rs3", name="backup")
    configure(site, backup + members("rs1", "rs2", settings='monitor m\nminimum-working-servers 2\nbackup-pool "backup"'))
    assert set(site.client.spread(f"{URL}/", 8)) == {"rs1", "rs2"}
    with failing(site, "rs1"):
        site.eventually(lambda: site.client.spread(f"{URL}/", 8) == {"rs3": 8})
    site.eventually(lambda: set(site.client.spread(f"{URL}/", 8)) == {"rs1", "rs2"})


def test_when_nothing_serves_clients_see_the_sorry_page(site):
    site.device.put("sorry.html", "<h1>Back at nine</h1>\n")
    configure(site, members("rs1", "rs2", settings="monitor m\nsorry-page file sorry.html"))
    with failing(site, "rs1", "rs2"):
        site.eventually(lambda: site.client.curl(f"{URL}/").status == 503)
        answer = site.client.curl(f"{URL}/")
        assert (answer.body.decode(), answer.header("content-type")) == ("<h1>Back at nine</h1>\n", "text/html; charset=utf-8")
    site.eventually(lambda: site.client.curl(f"{URL}/").status == 200)


def test_the_largest_sorry_page_is_shown_whole_and_a_larger_one_refused(site):
    size_bytes = 60 << 10
    text = real_servers(extra="disable") + pool("sorry-page file large.html") + virtual("http", port=80)
    site.device.put("large.html", "x" * (size_bytes + 1))
    why = 'its sorry-page "large.html" cannot be used: it has 61441 bytes, at most 61440 are possible'
    assert why in site.device.refuses(text)
    site.device.put("large.html", "x" * size_bytes)
    assert site.device.configure(text) == []
    answer = site.client.curl(f"{URL}/")
    assert (answer.status, len(answer.body)) == (503, size_bytes)


def test_a_pool_whose_servers_are_all_disabled_answers_503(site):
    site.device.configure(real_servers(extra="disable") + pool() + virtual("http", port=80))
    assert site.client.curl(f"{URL}/").status == 503


def test_draining_disabling_and_enabling_under_load_fails_no_request(site):
    configure(site, pool())
    with Load(site.client, VIP, 80) as load:
        for state in ("drain", "enable", "disable", "enable"):
            site.device.configure_lines('slb real-server "rs1"', state)
            load.goes_on()  # those under way have ended
            load.servers.clear()
            load.goes_on(300)
            assert set(load.servers) == ({"rs1", "rs2", "rs3"} if state == "enable" else {"rs2", "rs3"}), state
    assert load.failed == {}


def test_a_drained_server_keeps_the_connections_that_it_has(site):
    configure(site, pool(port=7, servers=("rs1", "rs2")), kind="tcp", port=7)
    with closing_all([site.client.connect(VIP, 7) for _ in range(2)]) as links:
        assert sorted(greeting(link) for link in links) == ["rs1", "rs2"]
        site.device.configure_lines('slb real-server "rs1"', "drain")
        for link in links:
            link.sendall(b"still here")
            assert link.recv(100) == b"still here"
        with closing_all([site.client.connect(VIP, 7) for _ in range(4)]) as others:
            assert {greeting(link) for link in others} == {"rs2"}


def test_weights_and_members_change_under_load_and_no_request_fails(site):
    configure(site, pool())
    with Load(site.client, VIP, 80) as load:
        for line in (
            "real-server rs1 weight 9",
            "no real-server rs2",
            "real-server rs2 port 80",
            "load-balance least-connection",
        ):
            site.device.configure_lines('slb server-pool "web"', line)
            load.goes_on()
    assert load.failed == {}


def test_a_server_that_comes_up_works_its_way_to_its_share(site):
    configure(site, pool("monitor m\nslow-start 30"))
    with failing(site, "rs1"):
        site.eventually(lambda: "rs1" not in site.client.spread(f"{URL}/", 30))
    site.eventually(lambda: "rs1" in site.client.spread(f"{URL}/", 90))
    assert site.client.spread(f"{URL}/", 90)["rs1"] < 20


def test_a_cookie_keeps_a_client_at_its_server(site):
    configure(site, pool("persistence cookie name SHOP"))
    first = site.client.get(f"{URL}/")
    cookie = first.header("set-cookie")
    assert cookie.startswith("SHOP=")
    assert "httponly" in cookie.lower()
    assert first.server not in cookie
    kept = ("-b", cookie.partition(";")[0])
    assert site.client.spread(f"{URL}/", 12, *kept) == {first.server: 12}
    assert set(site.client.spread(f"{URL}/", 12)) == {"rs1", "rs2", "rs3"}
    assert "SHOP" not in site.client.get(f"{URL}/", *kept).json["cookie"]  # the real server does not see it
    site.device.configure_lines(f'slb real-server "{first.server}"', "drain")
    assert site.client.spread(f"{URL}/", 12, *kept) == {first.server: 12}
    site.device.configure_lines(f'slb real-server "{first.server}"', "disable")
    moved = site.client.get(f"{URL}/", *kept)
    assert moved.server != first.server
    assert moved.header("set-cookie").startswith("SHOP=")


def test_a_client_stays_with_its_server_by_its_address_over_changes(site):
    configure(site, pool("persistence source-ip timeout 5"))
    found = site.client.spread(f"{URL}/", 6)
    assert len(found) == 1
    site.device.configure_lines('slb virtual-server "v"', "log enable")  # a new worker
    assert set(site.client.spread(f"{URL}/", 6)) == set(found)
    assert len(site.other.spread(f"{URL}/", 6)) == 1


def test_a_client_is_given_another_server_when_its_own_is_down(site):
    configure(site, pool("persistence source-ip\nmonitor m"))
    (server,) = site.client.spread(f"{URL}/", 3)
    with failing(site, server):
        site.eventually(lambda: server not in site.client.spread(f"{URL}/", 3))
        assert len(site.client.spread(f"{URL}/", 6)) == 1
