"""What the operator sees of the mirror: counters, sessions, tunnels, and the columns of others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hsadc.cli.session import Session
from hsadc.dataplane.mirror_counters import DestinationCounters
from tests.unit.cli.test_show import cells
from tests.unit.config.memory import FULL, MIRRORED, PORTS, MemoryDataplane, adc, configure

SOURCES = ["virtual-server 网站", "virtual-server second", "virtual-server third", "interface ethernet0/1"]


HOW = "distribute flow-hash, sampling packet 10, rate-limit 1000 pps"


@pytest.fixture
def mirroring(tmp_path):
    device = adc(tmp_path, MemoryDataplane(*PORTS))
    configure(device, FULL + MIRRORED)
    return device


@pytest.fixture
def planned(tmp_path):
    """The same configuration without a dataplane."""
    device = adc(tmp_path)
    configure(device, FULL + MIRRORED)
    return device


def show(device, line, width=0):
    reply = Session(device).run(f"show {line}", width)
    assert reply.ok, reply.lines
    return list(reply.lines)


def data(device, line):
    return json.loads("\n".join(show(device, f"{line} | json")))


def tables(lines):
    """The tables below their headings."""
    found, rest = {}, lines
    while rest:
        end = rest.index("") if "" in rest else len(rest)
        found[rest[0].split(" (")[0]] = rest[1:end]
        rest = rest[end + 1 :]
    return found


class TestCounters:
    def test_without_a_dataplane(self, planned):
        assert show(planned, "mirror counters") == ["The dataplane is off: nothing is mirrored."]
        assert Session(planned).run("clear mirror counters").ok

    def test_nothing_is_mirrored(self, tmp_path):
        assert show(adc(tmp_path, MemoryDataplane()), "mirror counters") == ["Nothing is mirrored."]

    def test_of_each_source(self, mirroring):
        lines = tables(show(mirroring, "mirror counters"))["Sources"]
        assert cells(lines, "Source") == SOURCES
        assert cells(lines, "Seen") == ["120"] * 4
        assert cells(lines, "Matched bytes") == ["64000"] * 4
        assert "Loop guard" not in lines[0]  # it is 0 everywhere

    def test_of_each_destination_of_a_profile(self, mirroring):
        lines = tables(show(mirroring, "mirror counters"))["Destinations of profiles"]
        found = list(zip(cells(lines, "Profile"), cells(lines, "Destination"), strict=True))
        assert sorted(found) == [
            ("-", "tunnel1"),
            ("one in a million", "tunnel4"),
            ("raw", "ethernet0/2"),
            ("raw", "tunnel3"),
            ("soc", "tunnel3"),
            ("soc", "tunnel4"),
        ]
        assert cells(lines, "Oversize") == ["9"] * 6

    def test_of_each_tunnel_the_sum(self, mirroring):
        lines = tables(show(mirroring, "mirror counters"))["Tunnels"]
        assert cells(lines, "Interface") == ["ethernet0/2", "tunnel1", "tunnel3", "tunnel4"]
        assert cells(lines, "Tunnel") == ["none", 'gre "隧道"', 'erspan "zeek"', 'vxlan "cloud"']
        assert cells(lines, "Sent") == ["90", "90", "180", "180"]

    def test_they_fit_the_terminal_and_lose_nothing(self, mirroring):
        lines = show(mirroring, "mirror counters", 60)
        assert max(map(len, lines)) <= 60
        assert {"Copied", "Failed"} <= set(" ".join(lines).split())

    def test_as_data_nothing_is_left_out(self, mirroring):
        found = data(mirroring, "mirror counters")
        assert found["sources"][3] == {
            "kind": "interface",
            "name": "ethernet0/1",
            "id": found["sources"][3]["id"],
            "seen_packets": 120,
            "loop_guard_packets": 0,
            "filtered_packets": 15,
            "sampled_out_packets": 5,
            "matched_packets": 100,
            "matched_bytes": 64000,
            "copied_packets": 99,
            "failed_packets": 1,
        }
        (tunnel,) = (t for t in found["tunnels"] if t["interface"] == "tunnel3")
        assert (tunnel["copies"], tunnel["dropped_packets"], tunnel["unaccounted_packets"]) == (198, 18, 0)
        assert tunnel["split_copies"] == tunnel["encapsulation_packets"] == tunnel["extra_packets"] == 0

    @pytest.mark.parametrize(
        ("name", "sources", "destinations"),
        [
            ("second", {"second"}, {"ethernet0/2", "tunnel3"}),
            ("soc", {"ethernet0/1"}, {"tunnel3", "tunnel4"}),
            ("e0/1", {"ethernet0/1"}, {"tunnel3", "tunnel4"}),
            ("tunnel4", {"third", "ethernet0/1"}, {"tunnel4"}),
            ("off", set(), set()),
        ],
    )
    def test_of_what_has_to_do_with_a_name(self, mirroring, name, sources, destinations):
        found = data(mirroring, f"mirror counters {name}")
        assert {row["name"] for row in found["sources"]} == sources
        assert {row["destination"] for row in found["destinations"]} == destinations
        assert {row["interface"] for row in found["tunnels"]} == destinations

    @pytest.mark.parametrize("what", ["counters", "session"])
    def test_a_name_that_nothing_has(self, mirroring, what):
        reply = Session(mirroring).run(f"show mirror {what} x")
        assert reply.lines == ('% Error: "x" is no virtual server, interface or mirror profile',)

    def test_names_complete(self, mirroring):
        words = {choice.word for choice in Session(mirroring).choices("show mirror counters ")}
        assert {'"soc"', '"raw"', '"网站"', "ethernet0/1", "tunnel3"} <= words
        assert '"off"' not in words

    def test_what_was_sent_by_hand_has_a_line_of_its_own(self, mirroring):
        mirroring.dataplane.probed = {"tunnel3": DestinationCounters(copies=1, sent_packets=1, sent_bytes=72)}
        lines = tables(show(mirroring, "mirror counters"))["Destinations of profiles"]
        assert cells(lines, "Profile")[0] == "(test mirror)"
        assert data(mirroring, "mirror counters")["destinations"][0]["number"] == 0

    def test_they_are_cleared(self, mirroring):
        assert Session(mirroring).run("clear mirror counters").ok
        assert mirroring.dataplane.cleared == 1


class TestSessions:
    def test_nothing_is_mirrored(self, tmp_path):
        assert show(adc(tmp_path, MemoryDataplane()), "mirror session") == ["Nothing is to be mirrored."]

    def test_one_for_each_source_and_destination(self, mirroring):
        found = data(mirroring, "mirror session")
        assert [(s["source"], s["profile"], s["destination"], s["kind"]) for s in found["sessions"]] == [
            ("网站", None, "tunnel1", "gre"),
            ("second", "raw", "ethernet0/2", "none"),
            ("second", "raw", "tunnel3", "erspan"),
            ("third", "one in a million", "tunnel4", "vxlan"),
            ("ethernet0/1", "soc", "tunnel3", "erspan"),
            ("ethernet0/1", "soc", "tunnel4", "vxlan"),
        ]
        assert {p["profile"]: p["state"] for p in found["profiles"]} == {"raw": "up", "one in a million": "up", "soc": "up"}

    def test_how_it_is_copied(self, mirroring):
        (found,) = data(mirroring, "mirror session third")["sessions"]
        expected = {
            "direction": "forward",
            "distribute": "replicate",
            "sampling_unit": "flow",
            "sampling_one_in": 1000000,
            "truncate_bytes": 128,
            "unchanged_bytes": 114,
            "mtu_bytes": 1400,
            "vni": 42,
            "udp_port": 4789,
            "outer_protocol": 17,
            "next_hop": "10.0.0.254",
            "mac": "02:00:00:00:00:fe",
            "device": "eth0",
            "most_dropped": "oversize",
            "dropped_packets": 9,
        }
        assert {key: found[key] for key in expected} == expected

    def test_in_words(self, mirroring):
        assert show(mirroring, "mirror session soc")[:6] == [
            "interface ethernet0/1 > tunnel3: up",
            f'  profile "soc", direction forward, {HOW}, access-list "web"',
            "  erspan 10.0.0.1 > 10.9.0.3, type III, session 10, numbered, TTL 64",
            "  next hop 10.0.0.254 (02:00:00:00:00:fe) by eth0",
            "  path takes 1400 bytes: packets up to 1346 bytes are copied unchanged, larger ones: sent in outer fragments",
            "  99 copies, 90 packets sent, 9 dropped, most of them: oversize",
        ]
        assert show(mirroring, "mirror session soc")[-1] == 'mirror-profile "soc": up, to tunnel3, tunnel4'

    @pytest.mark.parametrize(
        ("down", "states"),
        [
            ({"tunnel3"}, {"raw": "degraded", "soc": "degraded", "one in a million": "up"}),
            ({"tunnel3", "tunnel4"}, {"raw": "degraded", "soc": "down", "one in a million": "down"}),
        ],
    )
    def test_a_profile_stands_as_its_destinations_do(self, mirroring, down, states):
        mirroring.dataplane.unreachable = down
        found = data(mirroring, "mirror session")
        assert {p["profile"]: p["state"] for p in found["profiles"]} == states

    def test_the_last_error(self, mirroring):
        mirroring.dataplane.unreachable = {"tunnel1"}
        lines = show(mirroring, "mirror session tunnel1")
        assert lines[0] == "virtual-server 网站 > tunnel1: down (no route)"
        assert lines[-1] == "  last error 2026-11-23T12:00:00Z: no route"
        (found,) = data(mirroring, "mirror session tunnel1")["sessions"]
        assert found["last_error"] == {"time": "2026-11-23T12:00:00Z", "reason": "no route"}

    @pytest.mark.parametrize(
        ("lines", "name", "reason"),
        [
            ("interface tunnel1\nshutdown", "tunnel1", "interface tunnel1 is shut down"),
            (
                'slb virtual-server "second"\nshutdown',
                "second",
                'slb virtual-server "second" is not in force: shutdown',
            ),
            ("interface ethernet0/1\nshutdown", "ethernet0/1", "interface ethernet0/1 is not in force: shutdown"),
        ],
    )
    def test_what_the_configuration_keeps_from_working(self, mirroring, lines, name, reason):
        configure(mirroring, lines)
        found = data(mirroring, f"mirror session {name}")["sessions"]
        assert found
        assert {(s["state"], s["reason"]) for s in found} == {("down", reason)}

    def test_an_interface_whose_packets_are_looked_at_elsewhere(self, tmp_path):
        plane = MemoryDataplane(PORTS[0], replace(PORTS[1], seen_at="eth2"), PORTS[2])
        device = adc(tmp_path, plane)
        configure(device, FULL + MIRRORED)
        states = {(s["state"], s["reason"]) for s in data(device, "mirror session ethernet0/1")["sessions"]}
        assert states == {("down", "the packets of interface ethernet0/1 are looked at on the device that it belongs to")}

    def test_without_a_dataplane(self, planned):
        found = data(planned, "mirror session")["sessions"]
        assert len(found) == 6
        assert {(s["state"], s["reason"], s["copies"]) for s in found} == {("down", "it is not in force", None)}

    def test_directions_of_source_and_profile_that_exclude_each_other(self, mirroring):
        configure(mirroring, 'mirror-profile "soc"\ndirection backward')
        assert {s["direction"] for s in data(mirroring, "mirror session soc")["sessions"]} == {"none"}

    def test_a_limit_in_megabits_and_one_list_for_each(self, mirroring):
        configure(
            mirroring,
            'access-list "other"\npermit ip any any\nexit\nmirror-profile "soc"\nrate-limit 5 mbps\naccess-list "other"',
        )
        assert "rate-limit 5 mbps" in show(mirroring, "mirror session soc")[1]
        assert show(mirroring, "mirror session soc")[1].endswith('access-list "web", access-list "other"')


class TestTunnels:
    def test_erspan(self, mirroring):
        assert show(mirroring, "tunnel erspan zeek") == [
            'tunnel erspan "zeek"',
            "  source ethernet0/0, destination 10.9.0.3",
            "  leaves as the routing table says",
            "  ttl 64, dscp 0, no dont-fragment, no mtu, oversize fragment, receiver generic, version 3, session-id 10",
            "  interface tunnel3: up",
            "    erspan 10.0.0.1 > 10.9.0.3, type III, session 10, numbered, TTL 64",
            "    next hop 10.0.0.254 (02:00:00:00:00:fe) by eth0",
            "    path takes 1400 bytes: packets up to 1346 bytes are copied unchanged, larger ones: sent in outer fragments",
            "    198 copies, 180 packets, 120000 bytes sent; dropped: 18 oversize",
        ]

    def test_vxlan(self, mirroring):
        lines = show(mirroring, "tunnel vxlan")
        assert "    vxlan 10.0.0.1 > 10.9.0.4, VNI 42, UDP port 4789, TTL 64" in lines
        assert data(mirroring, "tunnel vxlan")["tunnels"][0]["vni"] == 42

    def test_what_is_not_the_default(self, mirroring):
        configure(mirroring, 'tunnel gre "隧道"\nchecksum\nsequence\npayload ethernet\ndscp 46\ndont-fragment\nno key\nttl 9')
        assert "    gre 10.0.0.1 > 10.9.0.2, frames, no key, numbered, checksum, TTL 9, DSCP 46, DF" in show(
            mirroring, "tunnel gre"
        )
        configure(mirroring, 'tunnel erspan "zeek"\nversion 1')
        assert "    erspan 10.0.0.1 > 10.9.0.3, type I, TTL 64" in show(mirroring, "tunnel erspan")

    @pytest.mark.parametrize("kind", ["gre", "erspan", "vxlan"])
    def test_one_that_is_not_there(self, mirroring, kind):
        reply = Session(mirroring).run(f"show tunnel {kind} x")
        assert reply.lines == (f'% Error: tunnel {kind} "x": there is no such object',)

    def test_an_interface_of_the_same_name_of_another_kind_is_not_shown(self, mirroring):
        configure(mirroring, 'tunnel vxlan "zeek"\nsource interface ethernet0/0\ndestination 10.9.0.5\nvni 1')
        (zeek,) = data(mirroring, "tunnel vxlan zeek")["tunnels"]
        assert zeek["interfaces"] == []


class TestColumns:
    def test_interfaces(self, mirroring):
        lines = show(mirroring, "interface")
        assert cells(lines, "Device")[4:] == ["-", 'erspan "zeek"', 'vxlan "cloud"']
        assert cells(lines, "Mirror")[1] == 'profile "soc"'
        found = data(mirroring, "interface ethernet0/1")["interfaces"][0]
        assert (found["mirror_profile"], found["mirror_access_list"], found["mirror_direction"]) == ("soc", "web", "forward")

    def test_virtual_servers(self, mirroring):
        lines = show(mirroring, "slb virtual-server")
        lines = lines[: lines.index("")]
        assert cells(lines, "Mirror") == ["tunnel1", "-", 'profile "raw"', 'profile "one in a million"']

    def test_the_dataplane(self, mirroring):
        lines = show(mirroring, "dataplane")
        assert lines[0].startswith("Dataplane: BPF programs in the kernel copy packets")
        assert lines[1] == "Mirror: 3 virtual servers and 1 interface by 4 profiles to 4 tunnels"
        assert lines[2] == "Packets are looked at on: eth0, eth1, eth2"
        assert not any("not seen" in line or "Missing" in line for line in lines)

    def test_a_machine_without_bpf(self, mirroring):
        no_bpf, old = "this kernel has no bpf system call", "this kernel forgets whose addresses are"
        lacking = {"bpf_map": no_bpf, "bpf_program": no_bpf, "bpf_filter": "not tried: no program", "address_protocol": old}
        mirroring.dataplane.mirror_path = "portable"
        mirroring.dataplane.abilities = replace(mirroring.dataplane.abilities, **lacking)
        lines = show(mirroring, "dataplane")
        assert [line for line in lines if "Missing" in line] == [f"Missing on this machine: {old}"]
        assert lines[0].startswith("Dataplane: hsadc itself copies packets, without BPF")
        assert lines[1] == "BPF programs cannot copy here: this kernel has no bpf system call"
        assert "Packets that came too fast and were not seen: 3 on eth0" in lines
        mirroring.dataplane.capture_lost = lambda: {"eth0": 0}
        assert "Packets that came too fast and were not seen: none" in show(mirroring, "dataplane")
        assert data(mirroring, "dataplane")["abilities"]["ifb"] == "yes"
        assert show(mirroring, "version")[2].startswith("Dataplane: mirror without BPF, HAProxy 2.8.25")
