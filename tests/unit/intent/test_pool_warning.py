"""What is said of pools that cannot work as they stand."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

from hsadc.intent.compile import compile_config
from hsadc.intent.inventory import Device, Inventory
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load

grammar = load_grammar()
MACHINE = Inventory((Device("eth0", addresses=(IPv4Interface("10.0.0.1/24"),)),))
BASE = """
interface ethernet0/0
exit
slb real-server "a"
  ip {near}
exit
slb real-server "b"
  ip 10.9.0.3
  weight 5
exit
slb server-pool "p"
  real-server "a"
  real-server "b"
exit
slb virtual-server "v" type tcp id 1
  server-pool "p"
  ip 10.0.0.1 port 80
exit
"""


def warnings(*lines: str, near: str = "10.9.0.2") -> tuple[str, ...]:
    found = load(grammar, BASE.format(near=near) + "\n".join(lines))
    assert found.mistakes == ()
    return compile_config(found.config, MACHINE).warnings


def test_answers_must_come_back_where_clients_addresses_are_kept() -> None:
    path = 'slb virtual-server "v": without auto-snat'
    assert warnings() == (f"{path} 10.9.0.2, 10.9.0.3 must have this device as their gateway, or the way to the clients",)
    assert (
        warnings(near="10.0.0.5")[0]
        == f"{path} clients in the network of 10.0.0.1 get no answers from 10.0.0.5, in that network too"
    )
    assert warnings("slb virtual-server v", "auto-snat") == ()


def test_nothing_is_said_of_servers_that_are_not_used() -> None:
    assert warnings("slb real-server a", "no ip", "slb real-server b", "ip 2001:db8::1") == ()


def test_of_many_servers_some_are_named() -> None:
    more = [line for n in range(9) for line in (f"slb real-server x{n}", f"ip 10.9.1.{n + 1}")]
    members = [f"real-server x{n}" for n in range(9)]
    (line,) = warnings(*more, "slb server-pool p", *members)
    assert "10.9.0.2, 10.9.0.3, 10.9.1.1, 10.9.1.2, 10.9.1.3 and 6 more must have" in line


def test_weights_that_nobody_looks_at() -> None:
    snat = ("slb virtual-server v", "auto-snat", "slb server-pool p")
    assert warnings(*snat, "load-balance round-robin") == (
        'slb server-pool "p": round-robin does not look at weights, weighted-round-robin does',
    )
    assert warnings(*snat, "load-balance round-robin", "no real-server a") == ()


def test_backup_pools_are_looked_at_once() -> None:
    lines = (
        "slb server-pool q",
        "real-server a",
        "real-server b",
        "load-balance round-robin",
        "slb server-pool p",
        "backup-pool q",
    )
    rules = ("slb virtual-server w type http id 2", "ip 10.0.0.1 port 81", "auto-snat", "server-pool q", "rule 1 server-pool p")
    found = warnings("slb virtual-server v", "auto-snat", *lines, *rules)
    assert found == ('slb server-pool "q": round-robin does not look at weights, weighted-round-robin does',)


def test_a_page_that_is_not_there_refuses_a_change_once() -> None:
    page = ("slb server-pool p", "sorry-page file s.html")
    found = load(grammar, BASE.format(near="10.9.0.2") + "\n".join(page)).config
    (refusal,) = compile_config(found, MACHINE).refusals
    assert str(refusal.error).startswith('slb server-pool "p": its sorry-page "s.html" is not among this device\'s files')
    large = replace(MACHINE, page_problems={"s.html": "it has 65000 bytes, at most 61440 are possible"})
    (refusal,) = compile_config(found, large).refusals
    assert str(refusal.error) == (
        'slb server-pool "p": its sorry-page "s.html" cannot be used: it has 65000 bytes, at most 61440 are possible'
    )
    there = replace(MACHINE, pages={"s.html": ""})
    assert compile_config(found, there).refusals == ()


def test_a_pool_that_can_never_have_enough_servers() -> None:
    snat = ("slb virtual-server v", "auto-snat", "slb server-pool p", "minimum-working-servers 2")
    assert warnings(*snat) == ()
    assert warnings(*snat, "real-server a priority 2") == (
        'slb server-pool "p": it never serves, no priority has the 2 real servers that must work (minimum-working-servers)',
    )
