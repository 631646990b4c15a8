"""`test mirror` and what is shown of the mirror, on the kernel: what it says is what arrives at the analyzer."""

import json

import pytest

from hsadc.cli.session import Session
from hsadc.dataplane.dataplane import Dataplane
from hsadc.wire.probe import PAYLOAD
from hsadc.wire.receive import decapsulate_frame
from tests.netns.mirror_net import Net, capture, until
from tests.unit.config.memory import adc, configure

pytestmark = pytest.mark.netns

CONFIG = """
interface ethernet0/0
  device "front"
exit
interface ethernet0/1
  device "back"
exit
tunnel gre "one"
  source 10.2.0.2
  destination 10.3.0.2
  key 7
exit
tunnel erspan "two"
  source 10.2.0.2
  destination 10.3.0.2
  version 3
  session-id 9
  oversize fragment
exit
interface tunnel1
  tunnel gre "one"
exit
interface tunnel2
  tunnel erspan "two"
exit
mirror-profile "soc"
  destination interface tunnel1
  destination interface tunnel2
  distribute flow-hash
exit
interface ethernet0/0
  mirror-traffic profile "soc"
exit
"""


@pytest.fixture(scope="module")
def net():
    with Net() as made:
        yield made


@pytest.fixture(params=["bpf", "portable"])
def session(net, tmp_path, request):
    with net.inside("adc"):
        device = adc(tmp_path, Dataplane(tmp_path, request.param))
        try:
            configure(device, CONFIG)
            session = Session(device)
            until(lambda: {s["state"] for s in data(session, "show mirror session")["sessions"]} == {"up"})
            yield session
        finally:
            device.stop()


def data(session, line):
    reply = session.run(f"{line} | json")
    assert reply.ok, reply.lines
    return json.loads("\n".join(reply.lines))


def test_the_probe_of_a_flow_arrives_by_the_destination_that_is_named(net, session):
    told = {}
    with capture(net) as frames:
        for port in range(1000, 1010):
            found = data(session, f"test mirror interface ethernet0/0 10.1.0.1 {port} 10.1.0.2 8087 tcp send")
            (sent,) = found["sent"]
            assert (sent["outcome"], sent["sent_packets"]) == ("sent", 1)
            assert [d["interface"] for d in found["sources"][0]["destinations"]] == [sent["interface"]]
            told[port] = sent["interface"]
    received = [r for r in map(decapsulate_frame, frames) if r.payload.endswith(PAYLOAD)]  # others pass "front", too
    assert {r.key for r in received if r.kind == "gre"} == {7}
    assert {r.erspan.session_id for r in received if r.kind == "erspan"} == {9}
    packets = [r.payload[14 if r.is_ethernet else 0 :] for r in received]
    arrived = {
        int.from_bytes(p[20:22]): "tunnel2" if r.is_ethernet else "tunnel1" for p, r in zip(packets, received, strict=True)
    }
    assert arrived == told
    assert set(told.values()) == {"tunnel1", "tunnel2"}
    rows = {row["destination"]: row for row in data(session, "show mirror counters")["destinations"] if row["number"] == 0}
    assert {name: row["sent_packets"] for name, row in rows.items()} == {
        name: list(told.values()).count(name) for name in ("tunnel1", "tunnel2")
    }


def test_real_packets_go_where_it_says(net, session):
    with capture(net) as frames:
        told = {}
        for port in range(2000, 2010):
            (found,) = data(session, f"test mirror interface ethernet0/0 10.1.0.1 {port} 10.1.0.2 53 udp")["sources"]
            told[port] = found["destinations"][0]["interface"]
            net.run(
                "client",
                f"python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                f' s.bind(("10.1.0.1", {port})); s.sendto(b"x", ("10.1.0.2", 53))\'',
            )
    received = [decapsulate_frame(frame) for frame in frames]
    packets = [(r, r.payload[14 if r.is_ethernet else 0 :]) for r in received]
    udp = {int.from_bytes(p[20:22]): "tunnel2" if r.is_ethernet else "tunnel1" for r, p in packets if p[9] == 17}
    assert udp == told


def test_what_is_down_is_shown_with_its_reason(net, session):
    net.run("adc", "ip link set back down")
    try:
        until(lambda: {s["state"] for s in data(session, "show mirror session")["sessions"]} == {"down"})
        found = data(session, "show mirror session soc")
        assert {(s["reason"], s["last_error"]["reason"]) for s in found["sessions"]} == {("no route to 10.3.0.2",) * 2}
        assert found["profiles"] == [{"profile": "soc", "destinations": ["tunnel1", "tunnel2"], "state": "down"}]
        until(lambda: data(session, "test mirror interface ethernet0/0 send")["sent"][0]["outcome"] == "no_route")
    finally:
        net.run("adc", "ip link set back up")
        net.run("adc", "ip route replace 10.3.0.0/24 via 10.2.0.1")
    until(lambda: {s["state"] for s in data(session, "show mirror session")["sessions"]} == {"up"})
    assert data(session, "show tunnel gre one")["tunnels"][0]["interfaces"][0]["last_error"]["reason"]
