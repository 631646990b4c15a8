"""`hsadc replay`: from the command line to the file and the counters."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hsadc.cli.main import main
from hsadc.cli.replay import ProgressBar, terminal_status
from hsadc.dataplane.replay.run import Progress
from hsadc.wire.receive import decapsulate_frame
from tests.unit.dataplane.portable.examples import FRAME
from tests.unit.dataplane.replay.test_reading import pcap
from tests.unit.dataplane.replay.test_run import packets

SAMPLES = Path(__file__).parents[3] / "samples"
CONFIG = """
interface ethernet0/0
  ip address 10.9.0.1/24
exit
tunnel gre "analyzer"
  source interface ethernet0/0
  destination 10.9.0.2
exit
interface tunnel1
  tunnel gre "analyzer"
exit
mirror-profile "ids"
  destination interface tunnel1
  destination interface ethernet0/3
exit
interface ethernet0/1
  mirror-traffic profile "ids" direction forward
exit
"""


@pytest.fixture
def files(tmp_path):
    """Writes configuration and capture, gives the arguments."""

    def write(config=CONFIG, capture=None):
        (tmp_path / "mirror.cfg").write_text(config)
        (tmp_path / "in.pcap").write_bytes(pcap([FRAME, FRAME]) if capture is None else capture)
        return ["replay", str(tmp_path / "mirror.cfg"), "-r", str(tmp_path / "in.pcap"), "-w", str(tmp_path / "out.pcapng")]

    return write


def test_counters_for_people(files, capsys, tmp_path):
    assert main(files()) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "2 packets"
    assert [line.split() for line in text if line.startswith("interface")] == [
        ["interface", "ethernet0/1", "2", "0", "0", "0", "2", "100", "4"]
    ]
    assert [line.split() for line in text if line.startswith("mirror-profile")] == [
        ["mirror-profile", '"ids"', "tunnel1", "2", "0", "2", "100", "0", "-"],
        ["mirror-profile", '"ids"', "ethernet0/3", "2", "0", "2", "128", "0", "-"],
    ]
    found = packets(tmp_path / "out.pcapng")
    assert decapsulate_frame(found[0][1]).payload == FRAME[14:]
    assert found[1][:2] == (b"ethernet0/3", FRAME)


def test_counters_as_json(files, capsys):
    assert main([*files(), "--json", "--mac", "02:00:00:00:0A:02"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["packets"], data["not_whole"], data["damage"]) == (2, 0, None)
    assert [(s["source"], s["filtered"]) for s in data["sources"]] == [("interface ethernet0/1", 2)]
    assert [(d["profile"], d["destination"], d["copies"]) for d in data["destinations"]] == [
        ('mirror-profile "ids"', "tunnel1", 0),
        ('mirror-profile "ids"', "ethernet0/3", 0),
    ]


def test_packets_that_are_left_out_are_told(files, capsys):
    assert main(files(capture=pcap([FRAME], wire=999))) == 0
    assert capsys.readouterr().out.startswith("1 packet, 1 of them not captured whole and left out\n")


def test_damage_is_told_after_the_counters(files, capsys, tmp_path):
    assert main(files(capture=pcap([FRAME, FRAME])[:-1])) == 1
    out, err = capsys.readouterr()
    assert err == f"hsadc: {tmp_path}/in.pcap: packet 2: it ends inside a packet\n"
    assert out.startswith("1 packet\n")
    assert len(packets(tmp_path / "out.pcapng")) == 2


TWO = CONFIG + 'interface ethernet0/2\n  mirror-traffic profile "ids"\nexit\n'


def test_the_interface_is_chosen(files, capsys):
    assert main([*files(TWO), "--interface", "ethernet0/2", "--json"]) == 0
    assert [s["seen"] for s in json.loads(capsys.readouterr().out)["sources"]] == [0, 2]


@pytest.mark.parametrize(
    ("config", "options", "why"),
    [
        (TWO, [], "--interface: say at which of ethernet0/1, ethernet0/2 the packets were captured"),
        (CONFIG, ["--interface", "ethernet0/7"], "--interface: ethernet0/7 is not mirrored, ethernet0/1 is"),
        (CONFIG, ["--mac", "02:00"], "--mac: 02:00 is no MAC address such as 02:00:00:00:00:01"),
        (CONFIG.split("interface ethernet0/1")[0], [], "no virtual server or interface that is in force has mirror-traffic"),
        (CONFIG.replace("  ip address 10.9.0.1/24\n", ""), [], "its source interface ethernet0/0 has no address"),
        ("nonsense\n", [], "mirror.cfg:1:1: unrecognized keyword nonsense"),
    ],
)
def test_what_does_not_go_together(files, capsys, tmp_path, config, options, why):
    assert main([*files(config), *options]) == 1
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out.pcapng").exists()


def test_the_capture_is_not_overwritten(files, capsys, tmp_path):
    arguments = files()
    assert main([*arguments[:-1], str(tmp_path / "in.pcap")]) == 1
    assert "is the capture file itself" in capsys.readouterr().err
    assert (tmp_path / "in.pcap").read_bytes() == pcap([FRAME, FRAME])


@pytest.mark.parametrize("sample", sorted(p for p in SAMPLES.glob("*.cfg") if "cloud" not in p.name), ids=lambda p: p.name)
def test_samples(sample, files, capsys, tmp_path):
    arguments = files()
    assert main([arguments[0], str(sample), *arguments[2:]]) == 0
    assert capsys.readouterr().out.startswith("2 packets\n")


def test_the_progress_line():
    now, written = [0.0], []
    bar = ProgressBar(written.append, lambda: now[0])
    for seconds, progress in (
        (1.0, Progress(1000, 50_000_000, 200_000_000)),
        (1.01, Progress(0, 0, 0)),
        (2.0, Progress(5, 0, 0)),
    ):
        now[0] = seconds
        bar.show(progress)
    bar.clear()
    assert written[0] == "\r 25 %  50 MB/s  1,000 packets"
    assert written[1] == "\r  0 %  0 MB/s  5 packets".ljust(len(written[0]))
    assert written[2].strip() == ""


def test_the_progress_line_is_for_terminals_alone(monkeypatch):
    class Terminal:
        text = ""

        def isatty(self):
            return True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    assert terminal_status() is None
    monkeypatch.setattr(sys, "stderr", Terminal())
    terminal_status()("half")
    assert sys.stderr.text == "half"
    monkeypatch.setattr(sys, "stderr", None)
    assert terminal_status() is None


def test_the_line_is_shown_and_taken_away(files, monkeypatch, capsys):
    written = []
    monkeypatch.setattr("hsadc.cli.replay.terminal_status", lambda: written.append)
    assert main(files()) == 0
    assert "100 %" in written[0]
    assert written[-1].endswith("\r")
