from __future__ import annotations

from dataclasses import replace

import pytest

from hsadc.dataplane.haproxy_statistics import Counters, ServerStatistics, Totals, VirtualServerStatistics, parse_statistics
from hsadc.dataplane.haproxy_words import ServerHealth, check_words, health_of

ANSWER = """\
# pxname,svname,qcur,scur,smax,stot,bin,bout,dreq,econ,eresp,status,weight,uweight,lastchg,rate,check_status,check_code,\
check_duration,last_chk,hrsp_4xx,hrsp_5xx,req_tot,dcon,dses,ssl_failed_handshake,
tls7_l7,FRONTEND,,1,2,3,4,5,1,,,OPEN,,,,9,,,,,,,,2,3,4,
vs7_l7,FRONTEND,,1,2,3,4,5,,,,OPEN,,,,9,,,,,5,6,7,,,,
pool7.1_web,r:20:1,0,0,1,2,3,4,,5,6,UP 1/3,10,20,66,8,* L7OK,200,3,,,0,,,,,
pool7.1_web,BACKEND,0,0,1,2,3,4,,5,6,UP,30,30,66,8,,,,,0,0,9,,,,
pool7.2_web,s,0,0,1,2,3,4,,5,6,DOWN,10,10,5,8,L4CON,,0,Connection refused,,0,,,,,
pool7.2_web,BACKEND,1,2,3,4,5,6,,7,8,UP,30,30,66,8,,,,,0,0,9,,,,
pool7.10_web,BACKEND,0,0,0,0,0,0,,0,0,DOWN,0,0,66,0,,,,,0,0,0,,,,
rates7,BACKEND,0,0,0,0,0,0,,0,0,DOWN,0,0,66,0,,,,,0,0,0,,,,
vs65535_x,FRONTEND,,0,0,0,0,0,,,,OPEN,,,,0,,,,,,,,,,,
hop443,hop,0,0,0,0,0,0,,0,0,no check,0,0,66,0,,,,,0,0,0,,,,

"""


def test_rows_are_sorted_to_their_virtual_servers() -> None:
    towards = Counters(sessions_peak=1, sessions_total=2, bytes_in=3, bytes_out=4, connect_errors=5, response_errors=6)
    found = parse_statistics(ANSWER).virtual_servers()
    assert found == {
        7: VirtualServerStatistics(
            7,
            clients=Counters(
                sessions_current=1,
                sessions_peak=2,
                sessions_total=3,
                sessions_rate=9,
                bytes_in=4,
                bytes_out=5,
                responses_4xx=5,
                responses_5xx=6,
                requests_total=7,
            ),
            tls=Counters(
                sessions_current=1,
                sessions_peak=2,
                sessions_total=3,
                sessions_rate=9,
                bytes_in=4,
                bytes_out=5,
                requests_denied=6,
                handshake_failures=4,
            ),
            pool=Counters(
                sessions_current=2,
                queue_current=1,
                sessions_rate=16,
                sessions_peak=3,
                sessions_total=6,
                requests_total=18,
                bytes_in=8,
                bytes_out=10,
                connect_errors=12,
                response_errors=14,
            ),
            servers=(
                ServerStatistics(
                    "pool7.1_web",
                    1,
                    "web",
                    "r 1",
                    ServerHealth("up", True, "1/3", 66, "it answers 200", 3, 20),
                    replace(towards, sessions_rate=8),
                ),
                ServerStatistics(
                    "pool7.2_web",
                    2,
                    "web",
                    "s",
                    ServerHealth("down", True, None, 5, "it takes no connection: connection refused", 0, 10),
                    replace(towards, sessions_rate=8),
                ),
            ),
        ),
        65535: VirtualServerStatistics(65535, Counters(), None, Counters(), ()),
    }


@pytest.mark.parametrize("nothing", ["", "\n", "# pxname,svname,status,\nMASTER,FRONTEND,OPEN,\n"])
def test_nothing_of_ours(nothing: str) -> None:
    assert parse_statistics(nothing).virtual_servers() == {}


def rows(total: int, current: int = 0, peak: int = 0, name: str = "vs1_a") -> str:
    return f"# pxname,svname,scur,smax,stot,\n{name},FRONTEND,{current},{peak},{total},\n"


def clients(totals: Totals, worker: str, text: str) -> Counters:
    return totals.see(worker, parse_statistics(text)).virtual_servers()[1].clients


def test_workers_are_added() -> None:
    totals = Totals()
    assert clients(totals, "10", rows(5, 2, 4)) == Counters(sessions_current=2, sessions_peak=4, sessions_total=5)
    assert clients(totals, "10", rows(6, 3, 4)) == Counters(sessions_current=3, sessions_peak=4, sessions_total=6)
    assert clients(totals, "11", rows(1, 1, 1)) == Counters(sessions_current=1, sessions_peak=4, sessions_total=7)
    assert clients(totals, "11", rows(2, 0, 1)) == Counters(sessions_current=0, sessions_peak=4, sessions_total=8)
    assert clients(totals, "12", rows(0)).sessions_total == 8


def test_dropped_lines_are_added() -> None:
    totals = Totals()

    def dropped(worker: str, number: int) -> int:
        return totals.see(worker, parse_statistics(f"Name: HAProxy\nDroppedLogs: {number}\nPid: 1\n\n{rows(1)}")).dropped_logs

    assert [dropped("10", 5), dropped("10", 6), dropped("11", 1), dropped("12", 0)] == [5, 6, 7, 7]
    assert totals.see("12", parse_statistics("")).dropped_logs == 7


def test_what_is_gone_does_not_come_back_with_old_figures() -> None:
    totals = Totals()
    assert clients(totals, "10", rows(5)).sessions_total == 5
    totals.see("11", parse_statistics(rows(1, name="vs2_b")))
    assert clients(totals, "12", rows(1)).sessions_total == 1


def test_cleared() -> None:
    totals = Totals()
    clients(totals, "10", rows(5))
    clients(totals, "11", rows(5))
    totals.clear()
    assert clients(totals, "11", rows(0)) == Counters()
    assert clients(totals, "12", rows(1)).sessions_total == 1


@pytest.mark.parametrize(
    ("status", "state", "checked", "changing"),
    [
        ("UP", "up", True, None),
        ("UP 1/3", "up", True, "1/3"),
        ("DOWN", "down", True, None),
        ("DOWN 1/2", "down", True, "1/2"),
        ("DOWN (agent)", "down", True, None),
        ("MAINT", "disabled", True, None),
        ("MAINT (via a/b)", "disabled", True, None),
        ("NOLB", "up", True, None),
        ("DRAIN", "up", True, None),
        ("no check", "up", False, None),
    ],
)
def test_states(status: str, state: str, checked: bool, changing: str | None) -> None:
    health = health_of({"status": status, "weight": "3", "lastchg": "4", "check_status": "", "check_duration": "5"})
    assert health == ServerHealth(state, checked, changing, 4, None, None, 3)
    assert health.works == (state == "up")


@pytest.mark.parametrize(
    ("status", "code", "detail", "words"),
    [
        ("", "", "", None),
        ("INI", "", "", "not checked yet"),
        ("* L7STS", "503", "Service Unavailable", "it answers 503"),
        ("L7OK", "", "", "it answers"),
        ("L4CON", "", "Connection refused", "it takes no connection: connection refused"),
        ("L6RSP", "", "SSL handshake failure", "its TLS handshake fails: SSL handshake failure"),
        ("PROCOK", "", "", "PROCOK"),
    ],
)
def test_checks_in_words(status: str, code: str, detail: str, words: str | None) -> None:
    assert check_words(status, code, detail) == words
