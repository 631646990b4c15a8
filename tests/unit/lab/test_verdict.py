from dataclasses import replace

import pytest

from hsadc.lab.capture import CaptureTotals
from hsadc.lab.compare import compare
from hsadc.lab.record import Connection, Exchange, ServerReport
from hsadc.lab.scenario import ARTICLE
from hsadc.lab.verdict import Findings, Phase
from tests.unit.lab.frames import ADC, frame, stream
from tests.unit.lab.test_compare import ROUTE

OK = Exchange("GET", "/bytes/1", "rs33")
FAILED = Exchange("GET", "/bytes/1", error="timed out")


def connection(port, *exchanges):
    return Connection(port, b"up", b"down", exchanges)


def findings(*connections, **changes):
    frames = [frame(p) for c in connections for p in (*stream(b"up", port=c.port), *stream(b"down", up=False, port=c.port))]
    found = Findings(
        scenario=ARTICLE,
        phases=(Phase("one after another", connections),),
        servers=(ServerReport("rs33", {ADC: 2}),),
        totals=CaptureTotals(len(frames), 0),
        comparison=compare(frames, connections, ROUTE),
        device_status=0,
    )
    return replace(found, **changes)


def test_all_is_right():
    found = findings(connection(40000, OK), connection(40001, OK))
    assert found.problems == ()
    assert (found.phases[0].requests, found.phases[0].failures.total()) == (2, 0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"servers": (ServerReport("rs33", {ADC: 3}),)}, "the client has 2 answers, the real servers gave 3"),
        ({"servers": (ServerReport("rs33", {ADC: 2}), ServerReport("rs34", {}))}, "real server rs34 got no request"),
        (
            {"servers": (ServerReport("rs33", {ADC: 1, "192.168.131.1": 1}),)},
            f"real server rs33 got 1 requests from 192.168.131.1, not from {ADC}",
        ),
        ({"totals": CaptureTotals(1, 4)}, "the capture at the analyzer dropped 4 packets: nothing can be proved"),
        ({"device_status": -9}, "hsadc ended with status -9"),
        ({"comparison": compare([], (), ROUTE)}, "no GRE packet reached the analyzer"),
    ],
)
def test_each_thing_that_is_wrong_is_said_alone(changes, why):
    assert findings(connection(40000, OK), connection(40001, OK), **changes).problems == (why,)


def test_failed_requests_are_counted_by_why():
    found = findings(connection(40000, OK, FAILED), connection(40001, OK, FAILED))
    assert found.problems == ("2 requests failed (one after another): timed out",)


def test_a_port_that_served_twice_proves_nothing():
    phases = (Phase("a", (connection(40000, OK),)), Phase("b", (connection(40000, OK), connection(0), connection(0))))
    found = findings(connection(40000, OK), connection(40001, OK), phases=phases)
    assert found.problems == ("the client used these ports more than once, so its connections cannot be told apart: [40000]",)
