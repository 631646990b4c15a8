"""What users have typed: which lines are kept, and where."""

from __future__ import annotations

import stat
import threading

import pytest

from hsadc.cli.history import LINES, History
from hsadc.cli.logins import Logins
from hsadc.cli.session import Session
from hsadc.cli.shell import Login
from tests.unit.config.memory import adc


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "history"


@pytest.fixture
def file(folder):
    return folder / "ops"


class TestHistory:
    def test_it_outlives_the_device_for_its_owner_alone(self, file):
        history = History(file)
        assert not file.parent.exists()
        for line in ("show version", "配置", "exit"):
            history.add(line)
        assert History(file).lines == history.lines == ("show version", "配置", "exit")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert [f.name for f in file.parent.iterdir()] == ["ops"]

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "  ",
            "password secret",
            "PASS secret",
            " p secret",
            "pa secret",
            "do p secret",
            "no p secret",
            "admin user x pas",
            "a\x1bb",
            "a\nb",
            "x" * 4097,
        ],
    )
    def test_what_is_not_kept(self, file, line):
        history = History(file)
        history.add(line)
        assert history.lines == ()
        assert not file.exists()

    def test_a_line_that_is_repeated_is_kept_once(self, file):
        history = History(file)
        for line in ("a", "a", "b", "a"):
            history.add(line)
        assert History(file).lines == ("a", "b", "a")

    def test_only_the_last_lines_are_kept_and_the_file_does_not_grow(self, file):
        history = History(file)
        for n in range(5 * LINES):
            history.add(f"line {n}")
        assert History(file).lines == history.lines == tuple(f"line {n}" for n in range(4 * LINES, 5 * LINES))
        assert len(file.read_text().splitlines()) <= 2 * LINES

    @pytest.mark.parametrize("there", [b"\xff\xfe", b"\x00\x01\n\x1b[2J\n", b"\n\n"])
    def test_a_file_that_is_no_history_is_an_empty_one(self, file, there):
        file.parent.mkdir()
        file.write_bytes(there)
        history = History(file)
        assert history.lines == ()
        history.add("show version")
        assert file.read_text() == "show version\n"

    def test_a_folder_that_cannot_be_written_ends_nothing(self, folder):
        folder.write_text("a file")
        history = History(folder / "ops")
        history.add("show version")
        assert history.lines == ("show version",)

    def test_a_line_cut_off_by_a_crash_costs_no_other(self, file):
        History(file).add("show version")
        file.write_text("show version\nshow in")
        assert History(file).lines == ("show version", "show in")

    def test_sessions_at_once(self, file):
        history = History(file)
        threads = [threading.Thread(target=lambda n=n: [history.add(f"{n} {i}") for i in range(30)]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(History(file).lines) == {f"{n} {i}" for n in range(8) for i in range(30)}


class TestLogins:
    @pytest.fixture
    def login(self, tmp_path, folder):
        device, logins = adc(tmp_path), Logins(folder)
        return lambda user, **how: Session(device, Login(user, **how), logins)

    def test_each_user_has_his_own_and_all_his_sessions_share_it(self, login, tmp_path, folder):
        one, other, again = login("ops"), login("root"), login("ops")
        one.run("show version")
        assert list(again.history) == ["show version"]
        assert list(other.history) == []
        assert again.run("show history").lines == ("show version", "show history")
        later = Session(adc(tmp_path), Login("ops"), Logins(folder))
        assert list(later.history) == ["show version", "show history"]

    def test_scripts_leave_nothing(self, login):
        login("ops", batch=True).run("show version")
        assert list(login("ops").history) == []

    @pytest.mark.parametrize(
        "user", ["../x", "/etc/passwd", ".", "..", ".x", "a%2Fb", "中" * 63, "/" * 63, "😀" * 63, "", "a\0b"]
    )
    def test_any_name_is_one_file_in_the_folder(self, login, folder, user, tmp_path):
        login(user).run("show version")
        login("a/b").run("show clock")
        assert len(list(folder.iterdir())) == 2
        assert not (tmp_path / "x").exists()
        assert list(Logins(folder).enter(login(user)).lines) == ["show version"]

    def test_who_is_online(self, login):
        logins = login("ops", via="ssh", host="10.0.0.7").logins
        first, second = login("root"), login("ops", via="ssh", host="10.0.0.7")
        cut_off = login("ops")
        assert logins.online() == [first, second, cut_off]
        cut_off.close()
        assert logins.online() == [first, second]
        second.run("exit")
        assert logins.online() == [first]
        del first
        assert logins.online() == []
