from __future__ import annotations

from hsadc.dataplane.haproxy_statistics import Counters, VirtualServerStatistics, parse_statistics

ANSWER = """\
# pxname,svname,scur,smax,stot,bin,bout,econ,eresp,status,hrsp_5xx,req_tot,
vs7_l7-http,FRONTEND,1,2,3,4,5,,,OPEN,6,7,
pool7_web,r:20:1,0,1,2,3,4,5,6,no check,0,,
pool7_web,BACKEND,0,1,2,3,4,5,6,UP,0,9,
vs65535_x,FRONTEND,0,0,0,0,0,,,OPEN,,,
pool65535_x,BACKEND,0,0,0,0,0,0,0,UP,,,

"""


def test_rows_are_sorted_to_their_virtual_servers() -> None:
    nothing = Counters("UP", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert parse_statistics(ANSWER) == {
        7: VirtualServerStatistics(
            7,
            clients=Counters("OPEN", 1, 3, 2, 7, 4, 5, 6, 0, 0),
            pool=Counters("UP", 0, 2, 1, 9, 3, 4, 0, 5, 6),
            real_servers={"r 1": Counters("no check", 0, 2, 1, 0, 3, 4, 0, 5, 6)},
        ),
        65535: VirtualServerStatistics(65535, Counters("OPEN", 0, 0, 0, 0, 0, 0, 0, 0, 0), nothing, {}),
    }


def test_nothing_is_nothing() -> None:
    assert parse_statistics("\n") == {}


def test_other_proxies_are_not_ours() -> None:
    assert parse_statistics("# pxname,svname,status,\nMASTER,FRONTEND,OPEN,\n") == {}
