"""Transactions, and commits to be confirmed, from the operator's side."""

from __future__ import annotations

import logging
import threading

import pytest

from hsadc.cli.remote import RemoteShell
from hsadc.cli.session import Session
from hsadc.config.saved import Saved
from tests.unit.cli.device import running as serving
from tests.unit.cli.operators import SHUT, data, refused, run, shut


class TestTransaction:
    def test_lines_are_in_force_together_at_the_commit(self, session, other, device):
        assert run(session, "exec configuration start", "configure") == []
        assert session.prompt == "edge[TRN](config)#"
        run(session, "interface tunnel9", "tunnel gre later", "exit", "tunnel gre later")
        assert session.prompt == "edge[TRN](config-tunnel-gre)#"
        run(session, "source 10.0.0.1", "destination 10.9.0.9", "show version", "do show version")
        assert "later" not in device.running.gre_tunnel
        assert "interface tunnel9" not in run(session, "show running-config")
        assert "interface tunnel9" in run(session, "show configuration candidate")
        assert run(session, "show configuration difference candidate")[:3] == [
            "--- running",
            "+++ candidate",
            '+tunnel gre "later"',
        ]
        assert run(session, "exec configuration commit") == ["Committed: 7 lines added, 0 removed"]
        assert session.prompt == "edge(config-tunnel-gre)#"
        assert "later" in device.running.gre_tunnel
        run(other, "configure", "hostname mine-again")

    def test_names_that_it_has_made_complete(self, session, other):
        run(session, "exec configuration start", "configure", "slb real-server later", "exit", "no tunnel gre spare")
        assert [c.word for c in session.choices("slb real-server l")] == ['"later"', "WORD"]
        assert [c.word for c in session.choices("tunnel gre s")] == ["WORD"]
        assert [c.word for c in other.choices("show slb real-server l")] == ["WORD"]

    def test_commit_alone_ends_it_too(self, session, device):
        run(session, "exec configuration start", *SHUT)
        assert run(session, "commit") == ["Committed: 1 line added, 0 removed"]
        assert (shut(device), session.prompt) == (True, "edge#")
        assert run(session, "commit") == ["There is nothing to commit"]
        run(session, "exec configuration start")
        assert run(session, "commit") == ["Committed: the configuration in force is the same as before"]

    def test_a_rollback_forgets_the_lines(self, session, device):
        run(session, "exec configuration start", "configure", "slb real-server new", "weight 3")
        assert run(session, "exec configuration rollback") == ["2 lines discarded"]
        assert session.prompt == "edge(config)#"
        assert "new" not in device.running.real_server
        run(session, "hostname at-once")
        assert device.running.hostname == "at-once"

    def test_a_mistake_shows_at_once_and_the_lines_are_kept(self, session, device):
        run(session, "exec configuration start", "configure", "interface ethernet0/1", "shutdown")
        refused(session, "mtu 9")
        refused(session, "no tunnel gre nowhere")
        assert run(session, "commit") == ["Committed: 1 line added, 0 removed"]

    @pytest.mark.parametrize("commit", ["commit", "exec configuration commit", "commit confirmed 5"])
    def test_a_commit_that_is_refused_leaves_it_open_to_be_mended(self, session, other, device, commit):
        run(session, "exec configuration start", "configure", "interface tunnel9", "tunnel gre later")
        assert refused(session, commit) == ['% Error: interface tunnel9: tunnel gre "later" does not exist']
        assert session.prompt == "edge[TRN](config-if-tun9)#"
        run(session, "no tunnel gre")
        device.dataplane.fail_at = 0
        run(session, "interface ethernet0/1", "shutdown")
        assert refused(session, commit)[0].endswith("no space left on device; nothing was changed")
        device.dataplane.fail_at = None
        assert run(session, commit)[0] == "Committed: 3 lines added, 0 removed"

    def test_others_cannot_change_anything_and_are_told_at_their_first_line(self, session, other, batch, device):
        device.files.write("x.cfg", "hostname x\n")
        run(other, "save", *SHUT, "save", "configure")
        run(session, "exec configuration start")
        before = device.running
        locked = [
            "% Error: the configuration is locked by admin (ssh 10.0.0.7) since 12:00:00 UTC, in a transaction",
        ]
        for line in (
            "hostname x",
            "rollback configuration backup 0",
            "rollback configuration startup",
            "copy x.cfg running-config",
            "configure replace x.cfg",
            "exec configuration start",
            "commit confirmed 5",
        ):
            assert refused(other, line) == locked, line
        run(batch, "configure")
        assert refused(batch, "hostname x") == locked
        run(other, "save described", "show running-config", "copy running-config y.cfg")
        assert device.running is before

    def test_a_batch_whose_lines_came_first_is_refused_at_its_commit(self, session, batch, device):
        run(batch, "configure", "hostname x")
        run(session, "exec configuration start")
        reply = batch.finish()
        assert (reply.ok, device.running.hostname) == (False, "edge")
        assert "is locked by admin (ssh 10.0.0.7)" in reply.lines[0]

    @pytest.mark.parametrize(
        "line",
        [
            "configure replace x.cfg",
            "copy x.cfg running-config",
            "copy startup-config running-config",
            "rollback configuration startup",
        ],
    )
    def test_what_replaces_all_has_no_place_in_it(self, session, device, line):
        device.files.write("x.cfg", "hostname x\n")
        run(session, "save", "exec configuration start", *SHUT)
        assert refused(session, line) == [
            "% Error: a transaction is open, end it first with `exec configuration commit` or `exec configuration rollback`"
        ]
        assert refused(session, "exec configuration start") == refused(session, line)
        assert run(session, "commit") == ["Committed: 1 line added, 0 removed"]

    def test_without_one(self, session):
        for line in ("exec configuration commit", "exec configuration rollback"):
            assert refused(session, line) == ["% Error: no transaction is open, `exec configuration start` begins one"]
        assert refused(session, "clear configuration lock") == ["% Error: no session is in a transaction"]

    def test_who_leaves_discards_it_and_is_told(self, session, device):
        run(session, "exec configuration start", *SHUT)
        assert run(session, "exit") == ["The transaction was not committed, 2 lines discarded"]
        assert session.closed
        assert device.lock.transaction is None
        assert not shut(device)

    def test_a_session_that_ends_discards_it(self, session, other, device):
        run(session, "exec configuration start", *SHUT)
        session.close()
        session.close()
        assert not shut(device)
        run(other, *SHUT)

    def test_another_may_end_it_and_its_lines_go_nowhere(self, session, other, device, caplog):
        caplog.set_level(logging.INFO)
        run(session, "exec configuration start", "configure", "interface ethernet0/1")
        assert run(other, "clear configuration lock") == [
            "The transaction of admin (ssh 10.0.0.7) is ended, its lines are not in force"
        ]
        assert caplog.messages == ["the transaction of admin (ssh 10.0.0.7) was ended by root (console)"]
        run(other, "configure", "hostname mine")
        ended = [
            (
                "% Error: the transaction was ended by root (console), its lines are not in force; "
                "leave it with `exec configuration rollback`"
            )
        ]
        for line in (
            "shutdown",
            "shutdown",
            "commit",
            "exec configuration commit",
            "commit confirmed 5",
            "exec configuration start",
        ):
            assert refused(session, line) == ended, line
        assert session.prompt == "mine[TRN](config-if-eth0/1)#"
        assert run(session, "exec configuration rollback") == ["1 line discarded"]
        run(session, "interface ethernet0/1", "shutdown")
        assert shut(device)

    def test_one_that_was_ended_does_not_end_the_next_ones(self, session, other, device):
        run(session, "exec configuration start")
        run(other, "clear configuration lock", "exec configuration start")
        session.close()
        assert device.lock.transaction.author is other.author


@pytest.mark.parametrize(
    "lines",
    [
        (*SHUT[:-1],),
        ("exec configuration start", *SHUT, "commit"),
        ("exec configuration start", *SHUT, "exec configuration commit"),
        ("exec configuration start", *SHUT, "commit confirmed 5"),
        ("copy change.cfg running-config",),
        ("copy startup-config running-config",),
        ("configure replace whole.cfg",),
        ("configure replace whole.cfg force revert timer 5",),
        ("rollback configuration startup",),
        ("rollback configuration backup 0 loading-immediately",),
        (*SHUT[:2], "commit confirmed 5", "shutdown", "rollback configuration unconfirmed"),
    ],
    ids="; ".join,
)
def test_whichever_step_fails_the_box_is_as_before(session, device, lines):
    """And the same line, when the machine no longer refuses, does it all."""
    whole = f"{device.text()}interface ethernet0/1\n  shutdown\nexit\nno ip route 0.0.0.0/0 10.0.0.254\n"
    device.files.write("change.cfg", "interface ethernet0/1\nshutdown\n")
    device.files.write("whole.cfg", whole)
    for text in (whole, whole + "hostname saved\n"):
        device.archive.save(Saved(text, device.clock.now(), "x"))
    *before, last = lines
    run(session, *before)
    plane = device.dataplane
    running, objects, intent, unconfirmed = device.running, plane.objects, plane.intent, device.lock.unconfirmed
    failures = 0
    while True:
        plane.fail_at = failures
        reply = session.run(last)
        if reply.ok:
            break
        failures += 1
        assert reply.lines[-1].endswith("no space left on device; nothing was changed")
        assert device.running is running
        assert (plane.objects, plane.intent, device.lock.unconfirmed) == (objects, intent, unconfirmed)
    assert failures >= 8
    assert plane.objects != objects


class TestBatch:
    def test_a_transaction_in_it(self, batch, device):
        run(batch, "exec configuration start", *SHUT, "show version")
        assert not shut(device)
        run(batch, "commit")
        assert shut(device)
        assert batch.finish().ok

    @pytest.mark.parametrize("last", [(), ("exit",)])
    def test_one_that_is_not_committed_is_an_error(self, batch, device, last):
        run(batch, "exec configuration start", *SHUT, *last)
        reply = batch.finish()
        assert (reply.ok, reply.lines) == (False, ("% Error: the transaction was not committed, 2 lines discarded",))
        assert not shut(device)
        assert device.lock.transaction is None

    def test_its_lines_so_far_can_be_committed_confirmed_and_forgotten(self, batch, device, clock):
        run(batch, *SHUT)
        assert run(batch, "exec configuration rollback") == ["2 lines discarded"]
        run(batch, *SHUT)
        assert run(batch, "commit confirmed 5") == [
            "Committed: 1 line added, 0 removed",
            "It is taken back in 5 minutes unless `commit` confirms it",
        ]
        run(batch, "configure", "hostname x")
        assert run(batch, "commit") == [
            "Committed: 1 line added, 1 removed",
            "Confirmed: the configuration stays in force; save it to keep it for the next start",
        ]
        clock.wait(1000)
        assert (shut(device), device.running.hostname) == (True, "x")

    def test_warnings_are_not_lost_when_the_command_after_the_lines_fails(self, batch):
        run(batch, "configure", "ip route 10.30.0.0/16 10.77.0.1")
        lines = refused(batch, "show slb real-server nobody")
        assert lines[0].startswith("Warning: ip route 10.30.0.0/16 10.77.0.1: not in force")
        assert lines[1].startswith("% Error: ")


class TestConfirm:
    def test_what_is_typed_after_it_is_taken_back_too(self, session, other, device, clock):
        before = device.running
        assert run(session, "commit confirmed 1") == [
            "What is changed from now on is on trial",
            "It is taken back in 1 minute unless `commit` confirms it",
        ]
        run(session, *SHUT)
        assert refused(session, "save")[0].startswith("% Error: the commit of admin (ssh 10.0.0.7) is not confirmed yet")
        clock.wait(20)
        assert data(other, "show configuration unconfirmed")["unconfirmed"] == {
            "by": "admin (ssh 10.0.0.7)",
            "since": "2026-11-23T12:00:00Z",
            "remaining_s": 40,
            "error": None,
            "difference": [{"block": "interface ethernet0/1", "removed": [], "added": ["  shutdown"]}],
        }
        assert run(other, "show configuration unconfirmed") == [
            "The commit of admin (ssh 10.0.0.7) waits to be confirmed since 2026-11-23T12:00:00Z: `commit` keeps it.",
            "It is taken back in 40 seconds.",
            "--- before",
            "+++ running",
            " interface ethernet0/1",
            "+  shutdown",
        ]
        device.dataplane.fail_at = 0
        clock.wait(40)
        assert "Taking it back has failed, and is tried again: " in run(other, "show configuration unconfirmed")[2]
        device.dataplane.fail_at = None
        clock.wait(40)
        assert device.running == before
        assert data(other, "show configuration unconfirmed") == {"unconfirmed": None}

    def test_another_may_confirm_when_the_session_has_gone(self, session, other, device, clock):
        run(session, "exec configuration start", *SHUT, "commit confirmed 5", "exit")
        session.close()
        run(other, "configure")
        assert "until its commit is confirmed, or taken back in 300 seconds" in refused(other, "hostname x")[0]
        assert run(other, "commit") == ["Confirmed: the configuration stays in force; save it to keep it for the next start"]
        run(other, "hostname x")
        clock.wait(1000)
        assert shut(device)

    def test_it_can_be_taken_back_at_once(self, session, other, device):
        run(session, "exec configuration start", *SHUT, "commit confirmed 5")
        assert run(other, "rollback configuration unconfirmed") == ["The commit is taken back: 0 lines added, 1 removed"]
        assert not shut(device)
        assert refused(other, "rollback configuration unconfirmed") == ["% Error: no commit waits to be confirmed"]


def test_a_connection_that_is_cut_ends_its_transaction(tmp_path, device):
    ended = threading.Event()

    class Ending(Session):
        def close(self) -> None:
            super().close()
            ended.set()

    with serving(tmp_path / "control.sock", lambda login: Ending(device, login)):
        shell = RemoteShell(tmp_path / "control.sock")
        shell.run("exec configuration start")
        assert shell.prompt == "edge[TRN]#"
        assert device.lock.transaction is not None
        shell.close()
        assert ended.wait(10)
        assert device.lock.transaction is None
