"""The daemon is killed at the system calls of a save, of a commit to be confirmed, of its confirmation, and of a start after
one; and each of their calls fails for once.

By default it is killed where the disk may change; with HSADC_EVERY_CALL=1 at every call on its configuration files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hsadc.cli.remote import ControlError
from tests.external.strace import Call, Victim, said

pytestmark = [pytest.mark.external, pytest.mark.timeout(600)]

CHANGES = {"mkdir", "openat", "write", "fsync", "close", "link", "rename", "unlink"}
EVERY_CALL = bool(os.environ.get("HSADC_EVERY_CALL"))
ERRORS = {
    "ENOSPC": "No space left on device",
    "EIO": "Input/output error",
    "EROFS": "Read-only file system",
}


@pytest.fixture
def victim(tmp_path) -> Iterator[Victim]:
    victim = Victim(tmp_path)
    victim.start()
    victim.run("configure", "hostname first", "save", "hostname second", "save with a description")
    yield victim
    victim.stop()


def chosen(calls: list[Call]) -> list[Call]:
    found = [call for call in calls if EVERY_CALL or call.name in CHANGES]
    assert len(found) > 3
    return found


def hostname(victim) -> str:
    (line,) = victim.run("show running-config | include ^hostname")
    return line.split('"')[1]


def saved(victim) -> list[str]:
    """The host names in the startup-config and the backups, all of which can be shown, and of which there is a record."""
    record = victim.run("show configuration record")[2:]
    shown = ["show startup-config", *(f"show configuration backup {n}" for n in range(len(record) - 1))]
    names = [victim.run(line) for line in shown]
    assert all(len(lines) == 1 for lines in names)
    return [lines[0].split('"')[1] for lines in names]


def recorded(victim, *lines) -> list[Call]:
    with victim.shell() as shell:
        said(shell, "show version")  # the session's thread is there
        with victim.traced():
            for line in lines:
                said(shell, line)
    return victim.calls()


def killed_at(victim, call: Call, line: str) -> None:
    """The daemon dies at this call of the line, and starts again."""
    with victim.shell() as shell:
        said(shell, "show version")
        with victim.traced(f"{call.name}:signal=KILL:when={call.nth}"), pytest.raises(ControlError):
            shell.run(line)
    victim.process.wait(30)
    assert victim.start(), victim.log()


def test_a_save(victim):
    victim.run("configure", "hostname third")
    outcomes = set()
    for call in chosen(recorded(victim, "save")):
        before = saved(victim)
        victim.run("configure", "hostname new")
        killed_at(victim, call, "save")
        after = saved(victim)
        assert after in (before, ["new", *before]), call
        assert hostname(victim) == after[0], call
        outcomes.add(len(after) - len(before))
        victim.run("configure", "hostname next", "save")
        assert saved(victim) == ["next", *after], call
        victim.run(*["delete configuration backup 0"] * len(after), "configure", "hostname third", "save")
    assert outcomes == {0, 1}


def test_a_commit_to_be_confirmed(victim):
    victim.run("configure", "hostname base")
    calls = recorded(victim, "commit confirmed 5")
    victim.run("commit")
    outcomes = set()
    for call in chosen(calls):
        with victim.shell() as shell:
            for line in ("configure", "hostname base", "exec configuration start", "hostname trial"):
                said(shell, line)
            with victim.traced(f"{call.name}:signal=KILL:when={call.nth}"), pytest.raises(ControlError):
                shell.run("commit confirmed 5")
        victim.process.wait(30)
        assert victim.start(), victim.log()
        outcomes.add(hostname(victim))
        assert ("was not confirmed before the device stopped" in victim.log()) == (hostname(victim) == "base"), call
        assert not (victim.state / "confirm.cfg").exists()
        assert saved(victim) == ["second", "first"]
    assert outcomes == {"second", "base"}, "as saved when it had not begun, else as it was before"


def test_a_confirmation(victim):
    victim.run("configure", "hostname base", "commit confirmed 5")
    calls = recorded(victim, "commit")
    outcomes = set()
    for call in chosen(calls):
        victim.run("configure", "hostname base", "exec configuration start", "hostname trial", "commit confirmed 5")
        killed_at(victim, call, "commit")
        outcomes.add(hostname(victim))
        assert not (victim.state / "confirm.cfg").exists()
        assert saved(victim) == ["second", "first"]
        victim.run("configure", "hostname x", "save", "hostname second", "save", "delete configuration backup 0")
        victim.run("delete configuration backup 0")
    assert outcomes == {"second", "base"}, "taken back, or confirmed and as saved"


def test_a_start_after_a_commit_that_was_not_confirmed(victim):
    def kill_unconfirmed():
        victim.run("configure", "hostname base", "exec configuration start", "hostname trial", "commit confirmed 5")
        victim.kill()

    kill_unconfirmed()
    assert victim.start(*victim.tracer())
    assert hostname(victim) == "base"
    outcomes = set()
    for call in chosen(victim.calls()):
        kill_unconfirmed()
        assert not victim.start(*victim.tracer(f"{call.name}:signal=KILL:when={call.nth}")), call
        assert victim.start(), victim.log()
        outcomes.add(hostname(victim))
        assert not (victim.state / "confirm.cfg").exists()
    assert outcomes == {"second", "base"}


@pytest.mark.parametrize("error", ERRORS)
def test_a_disk_that_refuses_a_save(victim, error):
    victim.run("configure", "hostname third")
    refusals = 0
    for call in recorded(victim, "save"):
        victim.run("configure", "hostname other", "save", "hostname third")
        before = saved(victim)
        with victim.shell() as shell:
            said(shell, "show version")
            with victim.traced(f"{call.name}:error={error}:when={call.nth}"):
                reply = shell.run("save")
        if not reply.ok:
            refusals += 1
            (line,) = reply.lines
            assert line == f"% Error: save {victim.state}/startup.cfg: {ERRORS[error]}; nothing was changed", call
            assert saved(victim) == before, call
            assert victim.run("save") == ["Building configuration.", "Saving configuration is finished"]
        assert saved(victim)[:2] == ["third", "other"], call
        assert not [f for f in victim.state.iterdir() if f.name.startswith(".")], call
    assert refusals > 15


@pytest.mark.parametrize("error", ERRORS)
def test_a_disk_that_refuses_a_commit_to_be_confirmed(victim, error):
    victim.run("configure", "hostname base")
    calls = {line: recorded(victim, line) for line in ("commit confirmed 5", "commit")}
    refusals = 0
    for call in calls["commit confirmed 5"]:
        with victim.shell() as shell:
            for line in ("configure", "hostname base", "exec configuration start", "hostname trial"):
                said(shell, line)
            with victim.traced(f"{call.name}:error={error}:when={call.nth}"):
                reply = shell.run("commit confirmed 5")
            assert shell.run("show configuration unconfirmed").lines[0].startswith("The commit of") == reply.ok, call
            if not reply.ok:
                refusals += 1
                assert reply.lines == (f"% Error: write {victim.state}/confirm.cfg: {ERRORS[error]}; nothing was changed",), call
                assert (hostname(victim), (victim.state / "confirm.cfg").exists()) == ("base", False), call
                said(shell, "commit confirmed 5")
            assert hostname(victim) == "trial"
            said(shell, "commit")
    for call in calls["commit"]:
        with victim.shell() as shell:
            said(shell, "commit confirmed 5")
            with victim.traced(f"{call.name}:error={error}:when={call.nth}"):
                reply = shell.run("commit")
            if not reply.ok:
                refusals += 1
                assert reply.lines == (f"% Error: delete {victim.state}/confirm.cfg: {ERRORS[error]}; nothing was changed",), call
                said(shell, "commit")
            assert shell.run("show configuration unconfirmed").lines == ("No commit waits to be confirmed",), call
    assert refusals > 8
