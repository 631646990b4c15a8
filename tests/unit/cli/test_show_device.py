"""What is shown of the device itself: its logins, its log, its dataplane, and all of it for a supporter."""

from __future__ import annotations

import json
import logging
import os
import re

import pytest

from hsadc.cli.commands import COMMANDS
from hsadc.cli.log import RECENT, RECORDS
from hsadc.cli.logins import Logins
from hsadc.cli.session import Session
from hsadc.cli.shell import Login
from hsadc.cli.show.tech_support import PARTS
from hsadc.errors import ApplyError
from hsadc.syntax.password import hash_password
from tests.unit.config.memory import adc, configure


@pytest.fixture
def log():
    """The log, empty."""
    RECENT._entries.clear()
    RECENT.install()
    yield logging.getLogger("hsadc.x")
    logging.getLogger("hsadc").removeHandler(RECENT)
    logging.getLogger("hsadc").setLevel(logging.NOTSET)


def lines(session, line):
    reply = session.run(line)
    assert reply.ok, reply.lines
    return list(reply.lines)


def data(session, line):
    return json.loads("\n".join(lines(session, f"{line} | json")))


class TestOnline:
    def test_all_logins_and_which_is_this(self, kept):
        logins = Logins()
        one = Session(kept, Login("root"), logins)
        other = Session(kept, Login("运维", "ssh", "10.0.0.7"), logins)
        lines(other, "configure")
        lines(other, "interface ethernet0/0")
        script = Session(kept, Login("ops", "ssh", "10.0.0.8", batch=True), logins)
        found = data(one, "show online")["logins"]
        assert [(r["user"], r["via"], r["host"], r["mode"], r["this"], r["batch"]) for r in found] == [
            ("root", "console", None, "exec", True, False),
            ("运维", "ssh", "10.0.0.7", "config-if-eth0/0", False, False),
            ("ops", "ssh", "10.0.0.8", "exec", False, True),
        ]
        assert all(r["idle_s"] == 0 for r in found)
        shown = lines(one, "who")
        assert shown[2].startswith("* root")
        assert [row.split()[-1] for row in shown[2:]] == ["exec", "config-if-eth0/0", "batch"]
        assert lines(script, "who | count ssh") == ["Count: 2 lines"]


class TestAdmin:
    def test_how_each_proves_who_he_is(self, kept):
        configure(kept, f"admin user ops\npassword hashed {hash_password('secret')}")
        assert data(Session(kept), "show admin")["admins"] == [
            {"name": "root", "password": False, "ssh_keys": 1},
            {"name": "ops", "password": True, "ssh_keys": 0},
        ]
        assert "scrypt" not in "".join(lines(Session(kept), "show admin"))

    def test_nobody(self, tmp_path):
        (line,) = lines(Session(adc(tmp_path)), "show admin")
        assert line.startswith("No administrator is configured: admin may log in from this machine")


class TestLogging:
    def test_the_last_records(self, kept, log):
        log.info("one")
        log.debug("too small")
        log.warning("two\nin two lines")
        assert [r["message"] for r in data(Session(kept), "show logging")["records"]] == ["one", "two in two lines"]
        (line,) = lines(Session(kept), "show logging last 1")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING x: two in two lines", line)

    def test_a_bug_is_one_line(self, kept, log):
        try:
            raise ZeroDivisionError("made for a test")
        except ZeroDivisionError:
            log.exception("a bug")
        (line,) = lines(Session(kept), "show logging")
        assert line.endswith("ERROR x: a bug: ZeroDivisionError('made for a test')")

    def test_only_so_many_are_kept(self, kept, log):
        for n in range(RECORDS + 10):
            log.info("record %d", n)
        found = data(Session(kept), "show logging")["records"]
        assert (len(found), found[0]["message"], found[-1]["source"]) == (RECORDS, "record 10", "x")


class TestDataplane:
    def test_none(self, kept):
        assert lines(Session(kept), "show dataplane") == ["Dataplane: none, configurations are kept but not applied"]
        assert data(Session(kept), "show dataplane")["dataplane"] == "none"
        assert data(Session(kept), "show arp") == {"neighbours": []}
        assert data(Session(kept), "show ipv6 neighbor") == {"neighbours": []}

    def test_in_force(self, served):
        served.dataplane.unreachable = {"tunnel1"}
        shown = lines(Session(served), "show dataplane")
        assert "Mirror: 1 virtual server and 0 interfaces by 1 profile to 1 tunnel" in shown
        assert "HAProxy was started again 2 times; last error: exit status 139" in shown
        assert shown[-1] == "Warning: interface tunnel1: 10.9.0.2 cannot be reached now: no route"

    def test_neighbours(self, served):
        shown = lines(Session(served), "show arp")
        assert [row.split() for row in shown[2:]] == [
            ["10.0.0.254", "02:00:00:00:00:fe", "eth0", "reachable"],
            ["10.1.0.33", "-", "eth1", "failed"],
        ]
        shown = lines(Session(served), "show ipv6 neighbor")
        assert [row.split() for row in shown[2:]] == [["2001:db8::9", "02:00:00:00:00:fe", "eth0", "stale"]]

    def test_all_counters_are_cleared_and_the_log_says_by_whom(self, served, log):
        session = Session(served, Login("ops", "ssh", "10.0.0.7"))
        assert lines(session, "clear counters") == []
        assert served.dataplane.cleared == 11
        assert [e.message for e in RECENT.entries()] == [
            "ops (ssh 10.0.0.7) cleared the counters of the mirror",
            "ops (ssh 10.0.0.7) cleared the counters of the virtual servers",
        ]


class TestTechSupport:
    HASH = hash_password("secret")

    def test_it_has_every_part_and_no_secret(self, served):
        configure(served, f"admin user ops\npassword hashed {self.HASH}")
        shown = lines(Session(served), "show tech-support")
        assert re.findall("^-+ show (.*?) -+$", "\n".join(shown), re.MULTILINE) == list(PARTS)
        for text in ("\n".join(shown), json.dumps(data(Session(served), "show tech-support"))):
            assert "scrypt" not in text
            assert "<hash removed>" in text

    def test_every_show_command_is_in_it_or_left_out_on_purpose(self):
        left_out = {"privilege", "this", "section", "history", "startup_config", "tech_support", "backup", "candidate"}
        left_out |= {"difference_backup", "difference_candidate", "difference_file"}
        left_out |= {"slb_log"}  # what clients ask for may be a secret
        shows = {name.removeprefix("show_") for name in COMMANDS if name.startswith("show_")}
        assert {show.__name__.removeprefix("do_show_") for show in PARTS.values()} == shows - left_out

    def test_a_part_that_fails_ends_nothing(self, served, monkeypatch):
        def refuse():
            raise ApplyError("read the kernel's routes", "no buffer space available")

        monkeypatch.setattr(served.dataplane, "network", refuse)
        shown = lines(Session(served), "show tech-support")
        assert "% Error: read the kernel's routes: no buffer space available; nothing was changed" in shown
        assert "interface" not in data(Session(served), "show tech-support")


def test_the_clock(kept):
    (line,) = lines(Session(kept), "show clock")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line)


class TestProbes:
    @pytest.fixture
    def programs(self, tmp_path, monkeypatch):
        """Programs that say how they were called."""
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("ping", "traceroute"):
            (folder / name).write_text(f'#!/bin/sh\necho "{name} $*"\nexit 1\n')
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    @pytest.mark.parametrize(
        ("line", "called"),
        [
            ("ping 10.0.0.1", "ping -n -c 5 -W 1 -w 6 -- 10.0.0.1"),
            ("ping www.example.com count 2 source 10.0.0.1", "ping -n -c 2 -W 1 -w 3 -I 10.0.0.1 -- www.example.com"),
            ("traceroute 2001:db8::1", "traceroute -n -q 1 -w 1 -m 15 -- 2001:db8::1"),
            ("trace gw source 10.0.0.1", "traceroute -n -q 1 -w 1 -m 15 -s 10.0.0.1 -- gw"),
        ],
    )
    def test_what_the_program_says_is_shown(self, kept, programs, line, called):
        assert lines(Session(kept), line) == [called]

    @pytest.mark.parametrize("line", ["ping -f", "ping --help", "ping x count 11", "ping", "ping `id`", "ping a;b"])
    def test_nothing_else_is_carried_out(self, kept, programs, line):
        assert not Session(kept).run(line).ok

    def test_a_program_that_is_not_there(self, kept, monkeypatch):
        monkeypatch.setenv("PATH", "/nowhere")
        assert Session(kept).run("ping 10.0.0.1").lines == ("% Error: ping: this machine has no such program, install it first",)
