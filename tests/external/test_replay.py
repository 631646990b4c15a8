"""`hsadc replay` on capture files that others made: the examples of other projects, and one traffic in all formats of editcap."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from hsadc.dataplane.portable.core import MirrorCore
from hsadc.dataplane.replay.headers import ethernet
from hsadc.dataplane.replay.reading import CaptureReader
from hsadc.dataplane.replay.run import replay
from hsadc.errors import WireError
from hsadc.intent.mirror import PortMirrorIntent
from tests.netns.packet_case import Case
from tests.netns.packet_net import PacketNet
from tests.netns.test_packet_property import SETUPS
from tests.netns.test_packet_table import Device, is_seen
from tests.unit.dataplane.portable.examples import FRAME, GRE, INTENTS, TUNNEL
from tests.unit.dataplane.replay.test_reading import pcap
from tests.unit.dataplane.replay.test_run import packets
from tests.unit.dataplane.traffic import DEVICE

pytestmark = pytest.mark.external
CAPTURES = Path(sys.prefix) / "captures"
"""Source distributions that the Makefile has pip fetch: python-pcapng (the pcapng authors' own test files) and mcpcap."""
SUFFIXES = (".pcap", ".pcapng", ".ntar")
OTHER_LINKS = ("test006", "test006-fixed", "test007", "test010")
TUNNELS = (replace(TUNNEL, encapsulation=replace(GRE, payload="ethernet", sequence=True), oversize="fragment"),)
INTERFACE = replace(INTENTS, tunnels=TUNNELS, rules=(), port_mirrors=(PortMirrorIntent(65536, DEVICE, 1),))


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captures")
    for archive in CAPTURES.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    found = sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and p.is_file())
    assert len(found) >= 10, "make test fetches them"
    return found


def by_tshark(path, *fields):
    command = ["tshark", "-r", str(path), "-T", "fields", *(word for field in fields for word in ("-e", field))]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def by_core(path):
    core, reader, found = MirrorCore(INTERFACE), CaptureReader(path), []
    for batch in reader.batches():
        for at, n, time, sent in zip(batch.offsets, batch.lengths, batch.times, batch.sent, strict=True):
            outs = core.process(batch.data[at : at + n].tobytes(), DEVICE, not sent, int(time))
            found += [(out.interface.encode(), ethernet(out.data) + out.data, int(time)) for out in outs]
    reader.close()
    return found, core.counters()


def test_files_of_other_projects(captures, tmp_path):
    copied = 0
    for path in captures:
        if path.stem in OTHER_LINKS:
            with pytest.raises(WireError, match="packet 1: link type"):
                replay(INTERFACE, DEVICE, path, tmp_path / "out")
            continue
        done = replay(INTERFACE, DEVICE, path, tmp_path / "out")
        expected, counters = by_core(path)
        assert packets(tmp_path / "out") == expected, path
        assert (done.counters, done.damage) == (counters, None)
        assert done.packets == len(by_tshark(path, "frame.number")), path
        copied += len(expected)
    assert copied > 30


@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "pcapng"])
def test_what_editcap_writes(form, tmp_path):
    (tmp_path / "in").write_bytes(pcap([FRAME, bytes(60), FRAME]))
    subprocess.run(["editcap", "-F", form, tmp_path / "in", tmp_path / form], check=True, capture_output=True)
    replay(INTERFACE, DEVICE, tmp_path / "in", tmp_path / "expected")
    replay(INTERFACE, DEVICE, tmp_path / form, tmp_path / "found")
    assert (tmp_path / "found").read_bytes() == (tmp_path / "expected").read_bytes()


def test_tshark_reads_what_was_written(tmp_path):
    (tmp_path / "in").write_bytes(pcap([FRAME] * 3))
    replay(INTERFACE, DEVICE, tmp_path / "in", tmp_path / "out")
    fields = ("frame.interface_name", "frame.protocols", "gre.sequence_number")
    found = [line.split("\t") for line in by_tshark(tmp_path / "out", *fields)]
    assert [(name, sequence) for name, _, sequence in found] == [("tunnel1", str(n)) for n in range(3)]
    assert all(protocols.startswith("eth:ethertype:ip:gre:eth") for _, protocols, _ in found), found


@pytest.mark.netns
def test_the_kernel_copies_the_packets_of_other_projects_files_as_the_pure_mirror_does(captures):
    wanted = SETUPS["GRE ethernet, numbered"]
    found = [(frame, sent) for path in captures for frame, sent in frames_of(path) if is_seen(wanted, frame)]
    assert len(found) > 30
    with PacketNet() as net:
        device = Device(net)
        for at in range(0, len(found), 50):
            part = tuple((frame, not sent) for frame, sent in found[at : at + 50])
            device.judge(Case("captured", wanted, part, (), {}, {}), lambda frames, where, _: net.run(frames, where))


def frames_of(path):
    """The frames of a file, up to its damage, and whether each was sent."""
    reader = CaptureReader(path)
    try:
        for batch in reader.batches():
            for at, n, sent in zip(batch.offsets, batch.lengths, batch.sent, strict=True):
                yield batch.data[at : at + n].tobytes(), bool(sent)
    except WireError:
        return
    finally:
        reader.close()
