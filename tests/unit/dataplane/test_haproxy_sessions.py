from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from hsadc.dataplane.haproxy_sessions import ServerSession, detail_commands, parse_sessions, with_figures

LIST = """\
0x1: proto=? ts=00 epoch=0 age=20828d14h calls=1 rate=0
0x2: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s calls=1
0x3: proto=tcpv4 src=192.0.2.9:44402 fe=vs17_v:20: be=pool17.2_p:20:q srv=a:20: ts=00 epoch=0 age=2s calls=3
0x4: proto=tcpv6 src=2001:db8::9:44406 fe=vs1_v be=<NONE> srv=<none> ts=00 epoch=0 age=2s calls=3
0x5: proto=tcpv4 src=192.0.2.9:44402 fe=tls1_v be=hop443 srv=hop ts=00 epoch=0 age=2s calls=3

"""
DETAILS = """\
0x3: [26/Nov/2026:05:28:33.214549] id=2 proto=tcpv4 source=192.0.2.9:44402
  task=0x7 (state=0x00 nice=0 calls=3 rate=0 exp=2s tid=1(1/1) age=2s)
  req=0xadf0 (f=0x840000 an=0x8000 pipe=0 tofwd=-1 total=59)
      an_exp=<NEVER> buf=0x7fd8e40aadf8 data=(nil) o=0 p=0 i=0 size=0
  res=0xae40 (f=0x80040000 an=0x4000000 pipe=0 tofwd=0 total=533)

"""
FIRST = ServerSession("0x3", 17, "192.0.2.9:44402", "p q", "a ")
SECOND = ServerSession("0x4", 1, "2001:db8::9:44406", None, None)


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_those_of_clients_once_each() -> None:
    assert list(parse_sessions(LIST)) == [FIRST, SECOND]


def test_figures() -> None:
    assert list(detail_commands([FIRST, SECOND])) == ["show sess 0x3", "show sess 0x4"]
    since = datetime(2026, 11, 26, 5, 28, 33, 214549, UTC)
    found = ServerSession("0x3", 17, "192.0.2.9:44402", "p q", "a ", since, 59, 533)
    assert list(with_figures([FIRST, SECOND], DETAILS)) == [found, SECOND]


@pytest.mark.parametrize("answer", ["", "\nSession not found.\n", "0x3: [yesterday] id=2\n"])
def test_one_that_has_ended(answer: str) -> None:
    assert list(with_figures([FIRST], answer)) == [FIRST]
