"""When there is a clear hop, and that it has its tap."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsadc.intent.compile import Intent, compile_config
from hsadc.intent.hop import DEVICE, HopIntent
from hsadc.intent.mirror import TapIntent
from tests.unit.intent.words import MACHINE, TLS_MACHINE, TLS_WORDS, config

TUNNEL = "tunnel gre t; source 10.0.0.1; destination 10.9.0.1; exit; interface tunnel1; tunnel gre t; exit;"
BASE = f"{TLS_WORDS} {TUNNEL} slb server-pool p; exit; mirror-profile m; destination interface tunnel1; exit;"
HTTPS = "slb virtual-server s type https id 2; server-pool p; auto-snat; ip 10.0.0.1 port 443; ssl-profile web;"
MIRRORED = f"{HTTPS} mirror-traffic profile m; exit;"
HOP, TAP = (HopIntent("hsadc-hop-7"),), TapIntent(DEVICE)


def intent(*words: str, there: bool = False) -> Intent:
    machine = replace(TLS_MACHINE, hop_namespace="hsadc-hop-7", hop_present=there)
    return compile_config(config("".join((BASE, *words))), machine).intent


@pytest.mark.parametrize(
    "words",
    [MIRRORED, MIRRORED.replace("https", "ssl"), f"{HTTPS} mirror-traffic interface tunnel1 port 80; exit;"],
)
def test_decrypted_copies_need_it(words):
    assert intent(words).hops == HOP
    assert TAP in intent(words).taps


@pytest.mark.parametrize(
    "words",
    [
        "",
        HTTPS,
        f"{HTTPS} mirror-traffic profile m view encrypted",
        f"{MIRRORED} interface tunnel1; shutdown",
        f"{HTTPS} mirror-traffic profile m; shutdown",
        "slb virtual-server v type http id 3; server-pool p; auto-snat; ip 10.0.0.1 port 80; mirror-traffic profile m",
    ],
)
def test_all_else_does_without(words):
    assert intent(words).hops == ()
    assert TAP not in intent(words).taps


def test_it_stays_while_old_connections_may_cross_it():
    assert intent(HTTPS, there=True).hops == HOP
    assert TAP in intent(HTTPS, there=True).taps
    assert TAP in intent(HTTPS, "exit; interface tunnel1; shutdown", there=True).taps
    assert intent(HTTPS, "shutdown", there=True).hops == ()
    http = "slb virtual-server v type http id 3; server-pool p; auto-snat; ip 10.0.0.1 port 80;"
    assert intent(http, there=True).hops == HOP
    assert intent(http.replace("http", "udp"), there=True).hops == ()


def test_what_an_error_calls_it():
    assert str(HOP[0]) == "to network namespace hsadc-hop-7"
    assert HOP[0].key == HopIntent("another").key


def test_a_machine_has_none_at_first():
    assert not MACHINE.hop_present
