"""Probes are made of monitors."""

from __future__ import annotations

from ipaddress import IPv4Address

from hsadc.intent.probe import Probe, compile_probe
from hsadc.model.monitor import Monitor

ADDRESS = IPv4Address("10.1.0.2")


def test_a_monitor_checks_the_port_that_is_served_or_its_own() -> None:
    assert compile_probe(Monitor("m"), ADDRESS, 80) == Probe("tcp", ADDRESS, 80)
    assert compile_probe(Monitor("m", port=81), ADDRESS, 80).port == 81
    assert compile_probe(Monitor("m", "icmp"), ADDRESS, 80).port == 0


def test_all_that_a_monitor_says_is_in_its_probe() -> None:
    http = Monitor("m", "http", None, 9, 8, 7, 6, None, "/h", "a.b", 204)
    assert compile_probe(http, ADDRESS, 80) == Probe("http", ADDRESS, 80, 9, 8, 7, 6, "/h", "a.b", 204)
    udp = Monitor("m", "udp", udp_send="00ff", udp_answer=True)
    assert compile_probe(udp, ADDRESS, 53) == Probe("udp", ADDRESS, 53, payload=b"\x00\xff", answer=True)


def test_a_changed_probe_is_another_one() -> None:
    probe = compile_probe(Monitor("m"), ADDRESS, 80)
    assert probe.key == probe
    assert probe.key != compile_probe(Monitor("m", fall=9), ADDRESS, 80).key


def test_an_error_names_a_probe_in_words() -> None:
    assert str(Probe("udp", ADDRESS, 53)) == "udp 10.1.0.2 port 53"
    assert str(Probe("icmp", ADDRESS)) == "icmp 10.1.0.2"
