"""What checks make of a probe, and what they ask; the checks themselves are tested with sockets."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from errno import EHOSTUNREACH
from ipaddress import ip_address

import pytest

from hsadc.dataplane.prober import Prober, _Count, counted
from hsadc.dataplane.prober_check import Failed, Verdict, error_words
from hsadc.dataplane.prober_stream import request, status_of
from hsadc.intent.probe import Probe

PROBE = Probe("tcp", ip_address("10.2.0.1"), 80, rise=2, fall=3)
GOOD, BAD, UNABLE = Verdict(True, "answered"), Verdict(False, "no answer"), Verdict(None, "not checked: no memory")
WORDS = {"g": GOOD, "b": BAD, "u": UNABLE}


def history(verdicts, probe=PROBE):
    """`up` after each check, a letter each: U, D, or `-` before anything is known."""
    count, states = _Count(None, "not checked yet", 0), ""
    for now, verdict in enumerate(verdicts, 1):
        count = counted(probe, count, WORDS[verdict], now)
        states += "-" if count.up is None else "DU"[count.up]
    return states


@pytest.mark.parametrize(
    ("verdicts", "states"),
    [
        ("g", "U"),
        ("b", "D"),
        ("ugu", "-UU"),
        ("gbbb", "UUUD"),
        ("gbbgbbb", "UUUUUUD"),
        ("bgg", "DDU"),
        ("bgbgg", "DDDDU"),
        ("gbubub", "UUUUUD"),
        ("bgug", "DDDU"),
    ],
)
def test_the_first_check_decides_and_then_so_many_in_a_row(verdicts, states):
    assert history(verdicts) == states


def test_one_in_a_row_is_enough_where_it_says_so():
    assert history("gbgb", replace(PROBE, rise=1, fall=1)) == "UDUD"


def test_words_and_moments():
    first = counted(PROBE, _Count(None, "not checked yet", 0), GOOD, 10)
    assert (first.since_s, first.checked_s, first.words) == (10, 10, "answered")
    second = counted(PROBE, first, BAD, 15)
    assert (second.up, second.since_s, second.checked_s, second.words) == (True, 10, 15, "no answer")
    third = counted(PROBE, second, UNABLE, 20)
    assert (third.checked_s, third.words, third.streak) == (15, "not checked: no memory", 1)


def test_what_was_never_checked_counts_as_working():
    prober = Prober()
    assert (prober.state(PROBE).up, prober.state(PROBE).known, prober.state(PROBE).words) == (True, False, "not checked")
    prober.want("one", [PROBE])
    state = prober.state(PROBE)
    assert (state.up, state.known, state.words, state.checked) == (True, False, "not checked yet", None)
    assert abs(state.since - datetime.now(UTC)) < timedelta(seconds=5)
    prober.want("two", [PROBE])
    prober.want("one", [])
    assert prober.state(PROBE).words == "not checked yet"
    prober.want("two", [])
    assert prober.state(PROBE).words == "not checked"


@pytest.mark.parametrize(
    ("probe", "lines"),
    [
        (Probe("http", ip_address("10.2.0.1"), 80), ["GET / HTTP/1.1", "Host: 10.2.0.1"]),
        (Probe("http", ip_address("10.2.0.1"), 8080, path="/a?b=c"), ["GET /a?b=c HTTP/1.1", "Host: 10.2.0.1:8080"]),
        (Probe("https", ip_address("fd00::1"), 443), ["GET / HTTP/1.1", "Host: [fd00::1]"]),
        (Probe("https", ip_address("fd00::1"), 80, host="www.example.com"), ["GET / HTTP/1.1", "Host: www.example.com"]),
    ],
)
def test_requests(probe, lines):
    assert request(probe).decode().split("\r\n") == [*lines, "User-Agent: hsadc", "Connection: close", "", ""]


@pytest.mark.parametrize(("line", "status"), [(b"HTTP/1.1 200 OK\r\n", 200), (b"HTTP/1.0 503\r\n", 503)])
def test_statuses(line, status):
    assert status_of(line) == status


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "the connection was closed without an answer"),
        (b"SSH-2.0\r\n", "no answer of HTTP"),
        (b"HTTP/2 200", "no answer of HTTP"),
    ],
)
def test_what_is_no_status(line, words):
    with pytest.raises(Failed, match=words):
        status_of(line)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(EHOSTUNREACH, "x"), "no route to host"),
        (ConnectionResetError(), "the connection breaks off"),
        (ssl.SSLEOFError("x"), "TLS: it breaks off"),
        (ConnectionAbortedError("SSL handshake is taking too long"), "SSL handshake is taking too long"),
    ],
)
def test_errors_in_words(error, words):
    assert error_words(error) == words
