from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import GRE

from hsadc.lab.compare import Route, compare
from hsadc.lab.payload import body
from hsadc.lab.record import Connection
from tests.unit.lab.frames import ADC, ANALYZER, CLIENT, VIRTUAL, frame, stream, tcp

ROUTE = Route(IPv4Address(ADC), IPv4Address(ANALYZER), 63, IPv4Address(CLIENT), (IPv4Address(ADC), VIRTUAL))
CONNECTIONS = tuple(Connection(port, body("clnt", 500), body("rs33", 700), ()) for port in (40000, 40001))


def faithful():
    packets = [
        p for c in CONNECTIONS for p in (*stream(c.sent, port=c.port), *stream(c.received, up=False, isn=2**32 - 9, port=c.port))
    ]
    return [frame(p) for p in packets]


def problems(frames, connections=CONNECTIONS):
    return compare(frames, connections, ROUTE).problems


def test_a_faithful_mirror_has_no_problems():
    found = compare(faithful(), CONNECTIONS, ROUTE)
    assert found.problems == ()
    assert found.arrivals == {(IPv4Address(ADC), IPv4Address(ANALYZER), 63): 32}
    assert (found.segments, found.bad_ip, found.bad_tcp) == (32, 0, 0)
    assert (found.to_server.mirrored, found.to_client.mirrored) == (1000, 1400)


def test_an_empty_capture():
    assert problems([]) == (
        "no GRE packet reached the analyzer",
        "client to ADC: 1000 bytes missing",
        "client to ADC: 2 streams without their SYN",
        "client to ADC: 2 streams without their FIN",
        "ADC to client: 1400 bytes missing",
        "ADC to client: 2 streams without their SYN",
        "ADC to client: 2 streams without their FIN",
    )


BAD_IP, BAD_TCP = IP(bytes(tcp(b"", flags="A", ip_id=50))), IP(bytes(tcp(b"", flags="A", ip_id=51)))
BAD_IP.chksum ^= 1
BAD_TCP[TCP].chksum ^= 1


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (frame(tcp(flags="A"), src=CLIENT), f"1 GRE packets from {CLIENT} to {ANALYZER}, not from {ADC} to {ANALYZER}"),
        (frame(tcp(flags="A"), dst="192.168.142.2"), f"1 GRE packets from {ADC} to 192.168.142.2, not from {ADC} to {ANALYZER}"),
        (frame(tcp(flags="A"), ttl=64), "1 GRE packets arrived with TTL 64, not 63"),
        (frame(IP() / UDP()), "1 packets that are no copies of TCP: inner packet has protocol 17"),
        (frame(tcp(), frag=1), "1 packets that are no copies of TCP: outer packet is a fragment"),
        (
            frame(IP(src=ADC, dst=ANALYZER) / GRE(proto=0x0800) / tcp()),
            "1 packets that are no copies of TCP: inner packet has protocol 47",
        ),
        (frame(BAD_IP), "1 copied packets with a wrong IP checksum"),
        (frame(BAD_TCP), "1 copied packets with a wrong TCP checksum"),
        (frame(tcp(port=40002)), f"1 segments of no recorded connection: {CLIENT}:40002 > {ADC}:{VIRTUAL}"),
        (frame(tcp(port=40002, up=False)), f"1 segments of no recorded connection: {ADC}:{VIRTUAL} > {CLIENT}:40002"),
        (faithful()[1], "client to ADC: 1 segments copied more than once"),
        (faithful()[8], "ADC to client: 1 segments copied more than once"),
        (frame(tcp(b"x", seq=501, ip_id=60)), "client to ADC: 1 bytes too many"),
    ],
)
def test_each_thing_that_is_wrong_is_said_alone(extra, why):
    assert problems([*faithful(), extra]) == (why,)


def test_a_connection_that_did_not_come_about_left_no_trace():
    assert problems(faithful(), (*CONNECTIONS, Connection(0, b"", b"", ()))) == ()


def test_the_streams_of_two_connections_are_not_mixed():
    swapped = tuple(
        Connection(c.port, c.sent, other.received[::-1], ()) for c, other in zip(CONNECTIONS, CONNECTIONS[::-1], strict=True)
    )
    assert any("not as they were" in problem for problem in problems(faithful(), swapped))
