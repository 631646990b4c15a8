"""`capture`: its lines, its limits, its file, and its end."""

from __future__ import annotations

import io
import time
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import RawPcapNgReader

from hsadc.cli import capture
from hsadc.cli.session import Session
from hsadc.cli.shell import Login
from hsadc.dataplane.capture import Packet
from tests.unit.config.memory import configure

TIME_NS = 1_790_000_000_000_001_000
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def packet(port, *, outgoing=False):
    frame = bytes(ETHER / IP(src="10.0.0.7", dst="10.0.0.1") / UDP(sport=port, dport=53))
    return Packet(TIME_NS, outgoing, frame, len(frame))


def line(port, direction="in "):
    return f"14:13:20.000001 {direction}    42 bytes  10.0.0.7:{port} > 10.0.0.1:53 UDP, 0 bytes"


def watched(session, command):
    """All that a command prints, and whether it was carried out."""
    reply = session.run(command)
    lines = list(reply.lines)
    while reply.more:
        reply = session.follow()
        lines += reply.lines
    return lines, reply.ok


def refused(session, command):
    reply = session.run(command)
    assert not reply.ok
    assert not reply.more
    return reply.lines[-1]


@pytest.fixture
def session(served):
    return Session(served, Login("ops", "ssh", "10.0.0.7", batch=True))


def test_packets_come_as_they_pass_up_to_the_count(session, served):
    served.dataplane.traffic = [[packet(1), packet(2, outgoing=True)], [], [packet(3), packet(4)]]
    begun = session.run('capture interface ethernet0/0 filter "udp port 53" count 3')
    assert (begun.lines, begun.more) == (("Capturing ethernet0/0 (eth0): 3 packets or 60 seconds at most",), True)
    assert session.follow().lines == (line(1), line(2, "out"))
    assert session.follow().lines == ()
    assert session.follow().lines == (line(3),)
    last = session.follow()
    assert (last.lines, last.more) == (("3 packets captured, 3 dropped by the kernel",), False)
    (taken,) = served.dataplane.captures
    assert (taken.asked, taken.closed) == (("eth0", "udp port 53", ""), True)
    assert session.follow().lines == ()


def test_it_ends_when_the_time_is_over(session, served):
    served.dataplane.traffic = [[packet(1)]]
    began = time.monotonic()
    lines, ok = watched(session, "capture interface ethernet0/1 duration 1")
    assert 0.9 < time.monotonic() - began < 10
    assert ok
    assert lines == [
        "Capturing ethernet0/1 (eth1): 10 packets or 1 second at most",
        line(1),
        "1 packet captured, 3 dropped by the kernel",
    ]


def test_an_operator_ends_it_with_a_key(served):
    session = Session(served, Login("ops", "ssh", "10.0.0.7"))
    assert session.run("capture interface ethernet0/0").lines[0].endswith("at most; any key ends it")
    reply = session.follow(stop=True)
    while reply.more:
        reply = session.follow()
    assert reply.lines == ("0 packets captured, 3 dropped by the kernel",)
    assert served.dataplane.captures[0].closed


@pytest.mark.parametrize("end", [Session.close, lambda session: session.run("show clock")], ids=["gone", "another line"])
def test_who_does_not_wait_for_the_end_leaves_nothing_behind(session, served, end):
    assert session.run("capture interface ethernet0/0").more
    end(session)
    assert served.dataplane.captures[0].closed
    assert not session.follow().more


def test_the_copies_of_a_tunnel(session, served):
    served.dataplane.traffic = [[packet(1)]]
    lines, _ = watched(session, 'capture interface tunnel1 filter "udp" count 1')
    assert lines[0] == "Capturing the copies of tunnel1 on eth0: 1 packet or 60 seconds at most"
    device, expression, within = served.dataplane.captures[0].asked
    assert (device, expression) == ("eth0", "udp")
    assert "src host 10.0.0.1 and dst host 10.9.0.2" in within
    assert within.endswith("ip[24:4] = 7))")


def test_what_cannot_be_captured(session, served, kept):
    assert refused(session, "capture interface tunnel2") == (
        "% Error: interface tunnel2: no copies leave by it: it does not exist, is shut down, or nothing is mirrored to it"
    )
    served.dataplane.unreachable = {"tunnel1"}
    assert refused(session, "capture interface tunnel1") == "% Error: interface tunnel1: no copies leave by it now: no route"
    assert refused(session, "capture interface ethernet0/7") == "% Error: interface ethernet0/7: there is no such interface"
    assert refused(session, 'capture interface ethernet0/0 filter "wrong"') == '% Error: filter "wrong": syntax error'
    assert refused(Session(kept), "capture interface ethernet0/0") == (
        "% Error: capture: no packets pass this device, it runs with `--dataplane none`"
    )
    assert served.dataplane.captures == []


class TestFile:
    def read(self, served, name):
        return list(RawPcapNgReader(io.BytesIO((served.files.folder / name).read_bytes())))

    def test_packets_are_recorded(self, session, served):
        served.dataplane.traffic = [[packet(1), packet(2, outgoing=True)], [packet(3)]]
        lines, ok = watched(session, 'capture interface ethernet0/0 filter "udp" count 3 file dns.pcapng')
        size = (served.files.folder / "dns.pcapng").stat().st_size
        assert ok
        assert lines == [
            "Capturing ethernet0/0 (eth0): 3 packets or 60 seconds at most",
            f'3 packets captured, 3 dropped by the kernel; in file "dns.pcapng" ({size} bytes)',
        ]
        found = self.read(served, "dns.pcapng")
        assert [frame for frame, _ in found] == [packet(port).frame for port in (1, 2, 3)]
        assert [m.direction for _, m in found] == [1, 2, 1]
        assert served.files.names() == ["dns.pcapng"]

    def test_what_was_recorded_is_kept_when_the_client_goes(self, session, served):
        served.dataplane.traffic = [[packet(1)]]
        session.run("capture interface ethernet0/0 file x")
        session.follow()
        session.close()
        assert len(self.read(served, "x")) == 1
        session.run("capture interface ethernet0/0 file y")
        session.close()
        assert self.read(served, "y") == []
        session.run("capture interface ethernet0/0 | redirect z")
        session.close()
        assert served.files.names() == ["x", "y"]

    def test_a_wrong_filter_leaves_the_old_file(self, session, served):
        served.files.write("x", "old")
        assert refused(session, "capture interface ethernet0/0 filter wrong file x") == '% Error: filter "wrong": syntax error'
        assert served.files.read("x") == "old"
        assert [p.name for p in served.files.folder.iterdir()] == ["x"]

    def test_a_name_that_no_file_can_have(self, session, served):
        assert "this name is the device's own" in refused(session, "capture interface ethernet0/0 file running-config")
        assert served.dataplane.captures == []

    def test_a_file_that_becomes_too_large_ends_it(self, session, served, monkeypatch):
        monkeypatch.setattr(type(served.files), "room_bytes", lambda *_: 500)
        served.dataplane.traffic = [[packet(n)] for n in range(99)]
        lines, ok = watched(session, "capture interface ethernet0/0 file x")
        found = self.read(served, "x")
        size = (served.files.folder / "x").stat().st_size
        assert ok
        assert 0 < len(found) < 10
        assert size <= 500
        assert lines[-1].endswith(f'in file "x", it is as large as it may be ({size} bytes)')
        assert lines[-1].startswith(f"{len(found)} packets captured")

    def test_a_disk_that_refuses(self, session, served, monkeypatch):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("hsadc.config.upload.Upload.write_at", refuse)
        lines, ok = watched(session, "capture interface ethernet0/0 file x")
        assert not ok
        assert lines[-1].startswith("% Error: write ")
        assert "No space left on device" in lines[-1]
        assert served.dataplane.captures[0].closed
        assert list(served.files.folder.iterdir()) == []


class TestPipes:
    def test_lines_are_filtered_as_they_come(self, session, served):
        served.dataplane.traffic = [[packet(1)], [packet(2), packet(33)]]
        begun = session.run("capture interface ethernet0/0 count 3 | include 10.0.0.7:[13] | exclude :33")
        assert (begun.lines, begun.more) == ((), True)
        assert session.follow().lines == (line(1),)
        assert session.follow().lines == ()
        assert session.follow().lines == ()

    @pytest.mark.parametrize(("pipe", "last"), [("count UDP", "Count: 2 lines"), ("include UDP | begin 7:2 ", line(2))])
    def test_others_wait_for_the_end(self, session, served, pipe, last):
        served.dataplane.traffic = [[packet(1)], [packet(2)]]
        lines, ok = watched(session, f"capture interface ethernet0/0 count 2 | {pipe}")
        assert (lines, ok) == ([last], True)

    def test_into_a_file(self, session, served):
        served.dataplane.traffic = [[packet(1)], [packet(2)]]
        lines, _ = watched(session, "capture interface ethernet0/0 count 2 | include UDP | redirect x")
        assert lines == ['2 lines written to file "x"']
        assert served.files.read("x") == f"{line(1)}\n{line(2)}\n"

    @pytest.mark.parametrize("pipe", ["json", "refresh 2"])
    def test_what_does_not_go_with_it(self, session, served, pipe):
        assert refused(session, f"capture interface ethernet0/0 | {pipe}") == (
            "% Error: capture: its answer goes on, and is lines alone: json and refresh do not go with it"
        )
        assert served.dataplane.captures == []

    def test_a_bar_in_a_filter_is_no_pipe(self, session, served):
        assert session.run('capture interface ethernet0/0 filter "ip[0] | 1 = 3"').more
        assert served.dataplane.captures[0].asked[1] == "ip[0] | 1 = 3"


def test_an_error_on_the_way_keeps_what_was_printed(session, served, monkeypatch):
    served.dataplane.traffic = [[packet(1)], None]
    lines, ok = watched(session, "capture interface ethernet0/0 duration 1")
    assert ok
    assert lines[1] == line(1)
    monkeypatch.setattr(capture, "summarise", lambda *_: 1 / 0)
    lines, ok = watched(session, "capture interface ethernet0/0")
    assert not ok
    assert "internal error" in lines[-1]
    assert served.dataplane.captures[-1].closed


def test_ports_of_vxlan_tunnels_are_known(session, served):
    configure(served, 'tunnel vxlan "v"\n  vni 5\n  destination 10.9.0.3\n  port 8472\nexit')
    assert IPv4Address("10.9.0.3") == served.running.vxlan_tunnel["v"].destination
    frame = bytes(ETHER / IP(src="10.0.0.7", dst="10.0.0.1") / UDP(sport=1, dport=8472) / Raw(b"\x08\0\0\0\0\0\x05\0"))
    served.dataplane.traffic = [[Packet(TIME_NS, False, frame, len(frame))]]
    lines, _ = watched(session, "capture interface ethernet0/0 count 1")
    assert lines[1].endswith("> 10.0.0.1:8472 VXLAN vni 5 | cut off")
