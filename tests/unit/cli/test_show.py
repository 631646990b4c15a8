"""Every show command: on an empty and on a full configuration, with and without a dataplane."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path

import pytest
from wcwidth import wcswidth

from hsadc.cli.commands import COMMANDS
from hsadc.cli.log import RECENT
from hsadc.cli.session import Session
from hsadc.dataplane.pki import PkiReader
from hsadc.model.config import SECTIONS
from tests import pki
from tests.unit.config.memory import FULL, MIRRORED, PORTS, ROOT, WATCHED, MemoryDataplane, adc, configure
from tests.unit.syntax.test_nodes import everything

KEYS = Path(__file__).parents[3] / "docs" / "json-keys.md"
SHOWN_BY_OTHERS = (
    "show startup-config",
    "show running-config slb",
    "show configuration candidate",
    "show configuration backup 0",
    "show configuration difference candidate",
    "show tech-support",
)
TLS = """
pki trust-domain "web"
  certificate file web.crt
exit
ssl-profile "tls"
  trust-domain "web"
exit
slb virtual-server "off"
  server-ssl-profile "tls"
exit
"""
TEST = "test mirror 10.3.0.1 1000 10.0.0.1 8080 tcp send"
COMMAND_LINES = {
    "show_running_config": "show running-config",
    "show_startup_config": "show startup-config",
    "show_candidate": "show configuration candidate",
    "show_record": "show configuration record",
    "show_pki_files": "show pki files",
    "show_ssl_certificate": "show ssl certificate",
    "show_unconfirmed": "show configuration unconfirmed",
    "show_difference_startup": "show configuration difference",
    "show_difference_candidate": "show configuration difference candidate",
    "show_files": "show files",
    "show_version": "show version",
    "show_privilege": "show privilege",
    "show_interface": "show interface",
    "show_ip_route": "show ip route",
    "show_tunnel_gre": "show tunnel gre",
    "show_tunnel_erspan": "show tunnel erspan",
    "show_tunnel_vxlan": "show tunnel vxlan",
    "show_virtual_server": "show slb virtual-server",
    "show_server_pool": "show slb server-pool",
    "show_real_server": "show slb real-server",
    "show_slb_session": "show slb session",
    "show_slb_log": "show slb log",
    "show_slb_monitor": "show slb monitor",
    "show_mirror_counters": "show mirror counters",
    "show_mirror_session": "show mirror session",
    "show_this": "show this",
    "show_online": "show online",
    "show_admin": "show admin",
    "show_history": "show history",
    "show_clock": "show clock",
    "show_arp": "show arp",
    "show_ipv6_neighbor": "show ipv6 neighbor",
    "show_dataplane": "show dataplane",
    "show_logging": "show logging",
    "show_tech_support": "show tech-support",
    "show_section": "show running-config slb",
}


@pytest.fixture(params=[None, MemoryDataplane], ids=["without a dataplane", "with a dataplane"])
def device(request, tmp_path):
    return adc(tmp_path, request.param and request.param())


def configuring(device, *lines):
    """A session in configuration mode, where every show command works."""
    session = Session(device)
    for line in ("configure", *lines):
        assert session.run(line).ok
    return session


def show(device, line):
    reply = configuring(device).run(f"show {line}")
    assert reply.ok, reply.lines
    return list(reply.lines)


def refused(device, line):
    reply = Session(device).run(f"show {line}")
    assert not reply.ok
    return reply.lines


def cells(lines, column):
    """The cells below this head; columns are told apart as an eye does, by blanks that go from top to bottom."""
    head, rule, *rows = map(_grid, lines)
    width = rule.index(" ")
    assert set(rule[:width]) == {"-"}
    filled = "".join(".x"[any(line[n] != " " for line in (head, *rows))] for n in range(width))
    for match in re.finditer(r"x+(?:\.x+)*", filled):
        if "".join(head[slice(*match.span())]).strip() == column:
            return ["".join(row[slice(*match.span())]).strip() for row in rows]
    raise AssertionError(f"no column {column} in {''.join(head)}")


def _grid(line):
    """What stands in each column of the terminal; the second half of a wide character is empty."""
    found = []
    for c in line:
        found += [c, ""][: wcswidth(c)]
    return found + [" "] * 300


def test_all_of_them_are_here():
    of_what_is_kept = {"show_backup", "show_difference_backup", "show_difference_file"}  # test_configuration.py has them
    assert set(COMMAND_LINES) == {name for name in COMMANDS if name.startswith("show_")} - of_what_is_kept


@pytest.mark.parametrize("line", COMMAND_LINES.values())
@pytest.mark.parametrize("text", ["", FULL], ids=["empty", "full"])
def test_each_answers_with_lines_that_can_be_printed(device, line, text):
    configure(device, text)
    for printed in configuring(device).run(line).lines:
        assert printed.isprintable()
        assert printed == printed.rstrip()
    assert configuring(device).run(line).ok


@pytest.mark.parametrize("line", COMMAND_LINES.values())
def test_each_changes_nothing(device, line):
    configure(device, FULL)
    running = device.running
    configuring(device).run(line)
    assert device.running is running


class TestConfiguration:
    def test_the_running_one_loads_again(self, kept, tmp_path):
        lines = show(kept, "running-config")
        assert lines[0] == 'hostname "edge"'
        again = adc(tmp_path)
        configure(again, lines)
        assert again.running == kept.running

    def test_the_startup_one(self, kept):
        assert show(kept, "startup-config") == ["startup-config is not present"]
        kept.save(ROOT)
        assert show(kept, "configuration startup") == show(kept, "configuration")
        kept.archive.path.write_bytes(b"\xff")
        assert refused(kept, "startup-config")[0].endswith("not a text file: byte 0 is not UTF-8")


class TestSection:
    @pytest.mark.parametrize(
        ("line", "heads"),
        [
            ("interface ethernet0/1", ["interface ethernet0/1"]),
            ("interface", [f"interface {name}" for name in ("ethernet0/0", "ethernet0/1", "tunnel1", "tunnel2")]),
            ("interface tun2", ["interface tunnel2"]),
            ("tunnel gre", ['tunnel gre "隧道"', 'tunnel gre "spare"']),
            ('tunnel gre "隧道"', ['tunnel gre "隧道"']),
            ("tunnel", ['tunnel gre "隧道"', 'tunnel gre "spare"']),
            ("slb virtual-server off", ['slb virtual-server "off" type tcp id 2']),
            ("admin user", ['admin user "root"']),
            ("ip route", ["ip route 0.0.0.0/0 10.0.0.254", "ip route 10.20.0.0/16 10.77.0.1"]),
            ("app-profile a", ['app-profile "a" type http']),
        ],
    )
    def test_the_blocks_of_a_kind_or_a_name_as_the_whole_has_them(self, kept, line, heads):
        lines = show(kept, f"running-config {line}")
        assert [text for text in lines if text[0] != " " and text != "exit"] == heads
        assert show(kept, f"configuration {line}") == show(kept, f"configuration running {line}") == lines
        whole = "\n".join(show(kept, "running-config"))
        for block in "\n".join(lines).split("exit\n"):
            assert block in whole

    def test_every_section_can_be_shown(self, kept):
        parts = {
            node.form.slots[0].name
            for node in everything(kept.grammar.roots["exec"])
            if node.form and node.form.name == "show_section"
        }
        assert {f"part_{section}" for section in SECTIONS} <= parts

    def test_all_of_load_balancing(self, kept):
        lines = show(kept, "running-config slb")
        assert "".join(lines) in "".join(show(kept, "running-config"))
        assert {" ".join(text.split()[:2]) for text in lines if text.startswith("slb")} == {
            "slb real-server",
            "slb server-pool",
            "slb virtual-server",
        }

    def test_one_that_is_not_there(self, kept):
        assert refused(kept, "running-config slb server-pool x") == ('% Error: slb server-pool "x": there is no such object',)
        assert refused(kept, "running-config interface ethernet0/9") == (
            "% Error: interface ethernet0/9: there is no such object",
        )

    def test_as_data_it_is_that_part_of_the_whole(self, kept):
        data = json.loads("\n".join(show(kept, "running-config slb real-server r | json")))
        whole = json.loads("\n".join(show(kept, "running-config | json")))
        assert data == {"real_server": {"r": whole["real_server"]["r"]}}

    def test_this_block(self, kept):
        session = configuring(kept, "tunnel gre spare")
        assert session.run("show this").lines == ('tunnel gre "spare"', "exit")
        session.run("key 9")
        assert session.run("do show this").lines == ('tunnel gre "spare"', "  key 9", "exit")
        assert json.loads("\n".join(session.run("show this | json").lines))["gre_tunnel"]["spare"]["key"] == 9
        assert session.prompt == "edge(config-tunnel-gre)#"

    def test_this_outside_of_blocks(self, kept):
        assert configuring(kept).run("show this").lines == ('hostname "edge"', *show(kept, "running-config ip route"))
        assert Session(kept).run("show this").lines == (
            "% Error: show this: it shows what is being configured; here say: show running-config",
        )

    def test_this_block_with_what_a_transaction_has_changed(self, kept):
        session = configuring(kept, "exec configuration start", "tunnel gre spare", "key 9")
        assert session.run("show this").lines == ('tunnel gre "spare"', "  key 9", "exit")
        assert session.run('show running-config tunnel gre "spare"').lines == ('tunnel gre "spare"', "exit")

    def test_this_block_that_another_session_deleted(self, kept):
        session = configuring(kept, "slb server-pool empty")
        configure(kept, "no slb server-pool empty")
        assert session.run("show this").lines == ()


class TestVersion:
    def test_without_a_dataplane(self, kept):
        lines = show(kept, "version")
        assert lines[0].startswith("hsadc software ADC, version ")
        assert "Dataplane: none, configurations are kept but not applied" in lines
        assert lines[-1].startswith("Uptime is ")

    def test_with_one(self, served):
        assert "Dataplane: BPF mirror, HAProxy 2.8.25, restarted 2 times, last error: exit status 139" in show(served, "version")


class TestInterface:
    def test_without_a_dataplane(self, kept):
        lines = show(kept, "interface")
        assert cells(lines, "Interface") == ["ethernet0/0", "ethernet0/1", "tunnel1", "tunnel2"]
        assert cells(lines, "IP address") == ["10.0.0.1/24 10.0.1.1/24", "10.1.0.1/24", "-", "-"]
        assert cells(lines, "Device") == ["-", "-", 'gre "隧道"', "-"]
        assert cells(lines, "MTU") == ["-", "1400", "-", "-"]
        assert cells(lines, "Link") == ["-"] * 4
        assert cells(lines, "Description") == ["上联 uplink", "-", "-", "not bound"]

    def test_with_one(self, served):
        served.dataplane.unreachable = {"tunnel1"}
        lines = show(served, "interface")
        assert cells(lines, "Device") == ["eth0", "eth1", 'gre "隧道"', "-"]
        assert cells(lines, "Link") == ["up", "up", "down", "-"]
        assert cells(lines, "MTU") == ["1500", "1500", "1472", "-"]
        assert cells(lines, "IP address")[0] == "10.0.0.1/24 10.0.1.1/24 2001:db8::2/64"
        rows = json.loads("\n".join(show(served, "interface | json")))["interfaces"]
        assert rows[0]["ipv6_addresses"] == ["2001:db8::2/64", "fe80::2/64"]

    def test_ports_that_are_not_configured_are_shown_in_the_order_of_their_numbers(self, tmp_path):
        from hsadc.intent.inventory import Device

        device = adc(tmp_path, MemoryDataplane(*(Device(f"eth{n}") for n in range(12))))
        assert cells(show(device, "interface"), "Interface") == [f"ethernet0/{n}" for n in range(12)]

    def test_one(self, device):
        configure(device, FULL)
        assert cells(show(device, "interface ethernet0/1"), "Interface") == ["ethernet0/1"]
        assert cells(show(device, "interface tun1"), "Interface") == ["tunnel1"]
        assert refused(device, "interface ethernet0/7") == ("% Error: interface ethernet0/7: there is no such interface",)
        assert refused(device, "interface tunnel7") == ("% Error: interface tunnel7: there is no such interface",)

    def test_one_that_is_shut_down(self, device):
        configure(device, FULL)
        configure(device, "interface tunnel1\nshutdown\ninterface ethernet0/1\nshutdown")
        assert cells(show(device, "interface"), "Admin") == ["up", "down", "down", "up"]
        assert cells(show(device, "interface tunnel1"), "Link") == ["-"]


class TestRoutes:
    def test_without_a_dataplane(self, kept):
        assert show(kept, "ip route")[1:] == ["S  0.0.0.0/0 [1] via 10.0.0.254", "S  10.20.0.0/16 [1] via 10.77.0.1"]

    def test_with_one(self, served):
        assert show(served, "ip route")[1:] == [
            "S> 0.0.0.0/0 [1] via 10.0.0.254, eth0",
            "C> 10.0.0.0/24 [0] is directly connected, eth0",
            "C> 10.0.1.0/24 [0] is directly connected, eth0",
            "C> 10.1.0.0/24 [0] is directly connected, eth1",
            "K> 10.99.0.0/16 [100] via 10.0.0.99, eth0",
            "S  10.20.0.0/16 [1] via 10.77.0.1, not in force",
        ]


class TestTunnels:
    SEGMENTED = "TCP is sent in smaller segments, others are dropped"
    OUTER = "ttl 64, dscp 0, no dont-fragment, no mtu, oversize segment, receiver generic"
    CONFIGURED = (
        'tunnel gre "隧道"',
        "  source ethernet0/0, destination 10.9.0.2",
        "  leaves by ethernet0/0",
        f"  {OUTER}, payload ip, key 7, no sequence, no checksum",
        "  description to the analyzer",
    )
    SPARE = (
        'tunnel gre "spare"',
        "  source not set, destination not set",
        "  leaves as the routing table says",
        f"  {OUTER}, payload ip, no key, no sequence, no checksum",
        "  no interface is bound to it",
    )

    def test_without_a_dataplane(self, kept):
        assert show(kept, "tunnel gre") == [*self.CONFIGURED, "  interface tunnel1: down (it is not in force)", *self.SPARE]

    def test_one(self, kept):
        assert show(kept, "tunnel gre spare") == [*self.SPARE]
        assert refused(kept, "tunnel gre x") == ('% Error: tunnel gre "x": there is no such object',)

    def test_in_force(self, served):
        assert show(served, "tunnel gre 隧道") == [
            *self.CONFIGURED,
            "  interface tunnel1: up",
            "    gre 10.0.0.1 > 10.9.0.2, IP packets, key 7, TTL 64",
            "    next hop 10.0.0.254 (02:00:00:00:00:fe) by eth0",
            f"    path takes 1500 bytes: packets up to 1472 bytes are copied unchanged, larger ones: {self.SEGMENTED}",
            "    99 copies, 90 packets, 60000 bytes sent; dropped: 9 oversize",
        ]

    def test_an_analyzer_that_cannot_be_reached(self, served):
        served.dataplane.unreachable = {"tunnel1"}
        lines = show(served, "tunnel gre 隧道")
        assert "  interface tunnel1: down (no route)" in lines
        assert "    last error 2026-11-23T12:00:00Z: no route" in lines
        assert not any("next hop" in line for line in lines)


def keys(data, path=""):
    """Each key of the data, with the keys that lead there; `[]` stands for the entries of a list, `*` for names."""
    if isinstance(data, list):
        return {found for entry in data for found in keys(entry, f"{path}[]")}
    if not isinstance(data, dict):
        return {path}
    named = path.rpartition(".")[2] in SECTIONS
    return {found for key, value in data.items() for found in keys(value, f"{path}.{'*' if named else key}")} or {path}


class TestJson:
    @pytest.mark.parametrize("line", COMMAND_LINES.values())
    def test_each_has_it_and_it_is_an_object(self, device, line):
        for text in ("", FULL):
            configure(device, text)
            assert isinstance(json.loads("\n".join(show(device, f"{line.removeprefix('show ')} | json"))), dict)

    def test_the_keys_stay_as_they_are(self, tmp_path):
        RECENT.handle(logging.makeLogRecord({"name": "hsadc", "msg": "a record"}))
        dataplane = MemoryDataplane(*PORTS)
        dataplane.pki = PkiReader(tmp_path / "pki")
        device = adc(tmp_path, dataplane)
        device.imports.files.write("web.crt", pki.self_signed("www.example.com").pem)
        configure(device, FULL + MIRRORED + TLS + WATCHED)
        session = configuring(device)
        for line in ("save one", "hostname two", "save two", "copy running-config a.cfg", "commit confirmed 5", "hostname three"):
            assert session.run(line).ok
        lines = []
        for line in (*(line for line in COMMAND_LINES.values() if line not in SHOWN_BY_OTHERS), TEST):
            shown = json.loads("\n".join(session.run(f"{line} | json").lines))
            lines += ["", f"    {line}", *(f"      {key.removeprefix('.')}" for key in sorted(keys(shown)))]
        text = KEYS.read_text()
        introduction = text[: text.index("\n\n    ") + 1]
        if os.environ.get("HSADC_REWRITE_GOLDEN"):
            text = introduction + "\n".join(lines) + "\n"
            KEYS.write_text(text)
        assert text == introduction + "\n".join(lines) + "\n"

    def test_values_keep_their_kind(self, served):
        (row, _) = json.loads("\n".join(show(served, "slb virtual-server | json")))["virtual_servers"]
        assert (row["name"], row["address"], row["port"], row["state"], row["reason"]) == ("网站", "10.0.0.1", 80, "up", None)
        assert "网站" in "".join(show(served, "slb virtual-server | json"))

    def test_the_running_configuration_by_the_names_of_its_fields(self, served):
        config = json.loads("\n".join(show(served, "running-config | json")))
        assert config["hostname"] == "edge"
        assert config["virtual_server"]["网站"]["ip"] == {"address": "10.0.0.1", "port": 80}
        assert config["routes"][0] == {"destination": "0.0.0.0/0", "next_hop": "10.0.0.254", "distance": 1}
        assert config["server_pool"]["p"]["members"][1] == {
            "real_server": "服务器二",
            "port": None,
            "weight": None,
            "priority": 1,
        }
        assert config["ethernet"]["ethernet0/0"]["secondary_addresses"] == ["10.0.1.1/24"]


class TestWidth:
    def test_of_the_window_or_as_the_operator_says(self, kept):
        configure(kept, "interface ethernet0/0\ndescription 上联 uplink to the internet")
        session = Session(kept)
        wide = session.run("show interface").lines
        assert session.run("show interface", 300).lines == wide
        narrow = session.run("show interface", 78).lines
        assert narrow[2].endswith("上联 uplin~")
        session.run("terminal width 0")
        assert session.run("show interface", 78).lines == wide
        session.run("terminal width 78")
        assert session.run("show interface", 300).lines == narrow

    def test_pipes_see_all_of_it(self, kept):
        configure(kept, "interface ethernet0/0\ndescription uplink to the internet")
        assert "internet" not in "".join(Session(kept).run("show interface", 78).lines)
        assert len(Session(kept).run("show interface | include internet", 78).lines) == 1
        Session(kept).run("show interface | redirect x", 78)
        assert "internet" in kept.files.read("x")
