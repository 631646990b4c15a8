"""Which kinds of objects are looked at when an intent changes."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from hsadc.dataplane.dataplane import touched
from hsadc.intent.compile import Intent

LOOKED_AT = {
    "links": "links addresses routes tunnels access_lists profiles rules port_mirrors hops transparents taps datagrams haproxy",
    "addresses": "addresses routes tunnels access_lists profiles rules port_mirrors hops transparents taps datagrams haproxy",
    "routes": "routes",
    "tunnels": "tunnels access_lists profiles rules port_mirrors hops transparents taps datagrams haproxy",
    "access_lists": "access_lists profiles rules port_mirrors hops transparents taps datagrams haproxy",
    "profiles": "profiles rules port_mirrors hops transparents taps datagrams haproxy",
    "rules": "rules port_mirrors hops transparents taps datagrams haproxy",
    "port_mirrors": "port_mirrors hops transparents taps datagrams haproxy",
    "hops": "hops transparents taps datagrams haproxy",
    "transparents": "transparents taps datagrams haproxy",
    "taps": "taps datagrams haproxy",
    "datagrams": "datagrams haproxy",
    "haproxy": "haproxy",
    "routes rules": "routes rules port_mirrors hops transparents taps datagrams haproxy",
    "": "",
}


def changed(*kinds: str) -> Intent:
    return replace(Intent(), **dict.fromkeys(kinds, ("another one",)))


@pytest.mark.parametrize(("kinds", "looked_at"), LOOKED_AT.items())
def test_those_that_differ_and_those_that_may_depend_on_them(kinds, looked_at):
    assert list(touched(Intent(), changed(*kinds.split()))) == looked_at.split()
    assert list(touched(changed(*kinds.split()), Intent())) == looked_at.split()


def test_each_kind_is_in_the_table():
    assert {f.name for f in fields(Intent)} <= LOOKED_AT.keys()
