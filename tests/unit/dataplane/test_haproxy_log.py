from __future__ import annotations

import logging
import os
import stat
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.dataplane.haproxy_log import Lines, LogReceiver
from hsadc.dataplane.haproxy_log_file import LogFile, newest_first
from hsadc.dataplane.haproxy_log_line import LogLine, in_operators_names, parse_line
from hsadc.intent.haproxy_word import encode_name

CLIENT = "192.0.2.9:40312 [26/Nov/2026:05:07:11.203]"
HTTP = '0/1/2/12/13 200 1234 - - ---- 2/2/0/0/0 0/0 "GET /a b HTTP/1.1"'
TIME = datetime(2026, 11, 26, 5, 7, 11, 203000, UTC)


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (f"{CLIENT} vs7_l7:20::7f51:~ pool7.12_web/r:20:1 {HTTP}", f'{CLIENT} "l7 网" "web"/"r 1" {HTTP}'),
        (f"{CLIENT} vs7_a_b pool7.1_w_b/<NOSRV> {HTTP}", f'{CLIENT} "a_b" "w_b"/- {HTTP}'),
        (f"{CLIENT} vs7_a vs7_a/<NOSRV> {HTTP}", f'{CLIENT} "a" -/- {HTTP}'),
        (f"{CLIENT} vs7_q:22::5c: pool7.1_w/r 1/2/3 0 -- 1/1", f'{CLIENT} "q\\"\\\\" "w"/"r" 1/2/3 0 -- 1/1'),
        (f'{CLIENT} tls7_a~ "SSL handshake failure" x sni=', f'{CLIENT} "a" "SSL handshake failure" x sni='),
        (f'{CLIENT} tls7_a "x" "error:0A000418:SSL routines::tlsv1 alert" sni=', f'{CLIENT} "a" "x" "tlsv1 alert" sni='),
        (f"{CLIENT} vs7_a x\ty\x1b[31m", f'{CLIENT} "a" x?y?[31m'),
        (f"{CLIENT} tls7_a~ hop443/hop 1/-1/3 0 SC 1/1", f'{CLIENT} "a" -/- 1/-1/3 0 SC 1/1'),
        (f"{CLIENT} tls7_a~ tls7_a/<NOSRV> -1/-1/3 0 PR 1/1", f'{CLIENT} "a" -/- -1/-1/3 0 PR 1/1'),
        (f"{CLIENT} tls7_a~ hop443/hop 1/1/3 456 CD 1/1", None),
        (f'{CLIENT} tls7_a~ hop443_http/hop 0/1/2/12/13 200 1234 - - sDNN 2/2 "GET / HTTP/1.1"', None),
        ("Server pool7.1_a/b is DOWN", None),
        ("Proxy vs7_a stopped (cumulated conns: FE: 1, BE: 0).", None),
        ("", None),
    ],
)
def test_names_become_the_operators(raw: str, named: str | None) -> None:
    assert in_operators_names(raw) == named


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_any_name_comes_back(server: str, pool: str, real: str) -> None:
    line = in_operators_names(f"{CLIENT} vs7_{encode_name(server)} pool7.1_{encode_name(pool)}/{encode_name(real)} {HTTP}")
    assert line is not None
    found = parse_line(line)
    assert found is not None
    printable = ["".join(c if c.isprintable() else "?" for c in name) for name in (server, pool, real)]
    assert [found.virtual_server, found.server_pool, found.real_server] == printable


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            f'{CLIENT} "a \\"b\\"" "w"/"r 1" {HTTP}',
            LogLine(TIME, "192.0.2.9:40312", 'a "b"', "w", "r 1", 13, 200, 1234, "----", "GET /a b HTTP/1.1"),
        ),
        (
            f'{CLIENT} "a" -/- -1/-1/-1/-1/+13 -1 +0 - - CR-- 2/2/0/0/0 0/0 {{x}} {{}} "<BADREQ>"',
            LogLine(TIME, "192.0.2.9:40312", "a", None, None, 13, None, 0, "CR--", "<BADREQ>"),
        ),
        (f'{CLIENT} "a" "w"/"r" 1/2/30 456 sD 1/1/1', LogLine(TIME, "192.0.2.9:40312", "a", "w", "r", 30, None, 456, "sD")),
        (
            f'{CLIENT} "a" "SSL handshake failure" no shared cipher sni=',
            LogLine(TIME, "192.0.2.9:40312", "a", error='"SSL handshake failure" no shared cipher sni='),
        ),
        ("Server is DOWN", None),
        (f'{CLIENT} "a" "w"/"r" x', None),
        (f'{CLIENT} "a" "w"/"r" 1/2/3', None),
        ('1.2.3.4:5 [yesterday] "a" "w"/"r" 1/2/3 4 --', None),
    ],
)
def test_lines_are_read(line: str, found: LogLine | None) -> None:
    assert parse_line(line) == found


class TestLines:
    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1)), st.integers(1, 9))
    def test_they_come_whole_however_they_are_cut(self, sent: list[str], size: int) -> None:
        data = "".join(f"{line}\n" for line in sent).encode()
        lines = Lines()
        assert [line for n in range(0, len(data), size) for line in lines.feed(data[n : n + size])] == sent

    def test_what_is_no_text_and_what_is_empty(self) -> None:
        assert Lines().feed(b"a\xff\n\n\nb\nc") == ["a\ufffd", "b"]


class TestFile:
    def test_old_files_go(self, tmp_path: Path) -> None:
        file = LogFile(tmp_path / "l", file_bytes=10, files=3)
        for n in range(9):
            file.write([f"line{n}"])
        file.close()
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
            "l": "line8\n",
            "l.1": "line7\n",
            "l.2": "line6\n",
        }
        assert list(newest_first(tmp_path / "l", files=3)) == ["line8", "line7", "line6"]
        assert stat.S_IMODE((tmp_path / "l").stat().st_mode) == 0o600

    def test_it_goes_on_where_the_last_daemon_ended(self, tmp_path: Path) -> None:
        for text in ("aaaa", "bbbb", "cccc"):
            file = LogFile(tmp_path / "l", file_bytes=12, files=3)
            file.write([text])
            file.close()
        assert (tmp_path / "l.1").read_text() == "aaaa\nbbbb\n"
        assert list(newest_first(tmp_path / "l")) == ["cccc", "bbbb", "aaaa"]

    def test_nothing_is_no_file(self, tmp_path: Path) -> None:
        file = LogFile(tmp_path / "l")
        file.write([])
        file.close()
        assert list(tmp_path.iterdir()) == []
        assert list(newest_first(tmp_path / "l")) == []

    def test_backwards_over_blocks(self, tmp_path: Path) -> None:
        lines = [f"{n} {'é' * (n % 97)}" for n in range(3000)]
        (tmp_path / "l").write_text("\n".join(lines) + "\n")
        assert list(newest_first(tmp_path / "l")) == lines[::-1]
        assert list(islice(newest_first(tmp_path / "l"), 2)) == lines[:-3:-1]
        (tmp_path / "l").write_text("whole\nhalf")
        assert list(newest_first(tmp_path / "l")) == ["half", "whole"]

    def test_a_full_disk_loses_lines_and_counts_them(self, tmp_path: Path, monkeypatch, caplog) -> None:
        caplog.set_level(logging.INFO)
        file = LogFile(tmp_path / "l")
        file.write(["before"])
        write, room = os.write, [3]

        def little(fd: int, data: bytes) -> int:
            if not room:
                raise OSError(28, "No space left on device")
            return write(fd, data[: room.pop()])

        with monkeypatch.context() as full:
            full.setattr(os, "write", little)
            file.write(["lost", "too"])
            file.write(["lost"])
        file.write(["after"])
        file.close()
        assert (tmp_path / "l").read_text() == "before\nafter\n"
        assert file.lost == 3
        assert [r.message for r in caplog.records] == [
            "lines of the log of virtual servers are lost: No space left on device",
            "the log of virtual servers is written again; 3 lines were lost in all",
        ]


def say(state: Path, *lines: str) -> None:
    """As a worker does."""
    with (state / "haproxy" / "log.pipe").open("wb", buffering=0) as pipe:
        for line in lines:
            pipe.write(f"{CLIENT} vs7_{line} x\n".encode())


def names(receiver: LogReceiver) -> list[str]:
    return [line.split('"')[1] for line in receiver.lines()]


class TestReceiver:
    def test_what_came_before_the_end_is_written(self, tmp_path: Path) -> None:
        receiver = LogReceiver(tmp_path)
        receiver.start()
        receiver.start()
        say(tmp_path, *(f"v{n}" for n in range(5000)))
        receiver.stop()
        receiver.stop()
        assert names(receiver) == [f"v{n}" for n in range(5000)][::-1]
        assert receiver.lost == 0

    def test_what_comes_while_nobody_reads_waits(self, tmp_path: Path) -> None:
        receiver = LogReceiver(tmp_path)
        receiver.start()
        say(tmp_path, "a")
        receiver.stop()
        worker = os.open(tmp_path / "haproxy" / "log.pipe", os.O_RDWR)  # a pipe that nobody has open is empty
        say(tmp_path, "b")
        second = LogReceiver(tmp_path)
        second.start()
        os.close(worker)
        say(tmp_path, "c")
        second.stop()
        assert names(second) == ["c", "b", "a"]

    def test_what_is_not_of_a_client_is_left_out(self, tmp_path: Path) -> None:
        receiver = LogReceiver(tmp_path)
        receiver.start()
        (tmp_path / "haproxy" / "log.pipe").write_text("Proxy vs1_v stopped (cumulated conns: FE: 1, BE: 0).\n")
        say(tmp_path, "a")
        receiver.stop()
        assert names(receiver) == ["a"]

    def test_something_else_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "haproxy").mkdir()
        (tmp_path / "haproxy" / "log.pipe").write_text("a file")
        receiver = LogReceiver(tmp_path)
        receiver.start()
        say(tmp_path, "a")
        receiver.stop()
        assert names(receiver) == ["a"]
        assert stat.S_IMODE((tmp_path / "haproxy" / "log.pipe").stat().st_mode) == 0o600
