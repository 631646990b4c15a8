"""`test mirror`: which source takes a packet, where its copies go, and why not."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from hsadc.cli.session import Session
from hsadc.dataplane.mirror_counters import DestinationCounters
from hsadc.intent.material import Material
from hsadc.wire.probe import TCP, Flow, frame
from tests.unit.config.memory import FULL, MIRRORED, PORTS, MemoryDataplane, adc, configure

SEGMENTED = "TCP is sent in smaller segments, others are dropped"
LISTENERS = "10.0.0.1 port 80, 10.0.0.1 port 8080, 10.0.0.1 port 8081"


@pytest.fixture
def mirroring(tmp_path):
    device = adc(tmp_path, MemoryDataplane(*PORTS))
    configure(device, FULL + MIRRORED)
    return device


def ask(device, line):
    reply = Session(device).run(f"test mirror {line}")
    assert reply.ok, reply.lines
    return list(reply.lines)


def data(device, line):
    return json.loads("\n".join(ask(device, f"{line} | json")))


def test_a_virtual_server(mirroring):
    assert ask(mirroring, "virtual-server 网站") == [
        "Packet 192.0.2.1 port 49152 > 10.0.0.1 port 80, tcp: flow hash " + f"{data(mirroring, 'v 网站')['flow_hash']:#010x}",
        "virtual-server 网站, from the client and to the client: matched",
        "  distribute replicate: 1 of 1 destinations",
        "  tunnel1: up",
        "    gre 10.0.0.1 > 10.9.0.2, IP packets, key 7, TTL 64",
        "    next hop 10.0.0.254 (02:00:00:00:00:fe) by eth0",
        f"    path takes 1500 bytes: packets up to 1472 bytes are copied unchanged, larger ones: {SEGMENTED}",
        "    a packet of 1500 bytes: sent in 2 TCP segments",
    ]


def test_each_direction_by_itself_where_they_differ(mirroring):
    configure(mirroring, 'mirror-profile "one in a million"\nno sampling')
    lines = ask(mirroring, "virtual-server third")
    assert lines[1] == 'virtual-server third, from the client: matched, profile "one in a million"'
    assert lines[-2:] == [
        'virtual-server third, to the client: filtered, profile "one in a million"',
        '  not copied: profile "one in a million" does not take direction backward',
    ]
    assert "    a packet of 1500 bytes: cut, in one packet of 164 bytes" in lines
    assert "    path takes 1400 bytes: packets up to 114 bytes are copied unchanged, larger ones: cut to 128 bytes" in lines


def test_a_flow_that_is_not_in_the_sample(mirroring):
    lines = ask(mirroring, "10.3.0.1 1000 10.0.0.1 8081 tcp")
    assert lines[1:3] == [
        'virtual-server third, from the client: sampled out, profile "one in a million"',
        "  not copied: its flow is not in the sample, which takes one flow of 1000000",
    ]


def test_an_interface_takes_a_packet_by_its_lists(mirroring):
    lines = ask(mirroring, "interface ethernet0/1 10.3.0.1 1000 10.0.0.9 81 tcp")
    assert lines[1:7] == [
        'interface ethernet0/1, received: matched, profile "soc"',
        '  access-list "web" of the source: permit tcp any 10.0.0.0/8',
        '  access-list "web" of the profile: permit tcp any 10.0.0.0/8',
        "  sampling packet 10: one of so many packets is copied",
        "  rate-limit 1000 pps: copies above it are dropped",
        "  distribute flow-hash: 1 of 2 destinations",
    ]
    assert lines[-1] == "  not copied: mirror-traffic of interface ethernet0/1 does not take direction backward"


@pytest.mark.parametrize(
    ("flow", "entry"),
    [("10.3.0.1 1000 10.0.0.9 22 tcp", "deny tcp any any eq 22"), ("10.3.0.1 1 10.0.0.9 2 udp", "none of its entries matches")],
)
def test_an_access_list_denies_it(mirroring, flow, entry):
    assert ask(mirroring, f"interface ethernet0/1 {flow}")[2] == f'  not copied: access-list "web" denies it: {entry}'


def test_the_list_of_the_profile_denies_it(mirroring):
    configure(mirroring, "interface ethernet0/1\nmirror-traffic profile soc")
    lines = ask(mirroring, "interface ethernet0/1")
    assert lines[1:3] == [
        'interface ethernet0/1, received and sent: filtered, profile "soc"',
        '  not copied: access-list "web" denies it: none of its entries matches',
    ]


def test_the_mirrors_own_packets(mirroring):
    assert ask(mirroring, "interface ethernet0/1 10.9.0.3 1 10.0.0.1 2 udp")[1:3] == [
        'interface ethernet0/1, received and sent: loop guard, profile "soc"',
        "  not copied: it is encapsulated already, or to or from an analyzer: the mirror's own traffic is not copied",
    ]


def test_the_flows_of_a_profile_are_spread_over_what_is_up(mirroring):
    def chosen():
        flows = (f"interface e0/1 10.3.0.1 {port} 10.0.0.9 81 tcp" for port in range(1000, 1020))
        return {data(mirroring, flow)["sources"][0]["destinations"][0]["interface"] for flow in flows}

    assert chosen() == {"tunnel3", "tunnel4"}
    mirroring.dataplane.unreachable = {"tunnel3"}
    assert chosen() == {"tunnel4"}


def test_the_outer_headers(mirroring):
    ports = set()
    for port in range(1000, 1020):
        (found,) = data(mirroring, f"interface e0/1 10.3.0.1 {port} 10.0.0.9 81 tcp")["sources"][0]["destinations"]
        if found["kind"] == "vxlan":
            assert (found["outer_protocol"], found["udp_port"], found["vni"]) == (17, 4789, 42)
            ports.add(found["udp_source_port"])
        else:
            assert (found["outer_protocol"], found["session_id"], found["udp_source_port"]) == (47, 10, None)
    assert len(ports) > 1
    assert min(ports) >= 49152


def test_both_sources_take_it_to_one_profile(mirroring):
    configure(mirroring, 'interface ethernet0/1\nmirror-traffic profile "raw"')
    lines = ask(mirroring, "10.3.0.1 1000 10.0.0.1 8080 tcp")
    assert lines[-2:] == [
        'interface ethernet0/1, received and sent: matched, profile "raw"',
        "  goes to its profile once, the other source has handed it over",
    ]


def test_ipv6(mirroring):
    configure(mirroring, 'access-list "web"\npermit tcp any 2001:db8::/32')
    found = data(mirroring, "interface ethernet0/1 2001:db8::1 1000 2001:db8::2 443 tcp")
    assert found["packet"]["destination"] == "2001:db8::2"
    assert found["sources"][0]["access_lists"][0]["entry"] == "permit tcp any 2001:db8::/32"
    assert found["sources"][0]["destinations"][0]["small_packet"]["outcome"] == "sent"


def test_a_destination_that_is_down(mirroring):
    mirroring.dataplane.unreachable = {"tunnel1"}
    lines = ask(mirroring, "virtual-server 网站")
    assert "  tunnel1: down (no route)" in lines
    assert lines[-1] == "    this packet: dropped, no route"


class TestNothingTakesIt:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("virtual-server off", 'slb virtual-server "off" has no mirror-traffic'),
            ("interface ethernet0/0", "interface ethernet0/0 has no mirror-traffic"),
            ("10.3.0.1 1 10.0.0.1 81 tcp", 'slb virtual-server "网站" has 10.0.0.1, but listens on port 80'),
            ("10.3.0.1 1 10.0.0.1 80 udp", 'slb virtual-server "网站": only its TCP is copied'),
            (
                "10.3.0.1 1 10.0.0.5 81 tcp",
                f"no virtual server has an address of this packet; mirrored are: {LISTENERS}",
            ),
            ("10.3.0.1 1 10.0.0.5 81 tcp", "no interface is mirrored"),
        ],
    )
    def test_the_nearest_reason(self, mirroring, line, reason):
        configure(mirroring, "interface ethernet0/1\nno mirror-traffic")
        lines = ask(mirroring, line)
        assert f"Not copied: {reason}" in lines
        assert data(mirroring, line)["sources"] == []

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ("shutdown", 'slb virtual-server "网站" is not in force: shutdown'),
            ("exit\ninterface tunnel1\nshutdown", 'slb virtual-server "网站": interface tunnel1 is shut down'),
            ("no server-pool", 'slb virtual-server "网站" is not in force: it has no server-pool'),
        ],
    )
    def test_what_is_not_in_force(self, mirroring, change, reason):
        configure(mirroring, f'interface ethernet0/1\nno mirror-traffic\nexit\nslb virtual-server "网站"\n{change}')
        assert ask(mirroring, "virtual-server 网站")[-1] == f"Not copied: {reason}"
        assert f"Not copied: {reason}" in ask(mirroring, "192.0.2.1 1 10.0.0.1 80 tcp")

    def test_one_that_is_no_object(self, mirroring):
        reply = Session(mirroring).run("test mirror virtual-server x")
        assert reply.lines == ('% Error: slb virtual-server "x": there is no such object',)

    def test_two_families(self, mirroring):
        reply = Session(mirroring).run("test mirror 10.0.0.1 1 2001:db8::1 2 tcp")
        assert reply.lines == ("% Error: test mirror: 10.0.0.1 and 2001:db8::1 are not of one family",)

    def test_without_a_dataplane(self, tmp_path):
        device = adc(tmp_path)
        configure(device, FULL)
        assert ask(device, "virtual-server 网站 send") == ["The dataplane is off: nothing is mirrored."]

    def test_nothing_is_sent(self, mirroring):
        assert ask(mirroring, "virtual-server off send")[-1] == "No probe was sent."
        assert mirroring.dataplane.probes == []


class TestProbes:
    def test_none_unless_it_is_said(self, mirroring):
        ask(mirroring, "virtual-server second")
        assert mirroring.dataplane.probes == []

    def test_one_for_each_destination(self, mirroring):
        lines = ask(mirroring, "10.3.0.1 1000 10.0.0.1 8080 tcp send")
        assert lines[-2:] == [
            "Probe by ethernet0/2: 1 packet of 72 bytes sent",
            "Probe by tunnel3 to 10.9.0.3: 1 packet of 72 bytes sent",
        ]
        flow = Flow(ip_address("10.3.0.1"), 1000, ip_address("10.0.0.1"), 8080, TCP)
        assert mirroring.dataplane.probes == [("ethernet0/2", frame(flow)), ("tunnel3", frame(flow))]

    def test_one_that_is_dropped_says_why(self, mirroring):
        mirroring.dataplane.unreachable = {"tunnel1"}
        assert ask(mirroring, "virtual-server 网站 send")[-1] == "Probe by tunnel1 to 10.9.0.2: dropped, no route"

    def test_one_that_nobody_counted_is_lost(self, mirroring, monkeypatch):
        monkeypatch.setattr(mirroring.dataplane, "send_probe", lambda *_: DestinationCounters())
        assert data(mirroring, "virtual-server 网站 send")["sent"][0]["outcome"] == "lost"


class _AnyFiles:
    """Trust domains whose files are all there."""

    def materials(self, domains):
        return {d.name: Material(identity=b"CERTIFICATE KEY") for d in domains}


TLS = """
pki trust-domain d
  certificate file c.pem
  key file k.pem
exit
ssl-profile web
  trust-domain d
exit
interface ethernet0/0
  ipv6 address 2001:db8::1/64
exit
interface ethernet0/1
  no mirror-traffic
exit
slb virtual-server "safe" type https id 40
  server-pool "p"
  auto-snat
  ip 10.0.0.1 port 443
  ssl-profile web
  mirror-traffic interface tunnel1 port 8080
exit
slb virtual-server "six" type ssl id 41
  server-pool "p"
  auto-snat
  ip 2001:db8::1 port 993
  ssl-profile web
  mirror-traffic interface tunnel1
exit
slb server-pool "names"
  real-server "r"
exit
slb virtual-server "names" type udp id 42
  server-pool "names"
  auto-snat
  ip 10.0.0.1 port 53
  mirror-traffic interface tunnel1
exit
"""


class TestDecryptedCopies:
    @pytest.fixture
    def decrypting(self, mirroring):
        mirroring.dataplane.pki = _AnyFiles()
        configure(mirroring, TLS)
        return mirroring

    def test_they_are_seen_on_the_hop(self, decrypting):
        lines = ask(decrypting, "virtual-server safe")
        assert lines[0].startswith("Packet 192.0.2.1 port 49152 > 10.0.0.1 port 443, tcp")
        assert lines[1] == "virtual-server safe, decrypted, from the client and to the client: matched"
        assert lines[-1] == "    a packet of 1452 bytes: unchanged, in one packet of 1480 bytes"

    @pytest.mark.parametrize(
        ("flow", "way"),
        [("10.3.0.1 7 10.0.0.1 443 tcp", "from the client"), ("10.0.0.1 443 10.3.0.1 7 tcp", "to the client")],
    )
    def test_what_a_client_sends_is_copied_there(self, decrypting, flow, way):
        assert ask(decrypting, flow)[1] == f"virtual-server safe, decrypted, {way}: matched"

    @pytest.mark.parametrize("flow", ["10.3.0.1 7 10.0.0.1 443 udp", "10.3.0.1 7 10.0.0.1 444 tcp"])
    def test_other_packets_are_not(self, decrypting, flow):
        assert "safe" not in {row["name"] for row in data(decrypting, flow)["sources"]}

    def test_the_port_of_the_copies_is_another_virtual_servers(self, decrypting):
        (row,) = data(decrypting, "10.3.0.1 7 10.0.0.1 8080 tcp")["sources"]
        assert (row["name"], row["view"]) == ("second", None)

    def test_a_probe_is_as_the_analyzer_would_see_the_packet(self, decrypting):
        ask(decrypting, "virtual-server safe send")
        flow = Flow(ip_address("192.0.2.1"), 49152, ip_address("10.0.0.1"), 8080, TCP)
        assert decrypting.dataplane.probes == [("tunnel1", frame(flow))]

    def test_ipv6(self, decrypting):
        lines = ask(decrypting, "virtual-server six")
        assert lines[0].startswith("Packet 2001:db8::1 port 49152 > 2001:db8::1 port 993, tcp")
        assert lines[1] == "virtual-server six, decrypted, from the client and to the client: matched"

    def test_udp(self, decrypting):
        assert ask(decrypting, "virtual-server names")[1] == "virtual-server names, from the client and to the client: matched"
        assert 'Not copied: slb virtual-server "names": only its UDP is copied' in ask(decrypting, "10.3.0.1 7 10.0.0.1 53 tcp")

    def test_without_a_destination_in_force(self, decrypting):
        configure(decrypting, "interface tunnel1\nshutdown")
        reason = 'Not copied: slb virtual-server "safe": interface tunnel1 is shut down'
        assert ask(decrypting, "virtual-server safe")[-1] == reason
        assert reason in ask(decrypting, "10.3.0.1 7 10.0.0.1 443 tcp")

    def test_the_session_says_what_is_copied(self, decrypting):
        reply = Session(decrypting).run("show mirror session safe")
        assert reply.lines[1] == "  view decrypted, port 8080, direction bidirection"
        (found,) = json.loads("\n".join(Session(decrypting).run("show mirror session safe | json").lines))["sessions"]
        assert (found["view"], found["copied_port"]) == ("decrypted", 8080)
        assert Session(decrypting).run("show mirror session six").lines[1] == "  view decrypted, direction bidirection"
        configure(decrypting, "slb virtual-server safe\nmirror-traffic interface tunnel1 view encrypted")
        assert Session(decrypting).run("show mirror session safe").lines[1] == "  view encrypted, direction bidirection"
