"""Configurations that are kept, from the operator's side: saves, differences, files, rollbacks."""

from __future__ import annotations

import pytest

from hsadc.cli import configuration
from hsadc.config.saved import Saved
from tests.unit.cli.operators import SHUT, data, refused, run, shut
from tests.unit.config.memory import configure


class TestSaves:
    def test_the_record(self, session, other, device, clock):
        device.archive.path.write_text("! by hand\nhostname hand\n")
        run(session, "save the first one")
        clock.wait(60)
        configure(device, "hostname second")
        run(other, "save all")
        lines = run(session, "show configuration record")
        assert [line.split() for line in lines[2:4]] == [
            ["startup", "2026-11-23T12:01:00Z", "root", "(console)", str(len(device.text().splitlines())), "-"],
            ["backup", "0", "2026-11-23T12:00:00Z", "admin", "(ssh", "10.0.0.7)", lines[3].split()[-4], "the", "first", "one"],
        ]
        record = data(session, "show configuration record")["record"]
        assert [r["configuration"] for r in record] == ["startup", "backup 0", "backup 1"]
        assert record[1]["by"] == "admin (ssh 10.0.0.7)"
        assert record[1]["description"] == "the first one"
        assert (record[2]["by"], record[2]["description"], record[2]["lines"], record[2]["error"]) == (None, None, 2, None)

    def test_one_that_cannot_be_read_is_in_the_record_with_the_reason(self, session, device):
        device.archive.path.write_bytes(b"\xff")
        (entry,) = data(session, "show configuration record")["record"]
        assert entry["error"].endswith("not a text file: byte 0 is not UTF-8")
        assert "not a text file" in "\n".join(run(session, "show configuration record"))

    def test_what_is_saved_already(self, session):
        assert run(session, "save", "save") == [
            "Building configuration.",
            "Saving configuration is finished",
            "Building configuration.",
            "Saving configuration is finished: it was saved already",
        ]

    def test_a_backup_is_shown_and_deleted(self, session, device):
        text = device.text().splitlines()
        run(session, "save", *SHUT, "save")
        assert run(session, "show configuration backup 0") == text
        assert [c.word for c in session.choices("show configuration backup ")] == ["0", "<0-9>"]
        assert run(session, "delete configuration backup 0") == ["Backup 0 is deleted"]
        for line in ("delete", "show", "rollback"):
            assert refused(session, f"{line} configuration backup 0") == [
                "% Error: backup 0: there is no such backup, there are none yet"
            ]

    def test_a_rollback_to_a_backup_is_running_only(self, session, device):
        before = device.running
        run(session, "save", *SHUT, "save")
        assert run(session, "rollback configuration backup 0") == ["Committed: 0 lines added, 1 removed"]
        assert device.running == before
        assert "  shutdown" in run(session, "show startup-config")
        assert run(session, "rollback configuration backup 0") == ["Committed: the configuration in force is the same as before"]
        assert run(session, "rollback configuration startup") == ["Committed: 1 line added, 0 removed"]

    def test_there_is_no_startup_config_yet(self, session):
        assert refused(session, "rollback configuration startup") == ["% Error: startup-config: nothing has been saved yet"]
        assert refused(session, "copy startup-config x") == ["% Error: startup-config: nothing has been saved yet"]


class TestDifference:
    def test_since_the_last_save(self, session):
        run(session, "save", *SHUT)
        lines = ["--- startup", "+++ running", " interface ethernet0/1", "+  shutdown"]
        assert run(session, "show configuration difference") == lines
        assert run(session, "show configuration difference startup") == lines
        assert data(session, "show configuration difference") == {
            "difference": [{"block": "interface ethernet0/1", "removed": [], "added": ["  shutdown"]}]
        }

    def test_none(self, session):
        run(session, "save")
        assert run(session, "show configuration difference") == ["startup and running are the same configuration"]
        assert data(session, "show configuration difference") == {"difference": []}

    def test_since_a_backup_and_from_a_file(self, session):
        run(session, "save", "copy running-config edge.cfg", *SHUT, "save")
        for what in ("backup 0", "file edge.cfg"):
            assert run(session, f"show configuration difference {what}")[3:] == ["+  shutdown"]

    def test_before_the_first_save_all_is_new(self, session, device):
        assert len(run(session, "show configuration difference")) == 2 + len(device.text().splitlines())


def test_who_deletes_what_is_logged(session, device, caplog):
    run(session, "copy running-config x.cfg", "save", *SHUT, "save")
    with caplog.at_level("INFO", configuration.__name__):
        run(session, "delete file x.cfg", "delete configuration backup 0")
    assert [r.getMessage() for r in caplog.records if r.name == configuration.__name__] == [
        f"file 'x.cfg' deleted by {session.author}",
        f"backup 0 deleted by {session.author}",
    ]


class TestFiles:
    def test_to_a_file_and_back(self, session, device):
        before = device.running
        lines = len(device.text().splitlines())
        assert run(session, "copy running-config edge.cfg") == [f'{lines} lines written to file "edge.cfg"']
        run(session, *SHUT, "save", 'copy startup-config "all of it.cfg"')
        assert [f["name"] for f in data(session, "show files")["files"]] == ["all of it.cfg", "edge.cfg"]
        assert [c.word for c in session.choices("configure replace ")] == ['"all of it.cfg"', '"edge.cfg"', "WORD"]
        assert run(session, "configure replace edge.cfg force") == ["Committed: 0 lines added, 1 removed"]
        assert device.running == before
        assert run(session, 'configure replace "all of it.cfg"') == ["Committed: 1 line added, 0 removed"]
        assert run(session, "delete file edge.cfg") == ['File "edge.cfg" is deleted']
        assert refused(session, "configure replace edge.cfg") == [
            '% Error: file "edge.cfg": there is no such file, `show files` lists them'
        ]

    def test_a_files_lines_are_carried_out_on_what_is_running(self, session, device):
        device.files.write("change.cfg", "hostname core\nno tunnel gre spare\n\n! comment\ninterface e0/1\nshutdown\nend\n")
        assert run(session, "copy change.cfg running-config") == ["Committed: 2 lines added, 3 removed"]
        assert (device.running.hostname, shut(device), "spare" in device.running.gre_tunnel) == ("core", True, False)
        assert device.running.virtual_server

    @pytest.mark.parametrize("line", ["copy startup-config running-config", "copy st run"])
    def test_so_are_those_of_the_startup_config(self, session, device, line):
        device.archive.save(Saved("interface ethernet0/1\n  shutdown\nexit\n", device.clock.now(), "x"))
        before = device.running
        assert run(session, line) == ["Committed: 1 line added, 0 removed"]
        assert shut(device)
        assert device.running.virtual_server is before.virtual_server
        assert device.files.names() == []

    @pytest.mark.parametrize(
        "line", ["copy x.cfg running-config", "configure replace x.cfg", "configure replace x.cfg revert timer 5"]
    )
    def test_mistakes_are_told_with_their_places_and_nothing_is_changed(self, session, device, line):
        before = device.running
        device.files.write("x.cfg", "hostname core\n  tunel gre x\ninterface ethernet0/0\n  mtu 9\n")
        assert refused(session, line) == [
            "x.cfg:2:3: unrecognized keyword tunel, did you mean 'tunnel'?",
            "x.cfg:4:7: 9 is out of range, it must be 576 to 9216",
            "% Error: x.cfg has 2 mistakes; nothing was changed",
        ]
        device.files.write("x.cfg", "hostname core\ninterface tunnel7\n  tunnel gre nowhere\n")
        assert refused(session, line) == [
            'x.cfg:2:1: interface tunnel7: tunnel gre "nowhere" does not exist',
            "% Error: x.cfg has a mistake; nothing was changed",
        ]
        device.files.write("x.cfg", "nonsense\n" * 50)
        lines = refused(session, line)
        assert lines[9:] == [
            "x.cfg:10:1: unrecognized keyword nonsense",
            "and 40 more",
            "% Error: x.cfg has 50 mistakes; nothing was changed",
        ]
        device.files.write("x.cfg", "nonsense\n" * 200)
        assert refused(session, line)[10:] == [
            "and at least 90 more",
            "% Error: x.cfg has at least 100 mistakes; nothing was changed",
        ]
        assert device.running is before
        assert device.lock.unconfirmed is None

    @pytest.mark.parametrize("name", ["running-config", "startup-config"])
    @pytest.mark.parametrize("line", ['copy running-config "{}"', "show version | redirect {}"])
    def test_the_names_of_the_devices_own_are_not_taken(self, session, device, line, name):
        assert refused(session, line.format(name)) == [
            f'% Error: file "{name}": this name is the device\'s own, choose another one'
        ]
        assert not device.files.folder.exists()

    def test_for_a_time(self, session, device, clock):
        device.files.write("x.cfg", "hostname core\n")
        before = device.running
        assert run(session, "configure replace x.cfg revert timer 2")[1:] == [
            "It is taken back in 2 minutes unless `commit` confirms it"
        ]
        assert device.running.hostname == "core"
        clock.wait(120)
        assert device.running == before
