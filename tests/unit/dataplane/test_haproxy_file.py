from __future__ import annotations

import dataclasses
import re

import pytest

from hsadc.dataplane.haproxy_file import Machine, digest, explain, services_of, write_file

MACHINE = Machine(root=True, max_files=20000, threads=2)
SERVICES = """\
# slb virtual-server "网 1"
frontend vs1_:7f51::20:1 from http
  bind 192.0.2.1:80
  default_backend pool1_web
# slb virtual-server "网 1", slb server-pool "web"
backend pool1_web from http
  balance roundrobin
  server r:20:1 192.0.2.2:80 weight 1
"""
TEXT = write_file(SERVICES, MACHINE)


def line_of(beginning: str) -> int:
    return next(n for n, line in enumerate(TEXT.split("\n"), start=1) if line.startswith(beginning))


def test_the_services_come_back() -> None:
    assert services_of(TEXT) == SERVICES


def test_the_file_carries_its_own_digest() -> None:
    assert f"  description {digest(TEXT)}\n" in TEXT


def test_each_change_changes_the_digest() -> None:
    others = [
        write_file(SERVICES.replace("weight 1", "weight 2"), MACHINE),
        write_file(SERVICES, dataclasses.replace(MACHINE, threads=3)),
        TEXT + "# by hand\n",
    ]
    assert len({digest(text) for text in [TEXT, *others]}) == 4


def test_the_digest_is_not_of_itself() -> None:
    assert digest(re.sub("description .*", "description other", TEXT)) == digest(TEXT)


@pytest.mark.parametrize("root", [True, False])
def test_the_worker_does_not_stay_root(root: bool) -> None:
    text = write_file(SERVICES, dataclasses.replace(MACHINE, root=root))
    assert ("  uid 65534\n  gid 65534\n" in text) == root
    assert ("uid" in text) == root


@pytest.mark.parametrize(("max_files", "connections"), [(20000, 9871), (10**9, 99871), (100, 1)])
def test_connections_fit_the_limit_of_open_files(max_files: int, connections: int) -> None:
    machine = dataclasses.replace(MACHINE, max_files=max_files)
    assert machine.max_connections(SERVICES) == connections
    assert f"  maxconn {connections}\n" in write_file(SERVICES, machine)


NOTICES = "[NOTICE]   (7) : haproxy version is 2.8.25\n"
FATAL = "[ALERT]    (7) : config : Fatal errors found in configuration.\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            (
                f"{NOTICES}[ALERT]    (7) : Binding [haproxy.cfg:{line_of('  bind 192')}] for frontend vs1_:7f51::20:1: "
                "cannot bind socket (Address already in use) for [192.0.2.1:80]\n"
                "[ALERT]    (7) : [/x/haproxy.main()] Some protocols failed to start their listeners! Exiting.\n"
            ),
            'slb virtual-server "网 1": cannot bind socket (Address already in use) for [192.0.2.1:80]',
        ),
        (
            (
                f"{NOTICES}[ALERT]    (7) : config : parsing [check-1.cfg:{line_of('  server')}] : 'server pool1_web/r:20:1' : "
                f"unknown keyword 'x'.\n{FATAL}"
            ),
            'slb virtual-server "网 1", slb server-pool "web": real-server "r 1" : unknown keyword \'x\'',
        ),
        (
            (
                "[ALERT]    (7) : config : Proxy 'vs1_:7f51::20:1': unable to find required default_backend: 'no'.\n"
                f"[ALERT]    (7) : config : another.\n{FATAL}"
            ),
            "slb virtual-server \"网 1\": unable to find required default_backend: 'no' (and 1 more)",
        ),
        (
            f"[ALERT]    (7) : config : parsing [haproxy.cfg:{line_of('  maxconn')}] : no.\n",
            "haproxy.cfg: no",
        ),
        (
            "[ALERT]    (7) : [haproxy.main()] x\n[ALERT] (7) : Cannot raise FD limit to 9, limit is 8.\n",
            "Cannot raise FD limit to 9, limit is 8",
        ),
        ("one\n\n two \n\n", "two"),
        ("", "HAProxy said nothing"),
    ],
)
def test_haproxys_words_become_the_operators(words: str, line: str) -> None:
    assert explain(words, TEXT) == line
