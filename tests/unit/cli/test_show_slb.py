"""`show slb ...`: what is said of virtual servers, pools, real servers, monitors, connections and the log."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import groupby

import pytest
from wcwidth import wcswidth

from hsadc.cli.session import Session
from hsadc.cli.show.slb_figures import duration, health_text
from hsadc.dataplane.haproxy_sessions import ServerSession
from hsadc.dataplane.haproxy_statistics import Counters, ServerStatistics, VirtualServerStatistics
from hsadc.dataplane.haproxy_words import ServerHealth
from tests.unit.cli.test_show import cells, refused, show
from tests.unit.config.memory import NOON, configure

UP = ServerHealth("up", True, None, 3700, "it answers 200", 3, 1)
DOWN = replace(UP, state="down", check="it takes no connection: connection refused", since_s=59)
SITE = """
slb monitor "alive" type http
  interval 2
exit
slb real-server "a"
  ip 10.1.0.1
  state drain
exit
slb real-server "b"
  ip 2001:db8::2
  monitor "alive"
exit
slb real-server "c"
  ip 10.1.0.3
  max-connection 7
exit
slb server-pool "main"
  real-server "a" priority 2
  real-server "b" priority 2
  real-server "c"
  minimum-working-servers 2
  monitor "alive"
  backup-pool "spare"
exit
slb server-pool "spare"
  real-server "c"
exit
slb virtual-server "one" type http id 11
  server-pool "main"
  auto-snat
  ip 10.0.0.1 port 81
exit
slb virtual-server "two" type http id 12
  rule 1 host x.test server-pool "spare"
  server-pool "main"
  auto-snat
  ip 10.0.0.1 port 82
exit
""".replace("  state drain\n", "  drain\n")


def tables(lines):
    """The lines of each table; there is a blank line between two."""
    return [list(group) for some, group in groupby(lines, bool) if some]


def server(number, tier, pool, real, health, **counters):
    return ServerStatistics(f"pool{number}.{tier}_{pool}", tier, pool, real, health, Counters(**counters))


@pytest.fixture
def site(served):
    """Virtual servers whose real servers are so and so."""
    configure(served, SITE)
    answers = {
        11: VirtualServerStatistics(
            11,
            Counters(sessions_current=2, sessions_total=5, requests_total=50, requests_denied=1, handshake_failures=2),
            Counters(requests_denied=10, handshake_failures=20),
            Counters(sessions_total=4, connect_errors=3, retries=6, queue_current=9),
            (
                server(11, 1, "main", "a", replace(UP, weight=0)),
                server(11, 1, "main", "b", UP, sessions_total=4, bytes_in=77),
                server(11, 2, "main", "c", replace(UP, changing="1/3")),
                server(11, 3, "spare", "c", UP),
            ),
        ),
        12: VirtualServerStatistics(
            12,
            Counters(),
            None,
            Counters(),
            (
                server(12, 1, "main", "a", DOWN),
                server(12, 1, "main", "b", DOWN),
                server(12, 2, "main", "c", DOWN),
                server(12, 3, "spare", "c", DOWN),
            ),
        ),
    }
    served.dataplane.virtual_servers = lambda: answers
    return served


def data(device, line):
    return json.loads("\n".join(show(device, f"slb {line} | json")))


class TestVirtualServers:
    def test_without_a_dataplane(self, kept):
        (lines,) = tables(show(kept, "slb virtual-server"))
        assert cells(lines, "Virtual server") == ["网站", "off"]
        assert cells(lines, "State") == ["down (not served)", "down (shutdown)"]
        assert cells(lines, "Address") == ["10.0.0.1:80", "-"]
        assert cells(lines, "Mirror") == ["tunnel1", "-"]

    def test_in_force(self, served):
        first, second = tables(show(served, "slb virtual-server"))
        assert cells(first, "State") == ["up", "down (shutdown)"]
        assert cells(second, "Virtual server") == ["网站"]
        assert cells(second, "Total") == ["20"]
        assert cells(second, "In bytes") == ["4000"]
        assert cells(second, "5xx") == ["2"]

    def test_with_its_real_servers_when_it_is_named(self, served):
        _, counters, health, carried = tables(show(served, "slb virtual-server 网站"))
        assert cells(counters, "Sessions") == ["1"]
        assert cells(health, "Real server") == ["r"]
        assert cells(health, "Health") == ["up"]
        assert cells(health, "For") == ["1m17s"]
        assert cells(health, "Last check") == ["it answers 200"]
        assert cells(carried, "Out bytes") == ["25000"]

    def test_who_serves(self, site):
        rows = {row["name"]: row for row in data(site, "virtual-server")["virtual_servers"]}
        assert [rows["one"][key] for key in ("state", "reason", "serving_pool", "working_servers")] == ["up", None, "spare", 2]
        assert [rows["two"][key] for key in ("state", "reason", "serving_pool", "working_servers")] == [
            "down",
            "too few real servers work",
            None,
            0,
        ]
        first, *_ = tables(show(site, "slb virtual-server one"))
        assert cells(first, "State") == ["up (by spare)"]

    def test_what_a_rule_sends_elsewhere_is_served(self, site):
        answer = dict(site.dataplane.virtual_servers())
        answer[12] = replace(answer[12], servers=(*answer[12].servers[:3], server(12, 3, "spare", "c", UP)))
        configure(site, 'slb server-pool "main"\nno backup-pool\nexit')
        site.dataplane.virtual_servers = lambda: answer
        rows = {row["name"]: row for row in data(site, "virtual-server")["virtual_servers"]}
        assert [rows["two"][key] for key in ("state", "serving_pool")] == ["up", None]

    def test_errors_of_both_sides(self, site):
        (row,) = data(site, "virtual-server one")["virtual_servers"]
        keys = ("requests_denied", "tls_errors", "connect_errors", "retries", "queue", "sessions_total", "requests_total")
        assert [row[key] for key in keys] == [11, 22, 3, 6, 9, 5, 50]

    def test_one_that_only_redirects_is_up(self, site):
        configure(site, 'slb virtual-server "two"\nno server-pool\nno rule 1\nredirect https\nexit')
        rows = {row["name"]: row for row in data(site, "virtual-server")["virtual_servers"]}
        assert (rows["two"]["state"], rows["two"]["server_pool"]) == ("up", None)


class TestPools:
    def test_without_a_dataplane(self, kept):
        pools, members = tables(show(kept, "slb server-pool"))
        assert cells(pools, "Pool") == ["p", "empty"]
        assert cells(pools, "Working") == ["0 of 2", "0 of 0"]
        assert cells(members, "Real server") == ["r", "服务器二"]
        assert cells(members, "Port") == ["8080", "-"]
        assert cells(members, "Weight") == ["9", "-"]
        assert cells(members, "Health") == ["-", "-"]

    def test_none(self, device):
        assert tables(show(device, "slb server-pool"))[0][0].startswith("Pool")

    def test_the_worst_of_all_virtual_servers_is_shown(self, site):
        pools, members = tables(show(site, "slb server-pool main"))
        assert cells(pools, "Working") == ["0 of 3"]
        assert cells(pools, "Backup pool") == ["spare"]
        assert cells(members, "Health") == ["down", "down", "down"]
        assert cells(members, "Priority") == ["2", "2", "1"]
        assert cells(members, "State") == ["drain", "enable", "enable"]
        (pool,) = data(site, "server-pool main")["server_pools"]
        assert [(v["virtual_server"], v["health"]) for v in pool["members"][1]["virtual_servers"]] == [
            ("one", "up"),
            ("two", "down"),
        ]


class TestRealServers:
    def test_in_force(self, served):
        first, health, counters = tables(show(served, "slb real-server"))
        assert cells(first, "Real server") == ["r", "服务器二"]
        assert cells(health, "Virtual server") == ["网站"]
        assert cells(health, "Health") == ["up"]
        assert cells(counters, "Total") == ["10"]

    def test_for_each_virtual_server(self, site):
        (row,) = data(site, "real-server c")["real_servers"]
        assert [(v["virtual_server"], v["server_pool"], v["health"], v["check"]) for v in row["virtual_servers"]] == [
            ("one", "main", "up", "it answers 200"),
            ("one", "spare", "up", "it answers 200"),
            ("two", "main", "down", "it takes no connection: connection refused"),
            ("two", "spare", "down", "it takes no connection: connection refused"),
        ]
        assert (row["max_connection"], row["state"]) == (7, "enable")

    def test_80_columns_are_enough(self, site):
        configure(site, 'slb real-server "a rather long name of a real server"\nip 10.1.0.9\nexit')
        session = Session(site)
        for line in ("virtual-server one", "server-pool", "real-server", "monitor", "session"):
            lines = list(session.run(f"show slb {line}", 80).lines)
            assert max(wcswidth(text) for text in lines) <= 80, "\n".join(lines)


class TestMonitors:
    def test_what_they_watch(self, site):
        monitors, checks = tables(show(site, "slb monitor"))
        assert cells(monitors, "Monitor") == ["alive"]
        assert cells(monitors, "Interval") == ["2s"]
        assert cells(monitors, "Working") == ["3 of 6"]
        assert cells(checks, "Real server") == ["a", "b", "c", "a", "b", "c"]
        assert cells(checks, "Health") == ["up", "up", "up (1/3)", "down", "down", "down"]

    def test_none(self, device):
        assert len(tables(show(device, "slb monitor"))) == 1


class TestSessions:
    def test_those_that_go_on(self, served):
        (lines,) = tables(show(served, "slb session"))
        assert cells(lines, "Client") == ["192.0.2.9:4000"]
        assert cells(lines, "Virtual server") == ["网站"]
        assert cells(lines, "Out bytes") == ["2000"]
        (session,) = data(served, "session 网站")["sessions"]
        assert session["age_s"] >= 0
        assert data(served, "session off") == {"sessions": [], "sessions_total": 0}

    def test_of_very_many_some_are_shown(self, served):
        many = tuple(ServerSession(hex(n), 1, f"192.0.2.9:{n}", None, None, NOON) for n in range(200))
        served.dataplane.server_sessions = lambda most, number: (many[:most], 4000)
        lines = show(served, "slb session")
        assert len(lines) == 203
        assert lines[-1] == "4000 in all, 200 of them are shown"


DATAGRAMS = """
slb monitor "ping" type icmp
exit
slb real-server "d1"
  ip 10.1.0.11
exit
slb real-server "d2"
  ip 10.1.0.12
  drain
exit
slb real-server "d3"
  ip 10.1.0.13
  monitor "ping"
exit
slb server-pool "dns"
  real-server "d3" priority 9
  real-server "d1"
  real-server "d2"
  backup-pool "far"
exit
slb server-pool "far"
  real-server "d1" port 5353
exit
slb virtual-server "names" type udp id 53
  server-pool "dns"
  auto-snat
  ip 10.0.0.1 port 53
exit
"""


class TestDatagrams:
    @pytest.fixture
    def names(self, served):
        configure(served, DATAGRAMS)
        return served

    def test_virtual_server(self, names):
        (row,) = data(names, "virtual-server names")["virtual_servers"]
        assert [row[key] for key in ("type", "state", "serving_pool", "working_servers")] == ["udp", "up", "dns", 1]
        assert [row[key] for key in ("sessions", "sessions_total", "requests_per_s", "in_bytes")] == [None, 0, None, 0]
        assert [(s["real_server"], s["server_pool"], s["health"], s["checked"], s["weight"]) for s in row["real_servers"]] == [
            ("d3", "dns", "down", True, 1),
            ("d1", "dns", "up", False, 1),
            ("d2", "dns", "up", False, 0),
            ("d1", "far", "up", False, 1),
        ]
        assert row["real_servers"][0]["check"] == "icmp 10.1.0.13 is so"
        assert row["real_servers"][0]["since_s"] is not None

    def test_without_working_servers(self, names):
        configure(names, 'slb real-server "d1"\ndisable\nexit')
        (row,) = data(names, "virtual-server names")["virtual_servers"]
        assert (row["state"], row["reason"]) == ("down", "too few real servers work")

    def test_pools_and_monitors(self, names):
        (pool,) = data(names, "server-pool dns")["server_pools"]
        assert pool["working_servers"] == 1
        (monitor,) = data(names, "monitor ping")["monitors"]
        assert [(c["real_server"], c["health"]) for c in monitor["checks"]] == [("d3", "down")]

    def test_flows_are_sessions(self, names):
        (session,) = data(names, "session names")["sessions"]
        assert (session["client"], session["real_server"], session["age_s"], session["out_bytes"]) == (
            "192.0.2.9:4000",
            "d3",
            None,
            300,
        )
        assert data(names, "session")["sessions_total"] == 2
        assert len(tables(show(names, "slb session"))[0]) == 4


class TestLog:
    @pytest.fixture(autouse=True)
    def in_utc(self, monkeypatch):
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()

    def test_lines(self, served):
        assert show(served, "slb log") == list(served.dataplane.logged)
        assert show(served, "slb log last 1") == [served.dataplane.logged[1]]
        assert show(served, "slb log virtual-server 网站 last 5") == [served.dataplane.logged[0]]

    def test_data(self, served):
        served.dataplane.logged = (*served.dataplane.logged, "something else")
        found = data(served, "log")
        assert found["lost_records"] == 5
        assert found["records"][0] == {
            "time": "2026-11-26T05:07:11Z",
            "client": "192.0.2.9:40312",
            "virtual_server": "网站",
            "server_pool": "p",
            "real_server": "r",
            "total_ms": 13,
            "status": 200,
            "sent_bytes": 1234,
            "ended": "----",
            "request": "GET / HTTP/1.1",
            "error": None,
            "line": served.dataplane.logged[0],
        }
        assert found["records"][2]["client"] is None

    def test_without_a_dataplane(self, kept):
        assert show(kept, "slb log") == []
        assert data(kept, "log") == {"records": [], "lost_records": 0}
        assert data(kept, "session") == {"sessions": [], "sessions_total": 0}


@pytest.mark.parametrize("kind", ["virtual-server", "server-pool", "real-server", "monitor"])
def test_one_that_is_not_there(device, kind):
    assert refused(device, f"slb {kind} x") == (f'% Error: slb {kind} "x": there is no such object',)
    assert refused(device, "slb session x") == ('% Error: slb virtual-server "x": there is no such object',)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, None), (0, "0s"), (59, "59s"), (60, "1m0s"), (3599, "59m59s"), (7260, "2h1m"), (86400 * 400 + 7200, "400d2h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("health", "checked", "changing", "text"),
    [
        ("up", True, None, "up"),
        ("up", False, None, "not checked"),
        ("down", False, None, "down"),
        ("up", True, "2/3", "up (2/3)"),
        (None, None, None, None),
    ],
)
def test_health_in_words(health, checked, changing, text):
    assert health_text({"health": health, "checked": checked, "changing": changing}) == text
