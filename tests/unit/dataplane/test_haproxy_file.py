from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from ipaddress import ip_address

import pytest

from hsadc.dataplane.haproxy_file import Generation, Machine, clear_legs, file_digest, file_digests, needs_capability, write_file
from hsadc.intent.haproxy_file import HaproxyFile
from hsadc.model.virtual_server import Listener

MACHINE = Machine(root=True, max_files=20000, threads=2)
SERVICES = """\
# slb virtual-server "网 1"
frontend vs1_:7f51::20:1 from http
  bind 192.0.2.1:80
  default_backend pool1.1_web
# slb virtual-server "网 1", slb server-pool "web"
backend pool1.1_web from http
  balance roundrobin
  server r:20:1 192.0.2.2:80 weight 1
"""
FILES = (HaproxyFile("pki/b.pem", b"b"), HaproxyFile("pages/a", b"a"))
NEW = write_file(SERVICES, MACHINE, FILES)


def test_the_services_come_back() -> None:
    assert NEW.services == SERVICES


def test_the_file_carries_its_own_digest() -> None:
    assert f"  description {NEW.digest}\n" in NEW.text


def test_each_change_changes_the_digest() -> None:
    others = [
        write_file(SERVICES.replace("weight 1", "weight 2"), MACHINE, FILES),
        write_file(SERVICES, dataclasses.replace(MACHINE, threads=3), FILES),
        write_file(SERVICES, MACHINE, FILES[:1]),
        write_file(SERVICES, MACHINE, (FILES[0], HaproxyFile("pages/a", b"other"))),
        Generation(NEW.text + "# by hand\n", FILES),
    ]
    assert len({g.digest for g in (NEW, *others)}) == 6


def test_the_order_of_files_does_not_matter() -> None:
    assert write_file(SERVICES, MACHINE, FILES[::-1]) == NEW
    assert [file.name for file in NEW.files] == ["pages/a", "pki/b.pem"]


def test_the_digest_is_not_of_itself() -> None:
    assert Generation(re.sub("description .*", "description other", NEW.text)).digest == NEW.digest


def test_the_text_knows_its_files() -> None:
    assert file_digests(NEW.text) == {file.name: file_digest(file.content) for file in FILES}
    assert file_digests(write_file("# file x y\n" + SERVICES, MACHINE).text) == {}


@pytest.mark.parametrize("root", [True, False])
def test_the_worker_does_not_stay_root(root: bool) -> None:
    text = write_file(SERVICES, dataclasses.replace(MACHINE, root=root)).text
    assert ("  uid 65534\n  gid 65534\n" in text) == root
    assert ("uid" in text) == root
    assert "setcap" not in text


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("  source 0.0.0.0 usesrc clientip", True),
        ("  source 0.0.0.0 usesrc client interface hsadc-hop", True),
        ("  bind 192.0.2.1:443 namespace hsadc-hop transparent", True),
        ("  bind 192.0.2.1:443 mss 1400", False),
        ("  http-request set-header X ' usesrc  namespace '", False),
        ("# source usesrc bind namespace x", False),
    ],
)
@pytest.mark.parametrize("root", [True, False])
def test_a_capability_is_kept_where_it_is_needed(line: str, needed: bool, root: bool) -> None:
    services = f"{SERVICES}{line}\n"
    assert needs_capability(services) == needed
    text = write_file(services, dataclasses.replace(MACHINE, root=root)).text
    assert ("  setcap cap_net_raw\n" in text) == (needed and root)


@pytest.mark.parametrize("root", [True, False])
def test_stick_tables_are_handed_over_where_there_are_some(root: bool) -> None:
    machine = dataclasses.replace(MACHINE, root=root)
    assert "\npeers " not in write_file(SERVICES, machine).text
    text = write_file(SERVICES + "  stick-table type ip size 1k peers hsadc\n", machine).text
    assert f"\npeers hsadc\n  bind unix@peers.sock mode 600{' uid 65534' * root}\n  server hsadc\n" in text


@pytest.mark.parametrize(("max_files", "connections"), [(20000, 9871), (10**9, 99871), (100, 2)])
def test_connections_fit_the_limit_of_open_files(max_files: int, connections: int) -> None:
    machine = dataclasses.replace(MACHINE, max_files=max_files)
    assert machine.max_connections(SERVICES) == connections
    text = write_file(SERVICES, machine).text
    assert f"  maxconn {connections}\n" in text.partition("defaults")[0]
    assert f"  setenv HOP_CONNECTIONS {connections // 2}\n" in text


def test_those_that_cross_the_hop_to_two_ports_share_what_may_cross_it() -> None:
    hops = "backend hop443 from tls\n  server hop 0.0.0.0:443\n\nbackend hop80 from tls\n  server hop 0.0.0.0:80\n"
    text = write_file(f"{SERVICES}\n{hops}", replace(MACHINE, max_files=20000)).text
    assert f"  setenv HOP_CONNECTIONS {9871 // 4}\n" in text


def test_checks_of_servers_have_files_of_their_own() -> None:
    checked = "  server a 192.0.2.1:80 check inter 5s rise 2 fall 3 weight 1\n" * 500
    assert MACHINE.max_connections(SERVICES) - MACHINE.max_connections(SERVICES + checked) == 250


def test_where_virtual_servers_listen_on_the_hop() -> None:
    services = (
        "frontend tls3_a from tls\n  bind 192.0.2.1:443 ssl\n\nfrontend vs3_a from http\n  bind 192.0.2.1:443 mss 1\n"
        "  bind 192.0.2.1:80 namespace ns transparent\n  bind [2001:db8::1]:81 namespace ns transparent\n"
        "frontend vs4_b from http\n  bind 192.0.2.1:444\n"
    )
    four, six = Listener(ip_address("192.0.2.1"), 80), Listener(ip_address("2001:db8::1"), 81)
    assert clear_legs(services) == {3: (four, six)}
